#include "launcher/components/foreign_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/cidr.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "apimachinery/registry.h"
#include "launcher/failure.h"

namespace rusternetes::launcher {
namespace {

using namespace apimachinery;

constexpr std::string_view root = "/registry/",
                           encrypted = "k8s:enc:", node_ports = "/registry/ranges/servicenodeports",
                           local_services = "/registry/apiregistration.k8s.io/apiservices/",
                           daemon_sets = "/registry/daemonsets/", cluster_admins = "kubeadm:cluster-admins",
                           default_ports = "30000-32767";

// Whatever begins so.
constexpr std::array<std::string_view, 4> gone_below{
    "/registry/minions/", "/registry/clustertrustbundles/kubernetes.io:kube-apiserver-serving:",
    "/registry/secrets/kube-system/bootstrap-token-",
    "/registry/configmaps/kube-system/kubelet-config",  // once with the version behind it
};
constexpr std::array<std::string_view, 13> gone{
    // What api-servers say of themselves, and to those that join.
    "/registry/configmaps/kube-system/extension-apiserver-authentication",
    "/registry/configmaps/kube-system/kube-apiserver-legacy-service-account-token-tracking",
    "/registry/configmaps/kube-public/cluster-info",
    // What kubeadm keeps, and runs.
    "/registry/configmaps/kube-system/kubeadm-config",
    "/registry/configmaps/kube-system/kube-proxy",
    "/registry/daemonsets/kube-system/kube-proxy",
    "/registry/serviceaccounts/kube-system/kube-proxy",
    "/registry/deployments/kube-system/coredns",
    "/registry/serviceaccounts/kube-system/coredns",
    "/registry/clusterroles/system:coredns",
    "/registry/clusterrolebindings/system:coredns",
    "/registry/roles/kube-system/kube-proxy",
    "/registry/rolebindings/kube-system/kube-proxy",
};

// kubeadm's own, in every namespace, but for who is administrator.
constexpr std::array<std::string_view, 4> rights{"/registry/clusterroles/", "/registry/clusterrolebindings/",
                                                 "/registry/roles/", "/registry/rolebindings/"};

// They would change the nodes' network, which the kubelet makes here.
constexpr std::array<std::string_view, 12> network_plugins{
    "kube-flannel-ds", "calico-node", "canal",        "cilium",       "cilium-envoy", "kindnet",
    "weave-net",       "kube-router", "antrea-agent", "kube-ovn-cni", "ovs-ovn",      "kube-multus-ds"};

// What is made anew, so that one in another version is not missed.
constexpr std::array<std::string_view, 9> made_anew{"/registry/flowschemas/",
                                                    "/registry/prioritylevelconfigurations/",
                                                    "/registry/ipaddresses/",
                                                    "/registry/servicecidrs/",
                                                    "/registry/leases/",
                                                    "/registry/events/",
                                                    "/registry/endpointslices/",
                                                    "/registry/resourceslices/",
                                                    "/registry/certificatesigningrequests/"};

template <class Names>
bool begins_with_one(std::string_view key, const Names& names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view one) { return key.starts_with(one); });
}

std::string_view name_of(std::string_view key) { return key.substr(key.rfind('/') + 1); }

Status refused_as_encrypted(std::string_view key) {
  return failure("EncryptedAtRest",
                 fmt::format("{} is encrypted by a key of the other cluster, as perhaps others are", key));
}

// One that its api-server answers itself: ours has its own.
bool is_local(std::string_view api_service) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(api_service, error);
  if (error) return false;
  const boost::json::value* service = value.find_pointer("/spec/service", error);
  return service == nullptr || service->is_null();
}

// Those of Services would lie outside of ours.
bool has_other_ports(std::string_view allocation) {
  const auto envelope = open_protobuf_envelope(allocation);
  if (!envelope) return true;
  Arena arena;
  const auto value = decode_protobuf(arena, envelope->raw, core_v1::RangeAllocation::schema_type());
  return !value || core_v1::RangeAllocation(&*value).range() != default_ports;
}

