#include "api-server/printers/text.h"

#include <cctype>

#include "apimachinery/label_selector.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

using namespace apimachinery;

std::string age_of(std::int64_t since_us, std::int64_t now_us) {
  if (since_us == 0) return "<unknown>";
  return human_duration((now_us - since_us) * 1000);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string labels_text(const MapView<std::string_view>& labels) {
  std::string out;
  for (const auto& [key, value] : labels) out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  return out.empty() ? "<none>" : out;
}

std::string selector_text(const meta_v1::LabelSelector& selector, std::string_view if_invalid) {
  if (!selector) return {};
  LabelSelectorParts parts;
  for (const auto& [key, value] : selector.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto expression : selector.matchExpressions()) {
    LabelExpression one{std::string(expression.key()), std::string(expression.operator_()), {}};
    for (const auto value : expression.values()) one.values.emplace_back(value);
    parts.match_expressions.push_back(std::move(one));
  }
  auto built = LabelSelector::from_parts(&parts);
  return built ? built->to_string() : std::string(if_invalid);
}

std::string selector_or_none(const meta_v1::LabelSelector& selector) {
  std::string out = selector_text(selector, "<error>");
  return out.empty() ? "<none>" : out;
}

}  // namespace rusternetes::api_server
