// What a kubelet may write. The refusals' texts are those of a real kube-apiserver v1.35.

#include <fmt/format.h>

#include "api-server/instance.h"
#include "apimachinery/api/core_v1.h"
#include "authn_keys.h"
#include "client/object_builder.h"
#include "server_test_support.h"

using namespace rusternetes;
using api_server::Instance;
using api_server::InstanceOptions;
using api_server::testing::TestServer;
using apimachinery::Document;
using client::Resource;

namespace {

constexpr Resource nodes{"", "v1", "nodes"}, pods{"", "v1", "pods"}, accounts{"", "v1", "serviceaccounts"};

// Admission alone decides unless a test says otherwise.
InstanceOptions options_with(std::vector<std::string> modes) {
  InstanceOptions options;
  options.authorization_modes = std::move(modes);
  options.enable_admission_plugins = {"NodeRestriction"};
  options.service_account_signing_key_pem = api_server::test_pem("P-256", true);
  return options;
}

// The Node n1, as an administrator sees to it, and the kubelets of n1 and n2.
class NodeWorld {
 public:
  explicit NodeWorld(std::vector<std::string> modes = {"AlwaysAllow"}) : server(options_with(std::move(modes))) {
    kubelet = server.instance().make_client(Instance::node("n1"), server.thread().executor(), "kubelet/1");
    other = server.instance().make_client(Instance::node("n2"), server.thread().executor(), "kubelet/1");
    admin("POST", "/api/v1/nodes", R"({"metadata":{"name":"n1","labels":{"node-restriction.kubernetes.io/z":"1","a":"b"}}})");
    uid = uid_of("/api/v1/nodes/n1");
    admin("POST", "/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"default"}})");
  }
  ~NodeWorld() {
    server.run([this]() -> Task<> {
      kubelet.reset();
      other.reset();
      co_return;
    });
  }
  std::string admin(std::string method, std::string path, std::string body = {}, std::string type = "application/json") {
    const auto answer = server.send(method, path, body, type);
    INFO(answer.body);
    REQUIRE(answer.code / 100 == 2);
    return answer.body;
  }
  std::string uid_of(const std::string& path) {
    const auto body = admin("GET", path);
    const auto at = body.find(R"("uid":")") + 7;
    return body.substr(at, body.find('"', at) - at);
  }
  void pod(const std::string& name, const std::string& node = "n1", const std::string& volumes = "[]") {
    admin("POST", "/api/v1/namespaces/default/pods", fmt::format(R"({{"metadata":{{"name":"{}","labels":{{"a":"b"}}}},"spec":{{"nodeName":"{}","automountServiceAccountToken":false,"containers":[{{"name":"c","image":"i"}}],"volumes":{}}}}})", name, node, volumes));
  }
  // Each gives "ok" or the refusal's message.
  std::string create(Resource resource, std::string name_space, std::string name, std::string subresource, std::string_view kind, const std::string& json,
                     bool is_other = false) {
    const std::string version = resource.group.empty() ? "v1" : fmt::format("{}/{}", resource.group, resource.version);
    const auto registry = apimachinery::Registry::builtin();
    const auto* found = registry->find_kind(kind == "Eviction" ? "policy/v1" : kind == "TokenRequest" ? "authentication.k8s.io/v1" : version, kind);
    REQUIRE(found);
    const Document object = client::ObjectBuilder::from_json(*found->type, json);
    std::string out;
    server.run([&]() -> Task<> {
      auto& client = is_other ? *other : *kubelet;
      auto done = co_await client.create(resource, name_space, name, subresource, object, {});
      out = done ? "ok" : done.error().message;
    });
    return out;
  }
  std::string patch(Resource resource, std::string name_space, std::string name, std::string subresource, const std::string& body, bool is_other = false) {
    std::string out;
    server.run([&]() -> Task<> {
      auto& client = is_other ? *other : *kubelet;
      auto done = co_await client.patch(resource, name_space, name, subresource, client::PatchType::merge, body, {});
      out = done ? "ok" : done.error().message;
    });
    return out;
  }
  std::string token(const std::string& spec, bool is_other = false) {
    return create(accounts, "default", "default", "token", "TokenRequest", fmt::format(R"({{"spec":{{{}}}}})", spec), is_other);
  }
  std::string mirror(const std::string& owner, const std::string& more = "") {
    return create(pods, "default", "", "", "Pod", fmt::format(R"({{"metadata":{{"name":"m","annotations":{{"kubernetes.io/config.mirror":"x"}},"ownerReferences":[{}]}},"spec":{{"nodeName":"n1","containers":[{{"name":"c","image":"i"}}]{}}}}})", owner, more));
  }