// Of the objects that kubeadm and the api-server write, in whichever version.
std::string text_in(const StoredObject& object, const std::function<std::string(const Value&)>& find) {
  if (!has_protobuf_prefix(*object.value)) return {};
  const auto envelope = open_protobuf_envelope(*object.value);
  if (!envelope) return {};
  const Kind* kind = Registry::builtin()->find_kind(envelope->api_version, envelope->kind);
  if (kind == nullptr) return {};
  Arena arena;
  const auto value = decode_protobuf(arena, envelope->raw, *kind->type);
  return value ? find(*value) : std::string();
}

// "serviceSubnet: 10.96.0.0/12" of kubeadm's ClusterConfiguration, which is YAML.
std::string subnet_of(std::string_view configuration) {
  constexpr std::string_view field = "serviceSubnet:";
  const auto at = configuration.find(field);
  if (at == std::string_view::npos) return {};
  std::string_view text = configuration.substr(at + field.size());
  text = text.substr(0, text.find('\n'));
  std::string out;
  for (const char c : text)
    if (c != ' ' && c != '"' && c != '\'' && c != '\r') out += c;
  return out;
}

// Clusters of ours have one family.
void add_ranges(std::string_view text, ForeignCluster& out) {
  while (!text.empty() && out.service_cidrs.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (const auto range = Cidr::parse(text.substr(0, comma)); range && range->is_v4())
      out.service_cidrs.push_back(range->masked().to_string());
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
}

constexpr std::array<std::string_view, 2> telling{"/registry/servicecidrs/kubernetes",
                                                  "/registry/configmaps/kube-system/kubeadm-config"};

}  // namespace

Result<bool> is_left_behind(std::string_view key, std::string_view value) {
  if (!key.starts_with(root)) return true;
  if (value.starts_with(encrypted)) return refused_as_encrypted(key);
  if (begins_with_one(key, gone_below) || std::find(gone.begin(), gone.end(), key) != gone.end()) return true;
  if (begins_with_one(key, rights) && name_of(key).starts_with("kubeadm:") && name_of(key) != cluster_admins)
    return true;
  if (key.starts_with(daemon_sets) &&
      std::find(network_plugins.begin(), network_plugins.end(), name_of(key)) != network_plugins.end())
    return true;
  if (key.starts_with(local_services)) return is_local(value);
  if (key == node_ports) return has_other_ports(value);
  if (!has_protobuf_prefix(value)) return false;
  const auto envelope = open_protobuf_envelope(value);
  if (!envelope)
    return failure("SnapshotDamaged", fmt::format("{} cannot be read: {}", key, envelope.error().message));
  static const std::shared_ptr<const Registry> registry = Registry::builtin();
  if (registry->find_kind(envelope->api_version, envelope->kind) != nullptr) return false;
  // Of no API, as the allocations are.
  if (key.starts_with("/registry/ranges/") || key.starts_with("/registry/masterleases/")) return false;
  if (begins_with_one(key, made_anew)) return true;
  return failure("UnservedVersion", fmt::format("{} is stored as {} {}, which this release does not serve",
                                                key, envelope->api_version, envelope->kind));
}

std::span<const std::string_view> telling_keys() { return telling; }

Result<ForeignCluster> tell_of(const std::vector<StoredObject>& objects) {
  ForeignCluster out;
  for (const StoredObject& object : objects)
    if (object.value->starts_with(encrypted)) return refused_as_encrypted(object.key);
  for (const std::string_view key : telling)  // the first that says something counts
    for (const StoredObject& object : objects) {
      if (object.key != key) continue;
      add_ranges(
          text_in(object,
                  [&](const Value& value) -> std::string {
                    if (key == telling.back()) {
                      const Value* data = value.get(core_v1::ConfigMap::f_data);
                      const Value* text = data == nullptr ? nullptr : data->lookup("ClusterConfiguration");
                      return text == nullptr ? std::string() : subnet_of(text->str());
                    }
                    std::string ranges;
                    for (const std::string_view one : networking_v1::ServiceCIDR(&value).spec().cidrs())
                      ranges += (ranges.empty() ? "" : ",") + std::string(one);
                    return ranges;
                  }),
          out);
    }
  return out;
}

}  // namespace rusternetes::launcher
