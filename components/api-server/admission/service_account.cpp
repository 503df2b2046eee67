// A Pod acts as a ServiceAccount of its namespace and finds its token mounted (plugin/pkg/admission/serviceaccount).

#include <fmt/format.h>

#include "api-server/admission/plugins.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/names.h"
#include "apimachinery/uid.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Pod;
using core_v1::PodSpec;

namespace {

constexpr std::string_view token_path = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::int64_t token_lifetime_s = 3607;

class ServiceAccountAdmission final : public AdmissionPlugin {
 public:
  explicit ServiceAccountAdmission(const ObjectSource& source) : source_(source) {}
  std::string_view name() const override { return "ServiceAccount"; }

  Result<void> mutate(AdmissionRequest& request) const override {
    if (!is_pods(request) || request.operation != "CREATE" || !request.object || !request.call.info.subresource.empty()) return {};
    Arena& arena = request.call.arena;
    Value& object = *request.object;
    const Pod pod(&object);
    // A mirror Pod stands for one that a kubelet has from elsewhere.
    if (pod.metadata().annotations().contains("kubernetes.io/config.mirror")) return check_mirror(pod);
    Value& spec = ensure(arena, object, Pod::f_spec);
    if (PodSpec(&spec).serviceAccountName().empty()) set_string(arena, spec, PodSpec::f_serviceAccountName, "default");
    const std::string name(PodSpec(&spec).serviceAccountName());
    set_string(arena, spec, PodSpec::f_serviceAccount, name);
    const Document document = source_.get("", "serviceaccounts", request.call.info.name_space, name);
    if (!document)
      return forbidden({"", "pods"}, request.name,
                       fmt::format("error looking up service account {}/{}: serviceaccount \"{}\" not found", request.call.info.name_space, name, name));
    const core_v1::ServiceAccount account(&document.root());
    if (wants_token(PodSpec(&spec), account)) mount_token(arena, spec);
    if (PodSpec(&spec).imagePullSecrets().empty() && !account.imagePullSecrets().empty())
      assign(set_field(arena, spec, PodSpec::f_imagePullSecrets), deep_copy(arena, *document.root().get(core_v1::ServiceAccount::f_imagePullSecrets)));
    return {};
  }

 private:
  static Result<void> check_mirror(const Pod& pod) {
    if (!pod.spec().serviceAccountName().empty())
      return forbidden({"", "pods"}, pod.metadata().name(), "a mirror pod may not reference service accounts");
    return {};
  }

  static bool wants_token(const PodSpec& spec, const core_v1::ServiceAccount& account) {
    if (spec.has_automountServiceAccountToken()) return spec.automountServiceAccountToken();
    if (account.has_automountServiceAccountToken()) return account.automountServiceAccountToken();
    return true;
  }

  // The projected volume kube-api-access-xxxxx, for each container that mounts nothing at the path itself.
  static void mount_token(Arena& arena, Value& spec) {
    std::string volume_name;
    for (const auto volume : PodSpec(&spec).volumes())
      if (volume.name().starts_with("kube-api-access-")) volume_name = volume.name();
    const bool has_volume = !volume_name.empty();
    if (!has_volume) volume_name = "kube-api-access-" + random_suffix();
    bool needs_volume = false;
    for (const int list : {PodSpec::f_initContainers, PodSpec::f_containers}) {
      Value* containers = spec.get(list);
      if (!containers) continue;
      for (auto& container : containers->children()) {
        bool is_taken = false;
        for (const auto mount : core_v1::Container(&container).volumeMounts()) is_taken |= mount.mountPath() == token_path;
        if (is_taken) continue;
        using M = core_v1::VolumeMount;
        Value& mount = append_structure(arena, ensure(arena, container, core_v1::Container::f_volumeMounts, ValueKind::list));
        set_string(arena, mount, M::f_name, volume_name);
        set_boolean(arena, mount, M::f_readOnly, true);
        set_string(arena, mount, M::f_mountPath, token_path);
        needs_volume = true;
      }
    }
    if (!needs_volume || has_volume) return;
    using V = core_v1::Volume;
    using P = core_v1::VolumeProjection;
    Value& volume = append_structure(arena, ensure(arena, spec, PodSpec::f_volumes, ValueKind::list));
    set_string(arena, volume, V::f_name, volume_name);
    Value& projected = ensure(arena, volume, V::f_projected);
    set_integer(arena, projected, core_v1::ProjectedVolumeSource::f_defaultMode, 0644);
    Value& sources = ensure(arena, projected, core_v1::ProjectedVolumeSource::f_sources, ValueKind::list);
    {
      Value& token = ensure(arena, append_structure(arena, sources), P::f_serviceAccountToken);
      set_integer(arena, token, core_v1::ServiceAccountTokenProjection::f_expirationSeconds, token_lifetime_s);
      set_string(arena, token, core_v1::ServiceAccountTokenProjection::f_path, "token");
    }
    {
      Value& map = ensure(arena, append_structure(arena, sources), P::f_configMap);
      set_string(arena, map, core_v1::ConfigMapProjection::f_name, "kube-root-ca.crt");
      Value& item = append_structure(arena, ensure(arena, map, core_v1::ConfigMapProjection::f_items, ValueKind::list));
      set_string(arena, item, core_v1::KeyToPath::f_key, "ca.crt");
      set_string(arena, item, core_v1::KeyToPath::f_path, "ca.crt");
    }
    Value& downward = ensure(arena, append_structure(arena, sources), P::f_downwardAPI);
    Value& item = append_structure(arena, ensure(arena, downward, core_v1::DownwardAPIProjection::f_items, ValueKind::list));
    using F = core_v1::DownwardAPIVolumeFile;
    set_string(arena, item, F::f_path, "namespace");
    Value& reference = ensure(arena, item, F::f_fieldRef);
    set_string(arena, reference, core_v1::ObjectFieldSelector::f_apiVersion, "v1");
    set_string(arena, reference, core_v1::ObjectFieldSelector::f_fieldPath, "metadata.namespace");
  }

  const ObjectSource& source_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_service_account_admission(const ObjectSource& source) { return std::make_unique<ServiceAccountAdmission>(source); }

}  // namespace rusternetes::api_server
