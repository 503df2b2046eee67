#include "api-server/negotiation.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "apimachinery/errors.h"

namespace rusternetes::api_server {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

struct Clause {
  std::string_view type;
  std::map<std::string_view, std::string_view> parameters;
  double quality = 1;
};

std::vector<Clause> parse_accept(std::string_view text) {
  std::vector<Clause> clauses;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    Clause clause;
    bool is_first = true;
    while (!one.empty()) {
      const auto semicolon = one.find(';');
      const std::string_view part = trim(one.substr(0, semicolon));
      one = semicolon == std::string_view::npos ? std::string_view{} : one.substr(semicolon + 1);
      if (is_first) {
        clause.type = part;
        is_first = false;
      } else if (const auto equals = part.find('='); equals != std::string_view::npos) {
        if (part.substr(0, equals) == "q")
          clause.quality = std::atof(std::string(part.substr(equals + 1)).c_str());
        else
          clause.parameters[part.substr(0, equals)] = part.substr(equals + 1);
      }
    }
    if (!clause.type.empty()) clauses.push_back(std::move(clause));
  }
  std::stable_sort(clauses.begin(), clauses.end(), [](auto& a, auto& b) { return a.quality > b.quality; });
  return clauses;
}

constexpr std::string_view supported =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";

}  // namespace

Result<Accepted> negotiate(std::string_view accept, bool allow_transform, bool protobuf_allowed) {
  if (trim(accept).empty()) return Accepted{};
  for (const auto& clause : parse_accept(accept)) {
    Accepted out;
    if (clause.type == "*/*" || clause.type == "application/*" || clause.type == "application/json") {
      out.type = MediaType::json;
    } else if (clause.type == "application/yaml") {
      out.type = MediaType::yaml;
    } else if (clause.type == "application/vnd.kubernetes.protobuf" && protobuf_allowed) {
      out.type = MediaType::protobuf;
    } else {
      continue;
    }
    auto parameter = [&](std::string_view name) {
      auto it = clause.parameters.find(name);
      return it == clause.parameters.end() ? std::string_view{} : it->second;
    };
    out.pretty = parameter("pretty") == "1";
    const std::string_view as = parameter("as");
    if (!as.empty()) {
      if (!allow_transform || parameter("g") != "meta.k8s.io" || (parameter("v") != "v1" && parameter("v") != "v1beta1"))
        continue;
      if (as == "Table") {
        if (out.type == MediaType::protobuf) continue;
        out.transform = Transform::table;
      } else if (as == "PartialObjectMetadata") {
        out.transform = Transform::partial_object;
      } else if (as == "PartialObjectMetadataList") {
        out.transform = Transform::partial_object_list;
      } else {
        continue;
      }
    }
    return out;
  }
  return apimachinery::not_acceptable(supported);
}

Result<MediaType> content_type_of(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  if (type.empty() || type == "application/json") return MediaType::json;
  if (type == "application/yaml") return MediaType::yaml;
  if (type == "application/vnd.kubernetes.protobuf") return MediaType::protobuf;
  return apimachinery::unsupported_media_type(supported);
}

std::string_view content_type_name(MediaType type, bool is_watch) {
  switch (type) {
    case MediaType::json: return "application/json";
    case MediaType::yaml: return "application/yaml";
    case MediaType::protobuf:
      return is_watch ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/vnd.kubernetes.protobuf";
  }
  return "application/json";
}

bool accepts_gzip(std::string_view accept_encoding) {
  for (const auto& clause : parse_accept(accept_encoding))
    if (clause.type == "gzip" && clause.quality > 0) return true;
  return false;
}

}  // namespace rusternetes::api_server
