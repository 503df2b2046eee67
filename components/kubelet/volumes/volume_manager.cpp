#include "kubelet/volumes/volume_manager.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "kubelet/volumes/atomic_writer.h"
#include "kubelet/volumes/mounts.h"

namespace rusternetes::kubelet {

namespace fs = std::filesystem;
using apimachinery::Quantity;

namespace {

// Below a Pod's folder.
constexpr const char* kVolumes = "volumes";
constexpr const char* kSubPaths = "volume-subpaths";

constexpr char kEmptyDir[] = "kubernetes.io~empty-dir";
constexpr std::int64_t kDefaultMode = 0644;

// The folder's name by the kind of volume, as Kubernetes names it; empty for what is not prepared below the Pod's folder.
std::string_view plugin_of(const core_v1::Volume& volume) {
  if (volume.emptyDir()) return kEmptyDir;
  if (volume.configMap()) return "kubernetes.io~configmap";
  if (volume.secret()) return "kubernetes.io~secret";
  if (volume.projected()) return "kubernetes.io~projected";
  if (volume.downwardAPI()) return "kubernetes.io~downward-api";
  return {};
}

std::optional<std::int64_t> fs_group(const core_v1::Pod& pod) {
  const auto context = pod.spec().securityContext();
  return context.has_fsGroup() ? std::optional(context.fsGroup()) : std::nullopt;
}

// The user that all containers run as, if they name the same one.
std::optional<std::int64_t> common_user(const core_v1::Pod& pod) {
  std::optional<std::int64_t> out;
  bool is_first = true;
  for (const auto& list : {pod.spec().initContainers(), pod.spec().containers()})
    for (const auto container : list) {
      std::optional<std::int64_t> user;
      if (pod.spec().securityContext().has_runAsUser()) user = pod.spec().securityContext().runAsUser();
      if (container.securityContext().has_runAsUser()) user = container.securityContext().runAsUser();
      if (!user || (!is_first && out != user)) return {};
      out = user;
      is_first = false;
    }
  return out;
}

// What the Pod wrote keeps its owners: made and given to the group once, and there only when all of that is done.
Result<void> make_empty_dir(const std::string& path, std::optional<std::int64_t> group) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) return {};
  const std::string aside = path + ".new";  // no volume's name has a dot
  fs::remove_all(aside, ec);                // of an interrupted try
  fs::create_directories(aside, ec);
  if (ec) return internal_error(fmt::format("make {}: {}", aside, ec.message()));
  if (::chmod(aside.c_str(), 0777) != 0) return errno_error("chmod " + aside, errno);
  if (group) RN_CHECK(give_to_group(aside, *group));
  if (::rename(aside.c_str(), path.c_str()) != 0) return errno_error("rename to " + path, errno);
  return {};
}

std::int64_t tmpfs_size(const core_v1::Pod& pod, const core_v1::EmptyDirVolumeSource& source) {
  const auto parsed = Quantity::parse(source.has_sizeLimit() ? source.sizeLimit() : "0");
  return parsed && parsed->sign() > 0 ? parsed->value() : pod_resources(pod).memory_limit_bytes.value_or(0);
}

}  // namespace

std::string pod_folder(const KubeletOptions& options, std::string_view pod_uid) {
  return fmt::format("{}/pods/{}", options.root_dir, pod_uid);
}

std::string volume_folder(const KubeletOptions& options, std::string_view pod_uid, std::string_view plugin, std::string_view volume) {
  return fmt::format("{}/{}/{}/{}", pod_folder(options, pod_uid), kVolumes, plugin, volume);
}

VolumeManager::VolumeManager(client::ApiClient& client, Objects& objects, const KubeletOptions& options, WorkerThread& worker)
    : tokens_(client, *options.clock), objects_(objects), options_(options), worker_(worker) {}

std::string VolumeManager::host_path(const core_v1::Pod& pod, const core_v1::Volume& volume) const {
  if (const auto host = volume.hostPath()) return std::string(host.path());
  return volume_folder(options_, pod.metadata().uid(), plugin_of(volume), volume.name());
}

Task<Result<void>> VolumeManager::prepare(Document pod, DownwardContext context) {
  for (const auto volume : pod_view(pod).spec().volumes()) {
    auto done = co_await prepare_one(pod, volume, context);
    if (!done)
      co_return internal_error(fmt::format("MountVolume.SetUp failed for volume \"{}\" : {}", volume.name(), done.error().message));
  }
  co_return Result<void>{};
}

