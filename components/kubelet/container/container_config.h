#pragma once
// From a Pod's container to what the runtime creates: a plain function over what was prepared for it.

#include <string>
#include <vector>

#include "base/status.h"
#include "kubelet/container/environment.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

struct ContainerInput {
  std::uint32_t attempt = 0;
  engine::ImageDetails image;
  Environment environment;
  std::vector<engine::Mount> mounts;  // volumes, hosts, resolv.conf, hostname, termination log
  std::string log_path;
  std::string pid_target;  // the id of the container whose processes an ephemeral one sees
  std::string seccomp_root;  // localhost profiles are below it
  std::int64_t node_memory_bytes = 0;
  std::int64_t log_max_bytes = 10 << 20;
  int log_max_files = 5;
};

// Errors are those of a CreateContainerConfigError: a container that must not run as root and would.
Result<engine::ContainerConfig> make_container_config(const core_v1::Pod& pod, ContainerRef ref, ContainerInput input);

// The container's user and groups; the error is runAsNonRoot's.
Result<engine::Security> container_security(const core_v1::Pod& pod, const core_v1::Container& container,
                                            const engine::ImageDetails& image, const std::string& seccomp_root);

}  // namespace rusternetes::kubelet
