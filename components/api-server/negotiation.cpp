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

  std::string_view parameter(std::string_view name) const {
    const auto found = parameters.find(name);
    return found == parameters.end() ? std::string_view{} : found->second;
  }
  bool has(std::string_view name) const { return parameters.contains(name); }
  // 0 for a type by name, 1 for "application/*", 2 for "*/*".
  int vagueness() const { return type == "*/*" || type == "*" ? 2 : type.ends_with("/*") ? 1 : 0; }
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
  std::stable_sort(clauses.begin(), clauses.end(), [](auto& a, auto& b) {
    return a.quality != b.quality ? a.quality > b.quality : a.vagueness() < b.vagueness();
  });
  return clauses;
}

constexpr std::string_view supported =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";
constexpr std::string_view supported_streams =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

constexpr std::pair<MediaType, std::string_view> types[] = {
    {MediaType::json, "application/json"},
    {MediaType::yaml, "application/yaml"},
    {MediaType::protobuf, "application/vnd.kubernetes.protobuf"},
};

bool matches(const Clause& clause, std::string_view name) {
  return clause.type == name || clause.vagueness() == 2 || clause.type == "application/*";
}

// The transformation that the clause asks for; nothing when it cannot be had in this form.
std::optional<Transform> transform_of(const Clause& clause, MediaType type, const Representations& can) {
  if (!clause.has("as") && !clause.has("g") && !clause.has("v")) return Transform::none;
  const std::string_view as = clause.parameter("as"), version = clause.parameter("v");
  if (!can.can_transform || clause.parameter("g") != "meta.k8s.io" ||
      (version != "v1" && version != "v1beta1"))
    return std::nullopt;
  if (as == "Table" && type != MediaType::protobuf) return Transform::table;
  if (as == "PartialObjectMetadata") return Transform::partial_object;
  if (as == "PartialObjectMetadataList") return Transform::partial_object_list;
  return std::nullopt;
}

bool is_aggregated(const Clause& clause) {
  return clause.parameter("g") == "apidiscovery.k8s.io" && clause.parameter("v") == "v2" &&
         clause.parameter("as") == "APIGroupDiscoveryList";
}

// The router knows whole names and "*/*" only, and refuses before the handler looks at parameters.
bool router_accepts(const std::vector<Clause>& clauses) {
  for (const auto& clause : clauses)
    for (const auto& [type, name] : types)
      if (clause.type == name || clause.type == "*/*") return true;
  return false;
}

Status not_routed(const Representations& can) {
  Status out = apimachinery::not_acceptable({});
  out.message = "406: Not Acceptable\n\nAvailable representations: " + std::string(supported);
  if (can.is_watch) out.message += ", " + std::string(supported_streams);
  out.details = std::make_shared<StatusDetails>();
  return out;
}

}  // namespace

Result<Accepted> negotiate(std::string_view accept, const Representations& can) {
  if (trim(accept).empty()) return Accepted{};
  const auto clauses = parse_accept(accept);
  if (can.is_routed && !router_accepts(clauses)) return not_routed(can);
  for (const auto& clause : clauses) {
    for (const auto& [type, name] : types) {
      if (!matches(clause, name) || (type == MediaType::protobuf && !can.has_protobuf)) continue;
      if (const auto stream = clause.parameter("stream");
          !stream.empty() && (stream != "watch" || type == MediaType::yaml))
        continue;
      Accepted out;
      out.type = type;
      out.pretty = clause.parameter("pretty") == "1";
      if (!can.is_discovery || !is_aggregated(clause)) {
        const auto transform = transform_of(clause, type, can);
        if (!transform) continue;
        out.transform = *transform;
        if (clause.parameter("v") == "v1beta1") out.meta_version = "meta.k8s.io/v1beta1";
      }
      // A watch takes the first form that fits and then finds that it has no frames of it.
      if (can.is_watch && type == MediaType::yaml) return apimachinery::not_acceptable(supported_streams);
      return out;
    }
  }
  return apimachinery::not_acceptable(can.is_watch ? supported_streams : supported);
}

Accepted error_form(std::string_view accept) {
  Accepted out;
  if (trim(accept).empty()) return out;
  for (const auto& clause : parse_accept(accept))
    for (const auto& [type, name] : types)
      if (matches(clause, name) && !clause.has("as") && !clause.has("g") && !clause.has("v")) {
        out.type = type;
        return out;
      }
  out.pretty = true;
  return out;
}

bool wants_aggregated_discovery(std::string_view accept) {
  for (const auto& clause : parse_accept(accept)) {
    for (const auto& [type, name] : types) {
      if (!matches(clause, name)) continue;
      if (is_aggregated(clause)) return true;
      if (!clause.has("as") && !clause.has("g") && !clause.has("v")) return false;
    }
  }
  return false;
}

Result<MediaType> content_type_of(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  if (type.empty()) return MediaType::json;
  for (const auto& [media_type, name] : types)
    if (type == name) return media_type;
  return apimachinery::unsupported_media_type(supported);
}

std::string_view content_type_name(MediaType type, bool is_watch) {
  switch (type) {
    case MediaType::json:
      return "application/json";
    case MediaType::yaml:
      return "application/yaml";
    case MediaType::protobuf:
      return is_watch ? "application/vnd.kubernetes.protobuf;stream=watch"
                      : "application/vnd.kubernetes.protobuf";
  }
  return "application/json";
}

bool accepts_gzip(std::string_view accept_encoding) {
  for (const auto& clause : parse_accept(accept_encoding))
    if (clause.type == "gzip" && clause.quality > 0) return true;
  return false;
}

}  // namespace rusternetes::api_server
