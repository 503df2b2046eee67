#pragma once
// The volumes of the node's Pods: prepared below <root>/pods/UID/volumes before a container starts, refreshed while the Pod
// runs, and taken away after its end.

#include <map>
#include <string>
#include <vector>

#include "base/worker.h"
#include "kubelet/container/environment.h"
#include "kubelet/options.h"
#include "kubelet/container/resources.h"
#include "kubelet/volumes/payload.h"
#include "kubelet/volumes/token_source.h"

namespace rusternetes::kubelet {

// Folders of a Pod.
std::string pod_folder(const KubeletOptions& options, std::string_view pod_uid);
std::string volume_folder(const KubeletOptions& options, std::string_view pod_uid, std::string_view plugin, std::string_view volume);

class VolumeManager {
 public:
  VolumeManager(client::ApiClient& client, Objects& objects, const KubeletOptions& options, WorkerThread& worker);

  // Makes every volume of the Pod right, again and again: then changed objects and renewed tokens show. The error names
  // the volume as a FailedMount event does.
  Task<Result<void>> prepare(Document pod, DownwardContext context);
  // Mounts of one container, subPaths bound. `environment` expands subPathExpr.
  Task<Result<std::vector<engine::Mount>>> mounts(Document pod, ContainerRef ref, Environment environment);
  // Unmounts and deletes the Pod's volumes. What its containers left, their termination messages, stays until remove().
  Task<Result<void>> remove_volumes(std::string pod_uid);
  // Unmounts and deletes all of the Pod's folder.
  Task<Result<void>> remove(std::string pod_uid);
  // UIDs that have a folder.
  Task<std::vector<std::string>> pods_on_disk();

 private:
  Task<Result<void>> prepare_one(Document pod, core_v1::Volume volume, DownwardContext context);
  Task<Result<Payload>> payload_of(Document pod, core_v1::Volume volume, DownwardContext context);
  Task<Result<Payload>> projected_payload(Document pod, core_v1::ProjectedVolumeSource source, DownwardContext context);
  Task<Result<void>> write(Document pod, std::string folder, Payload payload, bool in_memory);
  std::string host_path(const core_v1::Pod& pod, const core_v1::Volume& volume) const;

  TokenSource tokens_;
  Objects& objects_;
  const KubeletOptions& options_;
  WorkerThread& worker_;
};

// What a hostPath volume asks of its path; makes it where the type says so. Blocking.
Result<void> check_host_path(const std::string& path, std::string_view type);

}  // namespace rusternetes::kubelet
