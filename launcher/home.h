#pragma once
// Where things are: the launcher's home and, in it, a cluster's folder.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace rusternetes::launcher {

struct ClusterPaths {
  std::filesystem::path root;

  std::filesystem::path pki() const { return root / "pki"; }
  std::filesystem::path kubeconfig() const { return root / "kubeconfig"; }
  std::filesystem::path super_admin() const { return root / "super-admin.conf"; }
  std::filesystem::path data() const { return root / "data"; }
  std::filesystem::path run() const { return root / "run"; }
  std::filesystem::path kubelet() const { return root / "kubelet"; }
  std::filesystem::path logs() const { return root / "logs"; }
  std::filesystem::path engine() const { return root / "engine"; }
  // Of a cluster of containers.
  std::filesystem::path manifest() const { return root / "compose.yaml"; }
  std::filesystem::path components() const { return root / "components"; }
  // What a component's container has as /etc/kubernetes.
  std::filesystem::path component(const std::string& key) const { return components() / key; }
  // A kubelet's folder; all of them are below kubelet(), which is a shared mount.
  std::filesystem::path node(const std::string& name) const { return kubelet() / name; }
  // Of all-in-one: its copies of `rusternetes`, a folder for each release that it runs or ran before.
  std::filesystem::path programs() const { return root / "programs"; }
  std::filesystem::path process_log() const { return logs() / "rusternetes.log"; }
  // Of the snapshots that are taken by themselves.
  std::filesystem::path schedule_log() const { return logs() / "snapshots.log"; }
  std::filesystem::path schedule_memory() const { return run() / "schedule.json"; }
};

struct Home {
  std::filesystem::path root;

  std::filesystem::path state_file() const { return root / "state.db"; }
  std::filesystem::path lock_file() const { return root / "lock"; }
  std::filesystem::path image_cache() const { return root / "images.json"; }
  std::filesystem::path clusters() const { return root / "clusters"; }
  std::filesystem::path snapshots() const { return root / "snapshots"; }
  ClusterPaths cluster(const std::string& name) const { return {clusters() / name}; }
};

// --home, RUSTERNETES_HOME, $XDG_DATA_HOME/rusternetes, ~/.local/share/rusternetes: the first that is given,
// absolute.
Home find_home(const std::string& flag,
               const std::function<std::optional<std::string>(const char*)>& variable);

}  // namespace rusternetes::launcher
