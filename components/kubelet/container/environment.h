#pragma once
// The environment of a container: Services, envFrom, env with $(VAR) references, in Kubernetes' order of precedence.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kubelet/container/downward_api.h"
#include "kubelet/container/objects.h"

namespace rusternetes::kubelet {

using Environment = std::vector<std::pair<std::string, std::string>>;
using Variables = std::map<std::string, std::string, std::less<>>;

// Replaces $(NAME) where `lookup` knows the name, leaves it where not; $$ stands for $.
std::string expand(std::string_view text, const std::function<const std::string*(std::string_view)>& lookup);
std::string expand(std::string_view text, const Variables& variables);

// Variables of the Services of `name_space` (if `has_links`) and of default/kubernetes: NAME_SERVICE_HOST and the links
// that Docker once made.
Variables service_environment(const std::vector<Document>& services, std::string_view name_space, bool has_links);

// The whole environment. `objects` holds every ConfigMap and Secret that the container refers to and that exists; one that
// is missing and not optional is an error, in the words of a CreateContainerConfigError.
Result<Environment> make_environment(const core_v1::Pod& pod, const core_v1::Container& container, const Variables& services,
                                     const ObjectSet& objects, const DownwardContext& context);

// The ConfigMaps and Secrets that the container's environment refers to.
std::vector<ObjectReference> environment_references(const core_v1::Container& container);

}  // namespace rusternetes::kubelet
