#include "addons/manifest.h"

#include <fmt/format.h>

#include <functional>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/yaml.h"

namespace rusternetes::addons {

using namespace apimachinery;

namespace {

constexpr int kMetadataAt = 2;  // of every top-level type; kind and apiVersion come before

// What stands between lines that begin with "---"; a comment may follow there.
std::vector<std::string_view> documents_of(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  for (std::size_t line = 0; line < text.size();) {
    const auto newline = text.find('\n', line);
    const auto next = newline == text.npos ? text.size() : newline + 1;
    if (text.substr(line).starts_with("---")) {
      out.push_back(text.substr(begin, line - begin));
      begin = next;
    }
    line = next;
  }
  out.push_back(text.substr(begin));
  return out;
}

// Whether there is something besides blanks and comments.
bool has_content(std::string_view text) {
  while (!text.empty()) {
    const auto newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    const auto first = line.find_first_not_of(" \t\r");
    if (first != line.npos && line[first] != '#') return true;
    text = newline == text.npos ? std::string_view() : text.substr(newline + 1);
  }
  return false;
}

std::string_view text_at(const Value& map, std::string_view key) {
  const Value* found = map.lookup(key);
  return found && found->kind == ValueKind::string ? found->str() : std::string_view();
}

Status bad(std::string_view where, std::string_view what) {
  return Status{400, "BadRequest", fmt::format("{}: {}", where, what)};
}

// Decodes an object once its kind is known.
using Decode = std::function<Result<Value>(const Type& type, DecodeIssues& issues)>;

Result<Object> object_of(const Value& any, std::string_view where, const Decode& decode) {
  const std::string api_version(text_at(any, "apiVersion")), kind_name(text_at(any, "kind"));
  if (api_version.empty() || kind_name.empty()) return bad(where, "it says no apiVersion or no kind");
  const Kind* kind = Registry::builtin()->find_kind(api_version, kind_name);
  if (!kind || kind->resource.empty())
    return bad(where, fmt::format("there is no built-in kind {} {}", api_version, kind_name));
  DecodeIssues issues;
  auto value = decode(*kind->type, issues);
  if (!value) return bad(where, fmt::format("{}: {}", kind_name, value.error().message));
  if (!issues.messages.empty()) return bad(where, fmt::format("{}: {}", kind_name, issues.messages.front()));
  erase_field(*value, 0);
  erase_field(*value, 1);
  const meta_v1::ObjectMeta metadata(value->get(kMetadataAt));
  if (metadata.name().empty()) return bad(where, fmt::format("the {} has no metadata.name", kind_name));
  if (kind->is_namespaced == metadata.namespace_().empty())
    return bad(where, fmt::format("the {} {} {} metadata.namespace", kind_name, metadata.name(),
                                  kind->is_namespaced ? "has no" : "is not of a namespace, but has a"));
  return Object{kind, Document::freeze(*value, *kind->type)};
}

// "List", or "<kind>List" of any kind.
bool is_list(const Value& any) {
  const Value* items = any.lookup("items");
  return text_at(any, "kind").ends_with("List") && items && items->kind == ValueKind::list;
}

}  // namespace

std::string print_manifest(const std::vector<Object>& objects) {
  std::string out;
  for (const auto& object : objects) {
    const std::string api_version = object.kind->group_version.text();
    std::string json;
    encode_json(json, &object.document.root(), object.document.type(), {api_version, object.kind->kind});
    out += (out.empty() ? "" : "---\n") + yaml_from_json(json);
  }
  return out;
}

Result<std::vector<Object>> parse_manifest(std::string_view text) {
  std::vector<Object> out;
  int number = 0;
  for (const std::string_view document : documents_of(text)) {
    if (!has_content(document)) continue;
    std::string where = fmt::format("document {}", ++number);
    Arena arena;
    const bool is_json = document[document.find_first_not_of(" \t\r\n")] == '{';
    auto decode = [&](const Type& type, DecodeIssues* issues) {
      return is_json ? decode_json(arena, document, type, issues)
                     : decode_yaml(arena, document, type, issues);
    };
    auto any = decode(any_type(), nullptr);
    if (!any) return bad(where, any.error().message);
    if (any->kind != ValueKind::map) return bad(where, "it is no object");
    if (!is_list(*any)) {
      auto again = [&](const Type& type, DecodeIssues& issues) { return decode(type, &issues); };
      RN_TRY(auto object, object_of(*any, where, again));
      out.push_back(std::move(object));
      continue;
    }
    int item = 0;
    for (const Value& each : any->lookup("items")->children()) {
      const std::string place = fmt::format("{}, item {}", where, ++item);
      if (each.kind != ValueKind::map) return bad(place, "it is no object");
      auto convert = [&](const Type& type, DecodeIssues& issues) {
        return convert_any(arena, each, type, &issues);
      };
      RN_TRY(auto object, object_of(each, place, convert));
      out.push_back(std::move(object));
    }
  }
  return out;
}

}  // namespace rusternetes::addons
