#include "engine/dialect.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "engine/connection.h"
#include "engine/json_read.h"

namespace rusternetes::engine {
namespace json = boost::json;

std::string_view to_string(EngineKind kind) { return kind == EngineKind::podman ? "podman" : "docker"; }

std::string_view to_string(ContainerState state) {
  switch (state) {
    case ContainerState::created:
      return "created";
    case ContainerState::running:
      return "running";
    case ContainerState::exited:
      return "exited";
    case ContainerState::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string label_filter(const std::map<std::string, std::string>& labels) {
  json::array wanted;
  for (const auto& [key, value] : labels) wanted.emplace_back(value.empty() ? key : key + "=" + value);
  json::object filters;
  if (!wanted.empty()) filters["label"] = std::move(wanted);
  return url_escape(json::serialize(filters));
}

ContainerState container_state(std::string_view word) {
  if (word == "created" || word == "configured" || word == "initialized") return ContainerState::created;
  // "stopping" still runs; a paused container has a process too. CRI knows neither.
  if (word == "running" || word == "paused" || word == "restarting" || word == "stopping")
    return ContainerState::running;
  if (word == "exited" || word == "stopped" || word == "dead" || word == "removing")
    return ContainerState::exited;
  return ContainerState::unknown;
}

std::vector<std::string> expand_capabilities(const std::vector<std::string>& names, const HostFacts& host,
                                             int known) {
  std::vector<std::string> out;
  auto add = [&out](std::string name) {
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  };
  for (std::string name : names) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    if (name.starts_with("CAP_")) name.erase(0, 4);
    if (name != "ALL") {
      add("CAP_" + name);
      continue;
    }
    for (int i = 0; i <= host.last_capability && i < known; ++i)
      if (host.has_capability(i)) add("CAP_" + std::string(capability_name(i)));
  }
  return out;
}

std::optional<int> allowed_oom_score(const Resources& resources, const HostFacts& host) {
  if (!resources.oom_score_adj) return std::nullopt;
  if (*resources.oom_score_adj < host.oom_score_adj && !host.has_capability(kCapSysResource))
    return std::nullopt;
  return resources.oom_score_adj;
}

std::map<std::string, std::string> merged_env(const std::vector<std::pair<std::string, std::string>>& env) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : env) out[name] = value;
  return out;
}

namespace {
// "kubepods", "kubepods-burstable", ... one a level.
std::vector<std::string> slice_names(std::string_view path) {
  std::vector<std::string> slices;
  std::string name;
  while (!path.empty()) {
    auto slash = path.find('/');
    std::string part(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty()) continue;
    std::replace(part.begin(), part.end(), '-', '_');
    name += (name.empty() ? "" : "-") + part;
    slices.push_back(name);
  }
  return slices;
}
}  // namespace

std::string cgroup_parent_argument(std::string_view path, std::string_view driver) {
  if (driver != "systemd" || path.empty()) return std::string(path);
  auto slices = slice_names(path);
  return slices.empty() ? std::string() : slices.back() + ".slice";
}

std::string cgroup_parent_path(std::string_view path, std::string_view driver) {
  if (driver != "systemd") return std::string(path);
  std::string out;
  for (const auto& slice : slice_names(path)) out += "/" + slice + ".slice";
  return out;
}

EngineEvent read_event_fields(const json::value& event) {
  EngineEvent out;
  out.type = json_string(event, "Type");
  out.action = json_string(event, "Action");
  if (out.action.empty()) out.action = json_string(event, "status");
  const auto& actor = json_at(event, "Actor");
  out.id = json_string(actor, "ID");
  if (out.id.empty()) out.id = json_string(event, "id");
  out.attributes = json_map(actor, "Attributes");
  out.time_ns = json_int(event, "timeNano");
  return out;
}

}  // namespace rusternetes::engine