  TestServer server;
  std::unique_ptr<client::ApiClient> kubelet, other;
  std::string uid;
};

}  // namespace

TEST_CASE("a node gets tokens only for Pods that run on it") {
  NodeWorld world;
  world.pod("p");
  const std::string uid = world.uid_of("/api/v1/namespaces/default/pods/p");
  const std::string bound = fmt::format(R"("boundObjectRef":{{"kind":"Pod","apiVersion":"v1","name":"p","uid":"{}"}})", uid);
  const std::string refused = "serviceaccounts \"default\" is forbidden: ";
  CHECK(world.token("") == refused + "node requested token not bound to a pod");
  CHECK(world.token(fmt::format(R"("boundObjectRef":{{"kind":"Node","apiVersion":"v1","name":"n1","uid":"{}"}})", world.uid)) == refused + "node requested token not bound to a pod");
  CHECK(world.token(R"("boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p"})") == refused + "node requested token with a pod binding without a uid");
  CHECK(world.token(R"("boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"x"})") ==
        refused + "the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated");
  CHECK(world.token(R"("boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"none","uid":"x"})") == "pod \"none\" not found");
  CHECK(world.token(bound, true) == refused + "node requested token bound to a pod scheduled on a different node");
  CHECK(world.token(R"("audiences":["a","b"],)" + bound) == refused + "node may only request 0 or 1 audiences");
  CHECK(world.token(bound) == "ok");
  // Over HTTP, too, and others are not restricted.
  const auto answer = world.server.send("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", R"({"spec":{}})");
  CHECK(answer.code == 201);
}

TEST_CASE("a node gets tokens only for audiences that the Pod's volumes ask for") {
  NodeWorld world({"Node", "RBAC"});
  world.pod("p", "n1", R"([{"name":"v","projected":{"sources":[{"serviceAccountToken":{"path":"t","audience":"vault"}}]}},{"name":"d","csi":{"driver":"d.example"}}])");
  const std::string uid = world.uid_of("/api/v1/namespaces/default/pods/p");
  const std::string bound = fmt::format(R"("boundObjectRef":{{"kind":"Pod","apiVersion":"v1","name":"p","uid":"{}"}})", uid);
  CHECK(world.token(R"("audiences":["vault"],)" + bound) == "ok");
  CHECK(world.token(R"("audiences":["bank"],)" + bound) == "serviceaccounts \"default\" is forbidden: error validating audience \"bank\": csidriver.storage.k8s.io \"d.example\" not found");
  world.admin("POST", "/apis/storage.k8s.io/v1/csidrivers", R"({"metadata":{"name":"d.example"},"spec":{"tokenRequests":[{"audience":"bank"}]}})");
  CHECK(world.token(R"("audiences":["bank"],)" + bound) == "ok");
  CHECK(world.token(R"("audiences":["other"],)" + bound) ==
        "serviceaccounts \"default\" is forbidden: audience \"other\" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience");
  world.admin("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles",
              R"({"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["other"],"verbs":["request-serviceaccounts-token-audience"]}]})");
  world.admin("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
              R"({"metadata":{"name":"r"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:nodes"}]})");
  CHECK(world.token(R"("audiences":["other"],)" + bound) == "ok");
}

