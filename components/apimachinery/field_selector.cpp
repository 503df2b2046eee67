#include "apimachinery/field_selector.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

Status bad_selector(std::string message) { return Status(400, "BadRequest", std::move(message)); }

// At commas that no backslash precedes; backslashes stay.
std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> terms;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ',') {
      terms.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  terms.push_back(text.substr(start));
  return terms;
}

Result<std::string> unescape(std::string_view value) {
  if (value.find_first_of("\\,=") == std::string_view::npos) return std::string(value);
  std::string out;
  while (!value.empty()) {
    Rune rune = decode_rune(value);
    value.remove_prefix(rune.width);
    if (rune.value == '\\') {
      if (value.empty()) return bad_selector("invalid field selector: invalid escape sequence: \\");
      rune = decode_rune(value);
      value.remove_prefix(rune.width);
      if (rune.value != '\\' && rune.value != ',' && rune.value != '=') {
        std::string message = "invalid field selector: invalid escape sequence: \\";
        append_utf8(message, rune.value);
        return bad_selector(std::move(message));
      }
    } else if (rune.value == ',' || rune.value == '=') {
      return bad_selector(fmt::format("invalid field selector: unescaped character in value: {}",
                                      static_cast<int>(rune.value)));
    }
    append_utf8(out, rune.value);
  }
  return out;
}

}  // namespace

std::string escape_field_value(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (const char c : value) {
    if (c == '\\' || c == ',' || c == '=') out += '\\';
    out += c;
  }
  return out;
}

std::string FieldRequirement::to_string() const {
  return field + (is_negated ? "!=" : "=") + escape_field_value(value);
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector out;
  auto terms = split_terms(text);
  std::ranges::sort(terms);
  for (const std::string_view term : terms) {
    if (term.empty()) continue;
    // The first of != == = splits; what stands before it has no escapes.
    std::size_t at = 0;
    while (at < term.size() && term[at] != '=' && !term.substr(at).starts_with("!=")) ++at;
    if (at == term.size())
      return bad_selector(fmt::format("invalid selector: '{}'; can't understand '{}'", text, term));
    const std::size_t width = term[at] == '!' || term.substr(at).starts_with("==") ? 2 : 1;
    FieldRequirement requirement{
        .field = std::string(term.substr(0, at)), .value = {}, .is_negated = term[at] == '!'};
    RN_TRY(requirement.value, unescape(term.substr(at + width)));
    // A term without field and value (`=`) demands nothing.
    if (requirement.field.empty() && requirement.value.empty()) continue;
    out.requirements_.push_back(std::move(requirement));
  }
  return out;
}

FieldSelector FieldSelector::field_equals(std::string field, std::string value) {
  FieldSelector out;
  out.requirements_.push_back({std::move(field), std::move(value), false});
  return out;
}

std::optional<std::string_view> FieldSelector::required_value(std::string_view field) const {
  for (const FieldRequirement& requirement : requirements_)
    if (requirement.field == field && !requirement.is_negated) return requirement.value;
  return std::nullopt;
}

Result<FieldSelector> FieldSelector::transform(
    const std::function<Result<>(FieldRequirement&)>& change) const {
  FieldSelector out;
  for (FieldRequirement requirement : requirements_) {
    RN_CHECK(change(requirement));
    if (requirement.field.empty() && requirement.value.empty()) continue;
    out.requirements_.push_back(std::move(requirement));
  }
  return out;
}

std::string FieldSelector::to_string() const {
  std::string out;
  for (const FieldRequirement& requirement : requirements_) {
    if (!out.empty()) out += ',';
    out += requirement.to_string();
  }
  return out;
}

}  // namespace rusternetes::apimachinery
