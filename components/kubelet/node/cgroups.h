#pragma once
// The cgroups above containers: classes of quality of service and Pods. Works on cgroup v1, v2 and the mix of both; what a
// host does not have is left out. Blocking file access: for a worker thread.

#include <string>
#include <vector>

#include "base/status.h"
#include "kubelet/container/resources.h"

namespace rusternetes::kubelet {

class Cgroups {
 public:
  // `mount` is where the hierarchies are ("/sys/fs/cgroup").
  explicit Cgroups(std::string mount = "/sys/fs/cgroup");

  // Makes the group in every hierarchy and sets the Pod's limits. `path` is absolute, as Runtime::pod_cgroup_path() gives it.
  Result<void> ensure_pod(const std::string& path, const PodResources& resources) const;
  Result<void> ensure(const std::string& path, std::int64_t cpu_shares) const;
  // Depth first, in all hierarchies; absent is success. Busy ones (an exec's monitor lives there) are an error.
  Result<void> remove(const std::string& path) const;
  // The last parts of the groups directly below `path`.
  std::vector<std::string> children(const std::string& path) const;

  bool is_v2() const { return is_v2_; }

 private:
  struct Hierarchy {
    std::string root;
    bool is_v2 = false;
    std::vector<std::string> controllers;
    bool has(std::string_view controller) const;
  };
  static Result<void> make(const Hierarchy& hierarchy, const std::string& path);
  static void write(const Hierarchy& hierarchy, const std::string& path, const char* file, const std::string& value);
  std::vector<Hierarchy> hierarchies_;
  bool is_v2_ = false;
};

}  // namespace rusternetes::kubelet
