#include "api-server/admission.h"

#include <fmt/format.h>

#include <algorithm>

#include "api-server/admission/plugins.h"

namespace rusternetes::api_server {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<AdmissionPlugin> (*make)(const ObjectSource&);
  bool is_default;
};

// The order in which they run.
constexpr Entry plugins[] = {
    {"NamespaceLifecycle", make_namespace_lifecycle, true},
    {"ServiceAccount", make_service_account_admission, true},
    {"NodeRestriction", make_node_restriction, false},
    {"TaintNodesByCondition", make_taint_nodes_by_condition, true},
    {"Priority", make_priority_admission, true},
    {"DefaultTolerationSeconds", make_default_toleration_seconds, true},
};

std::string all_names() {
  std::string out;
  for (const auto& entry : plugins) out += (out.empty() ? "" : ", ") + std::string(entry.name);
  return out;
}

}  // namespace

Result<AdmissionChain> make_admission(const ObjectSource& source, const std::vector<std::string>& enabled,
                                      const std::vector<std::string>& disabled) {
  auto is_in = [](const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const auto* list : {&enabled, &disabled})
    for (const auto& name : *list) {
      const bool is_known = std::any_of(std::begin(plugins), std::end(plugins), [&](const Entry& e) { return e.name == name; });
      if (!is_known)
        return Status{400, "BadRequest", fmt::format("admission plugin \"{}\" is not supported; there are: {}", name, all_names())};
      if (is_in(enabled, name) && is_in(disabled, name))
        return Status{400, "BadRequest", fmt::format("admission plugin \"{}\" is both enabled and disabled", name)};
    }
  AdmissionChain chain;
  for (const auto& entry : plugins)
    if ((entry.is_default || is_in(enabled, entry.name)) && !is_in(disabled, entry.name)) chain.add(entry.make(source));
  return chain;
}

}  // namespace rusternetes::api_server