Task<Result<void>> VolumeManager::prepare_one(Document pod, core_v1::Volume volume, DownwardContext context) {
  const auto view = pod_view(pod);
  if (const auto host = volume.hostPath()) {
    const std::string path(host.path()), type(host.type());
    auto check = [path, type] { return check_host_path(path, type); };
    co_return co_await worker_.run(check);
  }
  if (plugin_of(volume).empty()) co_return internal_error("this kind of volume is not supported");
  const std::string path = host_path(view, volume);
  if (const auto source = volume.emptyDir()) {
    const bool in_memory = source.medium() == "Memory";
    const auto size = in_memory ? tmpfs_size(view, source) : 0;
    const auto group = fs_group(view);
    auto make = [path, in_memory, size, group] {
      return in_memory ? ensure_tmpfs(path, size, group ? 02777 : 0777, group) : make_empty_dir(path, group);
    };
    co_return co_await worker_.run(make);
  }
  auto payload = co_await payload_of(pod, volume, std::move(context));
  if (!payload) co_return payload.error();
  co_return co_await write(pod, path, *std::move(payload), !volume.configMap());
}

Task<Result<void>> VolumeManager::write(Document pod, std::string folder, Payload payload, bool in_memory) {
  const auto group = fs_group(pod_view(pod));
  if (group)
    for (auto& [path, file] : payload) file.mode = mode_for_group(file.mode);
  auto work = [folder, payload = std::move(payload), in_memory, group]() -> Result<void> {
    std::error_code ec;
    if (in_memory) {
      RN_CHECK(ensure_tmpfs(folder, 0, 0755));
    } else {
      fs::create_directories(folder, ec);
      if (ec) return internal_error(fmt::format("make {}: {}", folder, ec.message()));
    }
    ::chmod(folder.c_str(), 0777);
    RN_TRY([[maybe_unused]] const bool changed, write_atomically(folder, payload, group.value_or(-1)));
    return {};
  };
  co_return co_await worker_.run(std::move(work));
}

Task<Result<Payload>> VolumeManager::payload_of(Document pod, core_v1::Volume volume, DownwardContext context) {
  const auto view = pod_view(pod);
  const std::string name_space(view.metadata().namespace_());
  Payload out;
  if (const auto source = volume.configMap()) {
    const std::vector<ObjectReference> references{{ObjectKind::config_map, std::string(source.name()), source.optional()}};
    auto objects = co_await objects_.load(name_space, references);
    if (!objects) co_return objects.error();
    if (const auto* object = objects->find(ObjectKind::config_map, source.name()))
      RN_CO_CHECK(add_config_map(out, core_v1::ConfigMap(&object->root()), source.items(),
                                 static_cast<std::uint32_t>(source.defaultMode(kDefaultMode)), source.optional()));
  } else if (const auto source = volume.secret()) {
    const std::vector<ObjectReference> references{{ObjectKind::secret, std::string(source.secretName()), source.optional()}};
    auto objects = co_await objects_.load(name_space, references);
    if (!objects) co_return objects.error();
    if (const auto* object = objects->find(ObjectKind::secret, source.secretName()))
      RN_CO_CHECK(add_secret(out, core_v1::Secret(&object->root()), source.items(),
                             static_cast<std::uint32_t>(source.defaultMode(kDefaultMode)), source.optional()));
  } else if (const auto source = volume.downwardAPI()) {
    RN_CO_CHECK(add_downward(out, view, source.items(), static_cast<std::uint32_t>(source.defaultMode(kDefaultMode)), context));
  } else if (const auto source = volume.projected()) {
    co_return co_await projected_payload(pod, source, std::move(context));
  }
  co_return out;
}