TEST_CASE("a node neither sets, changes nor removes labels by which it could draw Pods to itself") {
  NodeWorld world;
  const auto labels = [&](const std::string& some, const std::string& subresource = "") {
    return world.patch(nodes, "", "n1", subresource, R"({"metadata":{"labels":{)" + some + "}}}");
  };
  const std::string refused = "nodes \"n1\" is forbidden: is not allowed to modify labels: ";
  CHECK(labels(R"("node-restriction.kubernetes.io/z":null,"bar.kubernetes.io/z":"1")") == refused + "bar.kubernetes.io/z, node-restriction.kubernetes.io/z");
  CHECK(labels(R"("node-restriction.kubernetes.io/z":"2")") == refused + "node-restriction.kubernetes.io/z");
  CHECK(labels(R"("node-restriction.kubernetes.io/z":null)", "status") == refused + "node-restriction.kubernetes.io/z");
  CHECK(labels(R"("x.node-restriction.kubernetes.io/z":"")") == refused + "x.node-restriction.kubernetes.io/z");
  CHECK(labels(R"("node-role.kubernetes.io/control-plane":"")") == refused + "node-role.kubernetes.io/control-plane");
  CHECK(labels(R"("k8s.io/a":"")") == refused + "k8s.io/a");
  CHECK(labels(R"("kubernetes.io/hostname":"n1","x.kubelet.kubernetes.io/y":"","node.kubernetes.io/y":"","beta.kubernetes.io/os":"linux","notk8s.io/a":"","a":null)") == "ok");
  CHECK(world.create(nodes, "", "", "", "Node", R"({"metadata":{"name":"n2","labels":{"foo.k8s.io/a":"b","node-role.kubernetes.io/x":"","kubernetes.io/os":"linux"}}})", true) ==
        "nodes \"n2\" is forbidden: node \"n2\" is not allowed to set the following labels: foo.k8s.io/a, node-role.kubernetes.io/x");
  CHECK(world.create(nodes, "", "", "", "Node", R"({"metadata":{"name":"n2","labels":{"kubernetes.io/os":"linux","a":"b"}}})", true) == "ok");
}

TEST_CASE("a node changes its own Node, but not taints, owners or the source of its configuration") {
  NodeWorld world;
  const std::string refused = "nodes \"n1\" is forbidden: ";
  CHECK(world.patch(nodes, "", "n1", "", R"({"spec":{"unschedulable":true}})") == "ok");
  CHECK(world.patch(nodes, "", "n1", "", R"({"spec":{"taints":[{"key":"k","effect":"NoSchedule"}]}})") == refused + "node \"n1\" is not allowed to modify taints");
  CHECK(world.patch(nodes, "", "n1", "", R"({"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n1","uid":"x"}]}})") ==
        refused + "node \"n1\" is not allowed to modify ownerReferences");
  CHECK(world.patch(nodes, "", "n1", "", R"({"spec":{"configSource":{"configMap":{"name":"a","namespace":"b","kubeletConfigKey":"c"}}}})") ==
        refused + "node \"n1\" is not allowed to update configSource to a new non-nil configSource");
  CHECK(world.patch(nodes, "", "n1", "", R"({"metadata":{"annotations":{"a":"b"}}})", true) == refused + "node \"n2\" is not allowed to modify node \"n1\"");
}

