// What of another Kubernetes cluster's etcd comes along, what does not, and what that etcd tells.
#include "launcher/components/foreign_cluster.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <set>

#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "apimachinery/registry.h"
#include "stores.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::testing;
namespace api = rusternetes::apimachinery;

namespace {

// Of no kind of ours; its body is never read.
std::string packed_as(const std::string& version, const std::string& kind) {
  return api::protobuf_envelope_head(version, kind, 0) + std::string(api::protobuf_envelope_tail());
}

StoredObject object(std::string key, std::string value) {
  return {std::move(key), std::make_shared<const std::string>(std::move(value))};
}

const std::string& config_map() {
  static const std::string value =
      packed_object(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}})");
  return value;
}

bool is_left(const std::string& key, const std::string& value = config_map()) {
  const auto left = is_left_behind(key, value);
  INFO(key << " " << (left ? "" : left.error().message));
  REQUIRE(left);
  return *left;
}

}  // namespace

TEST_CASE("what people made comes along") {
  for (const char* key :
       {"/registry/configmaps/default/web", "/registry/deployments/kube-system/coredns-autoscaler",
        "/registry/configmaps/kube-system/coredns", "/registry/secrets/default/tls",
        "/registry/deployments/kube-system/metrics-server", "/registry/daemonsets/monitoring/node-exporter",
        "/registry/clusterrolebindings/kubeadm:cluster-admins", "/registry/namespaces/team",
        "/registry/serviceaccounts/default/default", "/registry/persistentvolumes/disk"})
    CHECK_FALSE(is_left(key));
  CHECK_FALSE(is_left("/registry/example.test/things/default/one",
                      R"({"apiVersion":"example.test/v1","kind":"Thing"})"));
  CHECK_FALSE(is_left(
      "/registry/apiregistration.k8s.io/apiservices/v1beta1.metrics.k8s.io",
      R"({"kind":"APIService","spec":{"service":{"name":"metrics-server","namespace":"kube-system"}}})"));
  CHECK_FALSE(
      is_left("/registry/ranges/servicenodeports",
              packed_object(R"({"apiVersion":"v1","kind":"RangeAllocation","range":"30000-32767","data":""})")));
}

TEST_CASE("nodes, and what runs on them or lets more join, stay behind") {
  for (const char* key :
       {"/registry/minions/control-plane", "/registry/configmaps/kube-system/kubeadm-config",
        "/registry/configmaps/kube-system/kubelet-config",
        "/registry/configmaps/kube-system/extension-apiserver-authentication",
        "/registry/configmaps/kube-public/cluster-info",
        "/registry/secrets/kube-system/bootstrap-token-abcdef", "/registry/daemonsets/kube-system/kube-proxy",
        "/registry/deployments/kube-system/coredns", "/registry/daemonsets/kube-flannel/kube-flannel-ds",
        "/registry/daemonsets/kube-system/calico-node", "/registry/clusterroles/kubeadm:get-nodes",
        "/registry/rolebindings/kube-system/kubeadm:nodes-kubeadm-config", "compact_rev_key",
        "/calico/resources/v3/x"})
    CHECK(is_left(key));
  CHECK(is_left("/registry/apiregistration.k8s.io/apiservices/v1.apps",
                R"({"kind":"APIService","spec":{"group":"apps"}})"));
  CHECK(is_left("/registry/ranges/servicenodeports",
                packed_object(R"({"apiVersion":"v1","kind":"RangeAllocation","range":"20000-22767","data":""})")));
}

TEST_CASE("an encrypted object is refused, whichever it is") {
  for (const char* value : {"k8s:enc:aescbc:v1:key1:\x01\x02", "k8s:enc:kms:v2:name:x"}) {
    const auto refused = is_left_behind("/registry/secrets/default/password", value);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is("EncryptedAtRest"));
    CHECK(refused.error().message.find("/registry/secrets/default/password") != std::string::npos);
    const auto told = tell_of({object("/registry/configmaps/kube-system/kubeadm-config", value)});
    REQUIRE_FALSE(told);
    CHECK(told.error().is("EncryptedAtRest"));
  }
}

TEST_CASE("an object in a version that is not served is refused, unless it is made anew") {
  const auto refused = is_left_behind("/registry/horizontalpodautoscalers/default/web",
                                      packed_as("autoscaling/v2beta2", "HorizontalPodAutoscaler"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("UnservedVersion"));
  CHECK(refused.error().message.find("autoscaling/v2beta2 HorizontalPodAutoscaler") != std::string::npos);
  CHECK(is_left("/registry/flowschemas/system-nodes",
                packed_as("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema")));
  CHECK(is_left("/registry/ipaddresses/10.96.0.1", packed_as("networking.k8s.io/v1alpha1", "IPAddress")));
  const auto cut = is_left_behind("/registry/pods/default/a", config_map().substr(0, 9));
  REQUIRE_FALSE(cut);
  CHECK(cut.error().is("SnapshotDamaged"));
}

TEST_CASE("the Services' range is what the ServiceCIDR says, or else what kubeadm was given") {
  const auto cidr =
      object("/registry/servicecidrs/kubernetes", packed_object(R"({"apiVersion":"networking.k8s.io/v1",
    "kind":"ServiceCIDR","metadata":{"name":"kubernetes"},"spec":{"cidrs":["fd00::/112","10.32.0.0/16"]}})"));
  const auto kubeadm = object("/registry/configmaps/kube-system/kubeadm-config", packed_object(R"({"apiVersion":"v1",
    "kind":"ConfigMap","metadata":{"name":"kubeadm-config"},"data":{"ClusterConfiguration":
    "networking:\n  dnsDomain: cluster.local\n  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/12\nscheduler: {}\n"}})"));
  CHECK(tell_of({cidr, kubeadm})->service_cidrs == std::vector<std::string>{"10.32.0.0/16"});
  CHECK(tell_of({kubeadm})->service_cidrs == std::vector<std::string>{"10.96.0.0/12"});
  CHECK(tell_of({object("/registry/configmaps/kube-system/kubeadm-config", "nonsense")})
            ->service_cidrs.empty());
  CHECK(tell_of({})->service_cidrs.empty());
}