Task<Result<Payload>> VolumeManager::projected_payload(Document pod, core_v1::ProjectedVolumeSource source, DownwardContext context) {
  const auto view = pod_view(pod);
  const std::string name_space(view.metadata().namespace_());
  const auto mode = static_cast<std::uint32_t>(source.defaultMode(kDefaultMode));
  Payload out;
  for (const auto one : source.sources()) {
    if (const auto map = one.configMap()) {
      const std::vector<ObjectReference> references{{ObjectKind::config_map, std::string(map.name()), map.optional()}};
      auto objects = co_await objects_.load(name_space, references);
      if (!objects) co_return objects.error();
      if (const auto* object = objects->find(ObjectKind::config_map, map.name()))
        RN_CO_CHECK(add_config_map(out, core_v1::ConfigMap(&object->root()), map.items(), mode, map.optional()));
    } else if (const auto secret = one.secret()) {
      const std::vector<ObjectReference> references{{ObjectKind::secret, std::string(secret.name()), secret.optional()}};
      auto objects = co_await objects_.load(name_space, references);
      if (!objects) co_return objects.error();
      if (const auto* object = objects->find(ObjectKind::secret, secret.name()))
        RN_CO_CHECK(add_secret(out, core_v1::Secret(&object->root()), secret.items(), mode, secret.optional()));
    } else if (const auto downward = one.downwardAPI()) {
      RN_CO_CHECK(add_downward(out, view, downward.items(), mode, context));
    } else if (const auto token = one.serviceAccountToken()) {
      RN_CO_CHECK(check_volume_path(token.path()));
      auto text = co_await tokens_.token(pod, std::string(token.audience()), token.expirationSeconds(3600));
      if (!text) co_return text.error();
      VolumeFile file{*std::move(text), mode, {}};
      // Readable by who runs in the Pod: its one user alone, or whoever there is.
      if (const auto user = common_user(view)) {
        file.owner = user;
        file.mode = 0600;
      } else if (fs_group(view)) {
        file.mode = 0600;  // the group gets its part in write()
      }
      out[std::string(token.path())] = std::move(file);
    } else {
      co_return internal_error("this projected source is not supported");
    }
  }
  co_return out;
}

namespace {

engine::Propagation propagation_of(std::string_view word) {
  if (word == "HostToContainer") return engine::Propagation::host_to_container;
  if (word == "Bidirectional") return engine::Propagation::bidirectional;
  return engine::Propagation::none;
}

bool is_always_read_only(const core_v1::Volume& volume) {
  return volume.configMap() || volume.secret() || volume.projected() || volume.downwardAPI();
}

}  // namespace

Task<Result<std::vector<engine::Mount>>> VolumeManager::mounts(Document pod, ContainerRef ref, Environment environment) {
  const auto view = pod_view(pod);
  const auto container = container_of(view, ref);
  Variables variables;
  for (auto& [name, value] : environment) variables[name] = value;
  std::vector<engine::Mount> out;
  std::size_t index = 0;
  for (const auto mount : container.volumeMounts()) {
    core_v1::Volume volume;
    for (const auto one : view.spec().volumes())
      if (one.name() == mount.name()) volume = one;
    if (!volume) co_return internal_error(fmt::format("cannot find volume \"{}\" to mount into container \"{}\"", mount.name(), container.name()));
    engine::Mount made;
    made.host_path = host_path(view, volume);
    made.container_path = mount.mountPath();
    made.is_read_only = mount.readOnly() || is_always_read_only(volume);
    made.propagation = propagation_of(mount.mountPropagation());
    std::string sub_path = mount.subPathExpr().empty() ? std::string(mount.subPath()) : expand(mount.subPathExpr(), variables);
    if (!sub_path.empty()) {
      RN_CO_CHECK(check_sub_path(sub_path));
      sub_path = (fs::path(sub_path) / "").lexically_normal().parent_path().string();  // "a//b/": "a/b"
      if (sub_path.empty()) sub_path = ".";
      const std::string target = fmt::format("{}/{}/{}/{}/{}", pod_folder(options_, view.metadata().uid()), kSubPaths,
                                             volume.name(), container.name(), index);
      const std::string source = made.host_path;
      auto bind = [source, sub_path, target] { return bind_sub_path(source, sub_path, target); };
      auto bound = co_await worker_.run(bind);
      if (!bound) co_return internal_error(fmt::format("failed to prepare subPath for volumeMount \"{}\" of container \"{}\": {}",
                                                       mount.name(), container.name(), bound.error().message));
      made.host_path = target;
    }
    ++index;
    out.push_back(std::move(made));
  }
  co_return out;
}

Task<Result<void>> VolumeManager::remove_volumes(std::string pod_uid) {
  tokens_.forget(pod_uid);
  const std::string folder = pod_folder(options_, pod_uid);
  auto work = [folder]() -> Result<void> {
    for (const auto* part : {kSubPaths, kVolumes}) RN_CHECK(remove_tree(folder + "/" + part));
    return {};
  };
  co_return co_await worker_.run(work);
}

Task<Result<void>> VolumeManager::remove(std::string pod_uid) {
  tokens_.forget(pod_uid);
  const std::string folder = pod_folder(options_, pod_uid);
  auto work = [folder] { return remove_tree(folder); };
  co_return co_await worker_.run(work);
}

Task<std::vector<std::string>> VolumeManager::pods_on_disk() {
  const std::string folder = options_.root_dir + "/pods";
  auto work = [folder] {
    std::vector<std::string> out;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(folder, ec)) out.push_back(entry.path().filename().string());
    return out;
  };
  co_return co_await worker_.run(work);
}

}  // namespace rusternetes::kubelet
