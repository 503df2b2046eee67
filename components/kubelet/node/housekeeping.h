#pragma once
// What must happen from time to time: logs that grew too long are rotated, folders and cgroups of Pods that are gone are
// removed, caches forget.

#include <functional>
#include <string>

#include "kubelet/pod/pod_worker.h"

namespace rusternetes::kubelet {

// Podman's logs: the content moves to PATH.1 (and that to PATH.2, ...) and the file, which the writer keeps open for
// appending, starts at zero again. Lines written between the copy and the truncation would be lost: the copy goes on until
// nothing new is there. Docker rotates by itself; its logs are links here. Blocking. Returns whether it rotated.
Result<bool> rotate_log(const std::string& path, std::int64_t most_bytes, int most_files);

class Housekeeping {
 public:
  explicit Housekeeping(WorkerContext& context) : context_(context) {}
  // Until cancelled. `is_known` tells whether a Pod of that UID has a worker.
  Task<> run(std::function<bool(const std::string& uid)> is_known);

 private:
  Task<> clean(const std::function<bool(const std::string& uid)>& is_known);
  WorkerContext& context_;
};

}  // namespace rusternetes::kubelet