TEST_CASE("a mirror Pod belongs to its Node and refers to nothing") {
  NodeWorld world;
  const std::string refused = "pods \"m\" is forbidden: ", mine = R"({"apiVersion":"v1","kind":"Node","name":"n1","controller":true,"uid":")" + world.uid + "\"";
  CHECK(world.create(pods, "default", "", "", "Pod", R"({"metadata":{"generateName":"q-"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}})") ==
        "pods \"q-\" is forbidden: pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods");
  CHECK(world.mirror("") == refused + "node \"n1\" can only create pods with an owner reference set to itself");
  CHECK(world.mirror(R"({"apiVersion":"v1","kind":"Node","name":"n2","controller":true,"uid":"x"})") == refused + "node \"n1\" can only create pods with an owner reference set to itself");
  CHECK(world.mirror(R"({"apiVersion":"v1","kind":"Node","name":"n1","uid":"x"})") == refused + "node \"n1\" can only create pods with a controller owner reference set to itself");
  CHECK(world.mirror(mine + "}," + mine + "}") == refused + "node \"n1\" can only create pods with a single owner reference set to itself");
  CHECK(world.mirror(mine + R"(,"blockOwnerDeletion":true})") == refused + "node \"n1\" must not set blockOwnerDeletion on an owner reference");
  CHECK(world.mirror(R"({"apiVersion":"v1","kind":"Node","name":"n1","controller":true,"uid":"x"})") == refused + "node n1 UID mismatch: expected x got " + world.uid);
  const std::string references = refused + "node \"n1\" can not create pods that reference ";
  CHECK(world.mirror(mine + "}", R"(,"volumes":[{"name":"v","configMap":{"name":"x"}}])") == references + "configmaps");
  CHECK(world.mirror(mine + "}", R"(,"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"x"}}])") == references + "persistentvolumeclaims");
  CHECK(world.mirror(mine + "}", R"(,"volumes":[{"name":"v","projected":{"sources":[{"clusterTrustBundle":{"name":"x","path":"p"}}]}}])") == references + "clustertrustbundles");
  CHECK(world.mirror(mine + "}", R"(,"imagePullSecrets":[{"name":"x"}])").find("secrets") != std::string::npos);
  CHECK(world.mirror(mine + "}", R"(,"serviceAccountName":"x")") == refused + "a mirror pod may not reference service accounts");
  CHECK(world.mirror(mine + "}") == "ok");
}

TEST_CASE("of other Pods a node changes only the status of those that run on it") {
  NodeWorld world;
  world.pod("p");
  const std::string refused = "pods \"p\" is forbidden: ";
  CHECK(world.patch(pods, "default", "p", "", R"({"metadata":{"labels":{"x":"y"}}})") == refused + "unexpected operation \"UPDATE\", node \"n1\" can only create and delete mirror pods");
  CHECK(world.patch(pods, "default", "p", "status", R"({"status":{"phase":"Running"}})") == "ok");
  CHECK(world.patch(pods, "default", "p", "status", R"({"status":{"phase":"Failed"}})", true) == refused + "node \"n2\" can only update pod status for pods with spec.nodeName set to itself");
  CHECK(world.patch(pods, "default", "p", "status", R"({"metadata":{"labels":{"a":null}}})") == refused + "node \"n1\" cannot update labels through pod status");
  CHECK(world.patch(pods, "default", "p", "ephemeralcontainers", R"({"spec":{"ephemeralContainers":[{"name":"e","image":"i"}]}})") ==
        refused + "unexpected pod subresource \"ephemeralcontainers\", only 'status' and 'eviction' are allowed");
  CHECK(world.create(pods, "default", "p", "binding", "Binding", R"({"metadata":{"name":"p"},"target":{"name":"n1"}})") ==
        refused + "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed");
  const std::string eviction = R"({"metadata":{"name":"p"}})";
  CHECK(world.create(pods, "default", "p", "eviction", "Eviction", eviction, true) == refused + "node n2 can only evict pods with spec.nodeName set to itself");
  CHECK(world.create(pods, "default", "p", "eviction", "Eviction", eviction) == "ok");
}

TEST_CASE("a node keeps to its own lease, CSINode and ResourceSlices") {
  NodeWorld world;
  const Resource leases{"coordination.k8s.io", "v1", "leases"}, csi_nodes{"storage.k8s.io", "v1", "csinodes"}, slices{"resource.k8s.io", "v1", "resourceslices"}, claims{"", "v1", "persistentvolumeclaims"};
  CHECK(world.create(leases, "default", "", "", "Lease", R"({"metadata":{"name":"n1"}})") == "leases.coordination.k8s.io \"n1\" is forbidden: can only access leases in the \"kube-node-lease\" system namespace");
  CHECK(world.create(leases, "kube-node-lease", "", "", "Lease", R"({"metadata":{"name":"n2"}})") == "leases.coordination.k8s.io \"n2\" is forbidden: can only access node lease with the same name as the requesting node");
  CHECK(world.create(leases, "kube-node-lease", "", "", "Lease", R"({"metadata":{"name":"n1"}})") == "ok");
  CHECK(world.create(csi_nodes, "", "", "", "CSINode", R"({"metadata":{"name":"n2"},"spec":{"drivers":[]}})") == "csinodes.storage.k8s.io \"n2\" is forbidden: can only access CSINode with the same name as the requesting node");
  const std::string slice = R"({"metadata":{"name":"s"},"spec":{"driver":"d","nodeName":"n2","pool":{"name":"p","resourceSliceCount":1}}})";
  CHECK(world.create(slices, "", "", "", "ResourceSlice", slice) == "resourceslices.resource.k8s.io \"s\" is forbidden: can only create ResourceSlice with the same NodeName as the requesting node");
  CHECK(world.create(claims, "default", "", "", "PersistentVolumeClaim", R"({"metadata":{"name":"c"},"spec":{}})") == "persistentvolumeclaims \"c\" is forbidden: may only update PVC status");
}

TEST_CASE("a node says of a claim only what it found out about its volume") {
  NodeWorld world;
  world.admin("POST", "/api/v1/namespaces/default/persistentvolumeclaims", R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})");
  const Resource claims{"", "v1", "persistentvolumeclaims"};
  CHECK(world.patch(claims, "default", "c", "status", R"({"status":{"capacity":{"storage":"2Gi"}}})") == "ok");
  CHECK(world.patch(claims, "default", "c", "status", R"({"metadata":{"labels":{"a":"b"}}})").starts_with(
        "persistentvolumeclaims \"c\" is forbidden: node \"n1\" is not allowed to update fields other than status.quantity and status.conditions"));
  CHECK(world.patch(claims, "default", "c", "", R"({"metadata":{"labels":{"a":"b"}}})") == "persistentvolumeclaims \"c\" is forbidden: may only update PVC status");
}

TEST_CASE("a node asks for certificates in its own name only") {
  NodeWorld world;
  const Resource requests{"certificates.k8s.io", "v1", "certificatesigningrequests"};
  // O=system:nodes, CN=system:node:n1
  const std::string wanted =
      "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIck1JR1NBZ0VBTURBeEZUQVRCZ05WQkFvTURITjVjM1JsYlRwdWIyUmxjekVYTUJVR0ExVUVBd3dPYzNsegpkR1Z0T201dlpHVTZiakV3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVFqVzRzRTVZWWx1NEFMCmdKcEtTd0w5UXNENEszQW80dDY1ZGN5UndJNkd0R2xPNGJRcGNveThUS2FKYmJaT2Y0TjVoc3Z5S2hGWXhrclcKS21iR0hqckNvQUF3Q2dZSUtvWkl6ajBFQXdJRFNBQXdSUUlnVVIwdmxzQzlGMDVlV24wL1k3UVV1TUVFbFJhNgpJbGUwQ1ZYOEhKMXRUd1lDSVFEc2ZXVnYyYmZmWVZ4OG1FNytmMDFNY3pBWTFPbDNHNXFQekJjMFJLSktMUT09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
  const auto ask = [&](const std::string& name, const std::string& signer, const std::string& request, bool is_other) {
    return world.create(requests, "", "", "", "CertificateSigningRequest",
                        fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"signerName":"{}","request":"{}","usages":["digital signature","client auth"]}}}})", name, signer, request), is_other);
  };
  const std::string client_signer = "kubernetes.io/kube-apiserver-client-kubelet";
  CHECK(ask("r", client_signer, wanted, true) == "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: can only create a node CSR with CN=system:node:n2");
  CHECK(ask("r", "kubernetes.io/kubelet-serving", wanted, true) == "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: can only create a node CSR with CN=system:node:n2");
  CHECK(ask("r", client_signer, "eA==", false).starts_with("certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: unable to parse csr: "));
  CHECK(ask("r", client_signer, wanted, false) == "ok");
  CHECK(ask("s", "example.com/any", wanted, true) == "ok");
}
