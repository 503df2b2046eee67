// From a Pod's spec to what a container gets: environment, security, resources, files.

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "kubelet/container/container_config.h"
#include "kubelet/container/images.h"
#include "kubelet/container/pod_files.h"
#include "kubelet/container/resources.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;

namespace {

Document object(const apimachinery::Type& type, const std::string& json) { return client::ObjectBuilder::from_json(type, json); }

std::string value_of(const Environment& environment, std::string_view name) {
  for (const auto& [key, value] : environment)
    if (key == name) return value;
  return "(absent)";
}

DownwardContext context() {
  DownwardContext out;
  out.node_name = "n1";
  out.pod_ips = {"10.0.0.5", "fd00::5"};
  out.host_ips = {"10.213.0.2"};
  out.allocatable = {{"cpu", "4"}, {"memory", "8Gi"}};
  return out;
}

Result<Environment> environment_of(const std::string& container, const ObjectSet& objects, const Variables& services = {}) {
  const auto pod = make_pod(R"({"containers":[)" + container + R"(],"nodeName":"n1","serviceAccountName":"sa"})", "{}",
                            R"(,"labels":{"app":"web","tier":"x\"y"})");
  return make_environment(pod_view(pod), pod_view(pod).spec().containers()[0], services, objects, context());
}

}  // namespace

TEST_CASE("references to variables are expanded, unknown ones stay, doubled dollars escape") {
  const Variables variables{{"A", "1"}, {"B", "two"}};
  CHECK(expand("$(A)-$(B)", variables) == "1-two");
  CHECK(expand("$(C)", variables) == "$(C)");
  CHECK(expand("$$(A)", variables) == "$(A)");
  CHECK(expand("$$$(A)", variables) == "$1");
  CHECK(expand("$A ${A} $(A", variables) == "$A ${A} $(A");
  CHECK(expand("a$", variables) == "a$");
  CHECK(expand("$()", variables) == "$()");
}

TEST_CASE("env wins over envFrom, envFrom over Services, and earlier variables are seen by later ones") {
  ObjectSet objects;
  objects.add(ObjectKind::config_map, "cm", object(core_v1::ConfigMap::schema_type(), R"({"metadata":{"name":"cm"},"data":{"X":"map","Y":"map"}})"));
  objects.add(ObjectKind::secret, "s", object(core_v1::Secret::schema_type(), R"({"metadata":{"name":"s"},"data":{"P":"c2VjcmV0"}})"));
  const auto environment = environment_of(R"J({"name":"a","image":"i","envFrom":[{"configMapRef":{"name":"cm"}},{"prefix":"S_","secretRef":{"name":"s"}}],
      "env":[{"name":"X","value":"own"},{"name":"Z","value":"$(X) $(SVC) $(LATER)"},{"name":"LATER","value":"l"},
             {"name":"K","valueFrom":{"configMapKeyRef":{"name":"cm","key":"Y"}}},
             {"name":"NONE","valueFrom":{"secretKeyRef":{"name":"s","key":"no","optional":true}}}]})J",
                                          objects, {{"SVC", "10.96.0.1"}, {"Y", "service"}});
  REQUIRE(environment);
  CHECK(value_of(*environment, "X") == "own");
  CHECK(value_of(*environment, "Y") == "map");
  CHECK(value_of(*environment, "S_P") == "secret");
  CHECK(value_of(*environment, "Z") == "own 10.96.0.1 $(LATER)");
  CHECK(value_of(*environment, "K") == "map");
  CHECK(value_of(*environment, "SVC") == "10.96.0.1");
  CHECK(value_of(*environment, "NONE") == "(absent)");
}

TEST_CASE("a missing object or key is an error in the words of a CreateContainerConfigError") {
  ObjectSet objects;
  objects.add(ObjectKind::config_map, "cm", object(core_v1::ConfigMap::schema_type(), R"({"metadata":{"name":"cm"},"data":{}})"));
  const auto key = environment_of(R"({"name":"a","image":"i","env":[{"name":"K","valueFrom":{"configMapKeyRef":{"name":"cm","key":"no"}}}]})", objects);
  REQUIRE_FALSE(key);
  CHECK(key.error().message == "couldn't find key no in ConfigMap default/cm");
  const auto map = environment_of(R"({"name":"a","image":"i","envFrom":[{"secretRef":{"name":"gone"}}]})", objects);
  REQUIRE_FALSE(map);
  CHECK(map.error().message == "secret \"gone\" not found");
}

TEST_CASE("fields and resources of the Pod are seen in the environment") {
  const auto environment = environment_of(R"({"name":"a","image":"i","resources":{"requests":{"cpu":"250m","memory":"64Mi"}},"env":[
      {"name":"NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
      {"name":"LABEL","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},
      {"name":"IPS","valueFrom":{"fieldRef":{"fieldPath":"status.podIPs"}}},
      {"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}},
      {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"requests.cpu"}}},
      {"name":"MILLI","valueFrom":{"resourceFieldRef":{"resource":"requests.cpu","divisor":"1m"}}},
      {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"requests.memory","divisor":"1Mi"}}},
      {"name":"MOST","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}}]})", {});
  REQUIRE(environment);
  CHECK(value_of(*environment, "NAME") == "web");
  CHECK(value_of(*environment, "LABEL") == "web");
  CHECK(value_of(*environment, "IPS") == "10.0.0.5,fd00::5");
  CHECK(value_of(*environment, "NODE") == "n1");
  CHECK(value_of(*environment, "CPU") == "1");
  CHECK(value_of(*environment, "MILLI") == "250");
  CHECK(value_of(*environment, "MEM") == "64");
  CHECK(value_of(*environment, "MOST") == "4");
}

TEST_CASE("all labels are one line each, quoted") {
  const auto pod = make_pod("{}", "{}", R"(,"labels":{"app":"web","tier":"x\"y"})");
  CHECK(*field_value(pod_view(pod), "metadata.labels", context()) == "app=\"web\"\ntier=\"x\\\"y\"");
}

TEST_CASE("Services of the namespace and default/kubernetes are in the environment") {
  std::vector<Document> services;
  const auto add = [&](const std::string& json) { services.push_back(object(core_v1::Service::schema_type(), json)); };
  add(R"({"metadata":{"name":"kubernetes","namespace":"default"},"spec":{"clusterIP":"10.96.0.1","ports":[{"name":"https","port":443,"protocol":"TCP"}]}})");
  add(R"({"metadata":{"name":"my-db","namespace":"a"},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":5432}]}})");
  add(R"({"metadata":{"name":"headless","namespace":"a"},"spec":{"clusterIP":"None","ports":[{"port":1}]}})");
  auto variables = service_environment(services, "a", true);
  CHECK(variables["KUBERNETES_SERVICE_HOST"] == "10.96.0.1");
  CHECK(variables["KUBERNETES_SERVICE_PORT_HTTPS"] == "443");
  CHECK(variables["KUBERNETES_PORT_443_TCP_ADDR"] == "10.96.0.1");
  CHECK(variables["MY_DB_SERVICE_PORT"] == "5432");
  CHECK(variables["MY_DB_PORT"] == "tcp://10.96.0.9:5432");
  CHECK_FALSE(variables.contains("HEADLESS_SERVICE_HOST"));
  variables = service_environment(services, "a", false);
  CHECK(variables.contains("KUBERNETES_SERVICE_HOST"));
  CHECK_FALSE(variables.contains("MY_DB_SERVICE_HOST"));
}

TEST_CASE("a container that must not run as root is refused when it would") {
  engine::ImageDetails image;
  const auto check = [&](const std::string& spec) {
    const auto pod = make_pod(spec);
    return container_security(pod_view(pod), pod_view(pod).spec().containers()[0], image, "/seccomp");
  };
  const std::string wants = R"({"securityContext":{"runAsNonRoot":true},"containers":[{"name":"a","image":"i")";
  auto refused = check(wants + "}]}");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "container has runAsNonRoot and image will run as root (pod: \"web_default(u1)\", container: a)");
  image.user = "1000";
  CHECK(check(wants + "}]}"));
  image.user = "www";
  CHECK_FALSE(check(wants + "}]}"));
  CHECK_FALSE(check(wants + R"(,"securityContext":{"runAsUser":0}}]})"));
  const auto allowed = check(wants + R"(,"securityContext":{"runAsUser":5,"runAsGroup":6,"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true}}]})");
  REQUIRE(allowed);
  CHECK(allowed->user == "5:6");
  CHECK(allowed->no_new_privileges);
  CHECK(allowed->has_read_only_rootfs);
  CHECK(allowed->seccomp == engine::SeccompKind::unconfined);
}

TEST_CASE("commands are expanded and the image is run by its id") {
  const auto pod = make_pod(R"J({"containers":[{"name":"a","image":"busybox","command":["echo","$(X)"],"args":["$$(X)"],"tty":true}]})J");
  ContainerInput input;
  input.environment = {{"X", "1"}};
  input.image.id = "sha256:9";
  const auto config = make_container_config(pod_view(pod), {false, 0}, input);
  REQUIRE(config);
  CHECK(config->command == std::vector<std::string>{"echo", "1"});
  CHECK(config->args == std::vector<std::string>{"$(X)"});
  CHECK(config->image == "sha256:9");
  CHECK(config->image_reference == "busybox");
  CHECK(config->has_tty);
}

TEST_CASE("requests and limits become the kernel's numbers") {
  CHECK(cpu_shares_of(0) == 2);
  CHECK(cpu_shares_of(500) == 512);
  CHECK(cpu_quota_us_of(500) == 50'000);
  CHECK(cpu_quota_us_of(1) == 1000);
  CHECK(cpu_quota_us_of(0) == 0);
  CHECK(cpu_weight_of(2) == 1);
  CHECK(cpu_weight_of(1024) == 39);
  const auto pod = make_pod(R"({"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"100m","memory":"1Gi"},"limits":{"memory":"2Gi"}}}]})");
  const auto resources = container_resources(pod_view(pod), pod_view(pod).spec().containers()[0], 4LL << 30);
  CHECK(resources.cpu_shares == 102);
  CHECK(resources.cpu_quota_us == 0);
  CHECK(resources.memory_limit_bytes == 2LL << 30);
  CHECK(resources.oom_score_adj == 750);
}

TEST_CASE("quality of service and its cgroup follow requests and limits") {
  const auto of = [](const std::string& resources) {
    const auto pod = make_pod(R"({"containers":[{"name":"a","image":"i","resources":)" + resources + "}]}");
    return pod_cgroup("/c1", pod_view(pod));
  };
  CHECK(of("{}") == "/c1/kubepods/besteffort/podu1");
  CHECK(of(R"({"requests":{"cpu":"1"}})") == "/c1/kubepods/burstable/podu1");
  CHECK(of(R"({"limits":{"cpu":"1","memory":"1Gi"}})") == "/c1/kubepods/podu1");
  CHECK(of(R"({"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"2","memory":"1Gi"}})") == "/c1/kubepods/burstable/podu1");
}

TEST_CASE("a Pod's own limits are those of what runs at the same time") {
  const auto pod = make_pod(R"({"initContainers":[
      {"name":"side","image":"i","restartPolicy":"Always","resources":{"limits":{"cpu":"100m","memory":"10Mi"}}},
      {"name":"big","image":"i","resources":{"limits":{"cpu":"2","memory":"5Mi"}}}],
      "containers":[{"name":"a","image":"i","resources":{"limits":{"cpu":"500m","memory":"20Mi"}}},{"name":"b","image":"i","resources":{"limits":{"memory":"20Mi"}}}]})");
  const auto resources = pod_resources(pod_view(pod));
  CHECK(resources.milli_cpu_request == 2100);
  CHECK_FALSE(resources.milli_cpu_limit);  // b has none
  CHECK(resources.memory_limit_bytes == 50 << 20);
}

TEST_CASE("registry credentials are found by the registry's name") {
  const std::string json = R"({"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYTpzcw=="},"reg.example:5000":{"username":"u","password":"p"}}})";
  const auto hub = registry_auth("kubernetes.io/dockerconfigjson", json, "docker.io");
  CHECK(hub.username == "user");
  CHECK(hub.password == "pa:ss");
  CHECK(registry_auth("kubernetes.io/dockerconfigjson", json, "reg.example:5000").username == "u");
  CHECK(registry_auth("kubernetes.io/dockerconfigjson", json, "other").empty());
  CHECK(registry_auth("kubernetes.io/dockerconfigjson", "no json", "docker.io").empty());
}

TEST_CASE("the hosts file names the Pod and its aliases") {
  const auto pod = make_pod(R"({"containers":[],"subdomain":"sub","hostAliases":[{"ip":"1.2.3.4","hostnames":["x","y"]}]})");
  const auto text = hosts_file(pod_view(pod), {"10.0.0.5"}, "cluster.local", "");
  CHECK(text.find("10.0.0.5\tweb.sub.default.svc.cluster.local\tweb\n") != std::string::npos);
  CHECK(text.find("1.2.3.4\tx\ty\n") != std::string::npos);
  const auto host = make_pod(R"({"containers":[],"hostNetwork":true})");
  CHECK(hosts_file(pod_view(host), {}, "", "1.1.1.1 node\n") == "# Kubernetes-managed hosts file (host network).\n1.1.1.1 node\n");
}

TEST_CASE("resolv.conf follows dnsPolicy and dnsConfig") {
  const auto node = parse_resolv_conf("nameserver 8.8.8.8\nsearch corp.example .\noptions timeout:3\n");
  const auto dns = [&](const std::string& spec) {
    const auto pod = make_pod(spec);
    return pod_dns(pod_view(pod), node, {"10.96.0.10"}, "cluster.local").to_string();
  };
  CHECK(dns("{}") == "search default.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.96.0.10\noptions ndots:5\n");
  CHECK(dns(R"({"dnsPolicy":"Default"})") == "search corp.example\nnameserver 8.8.8.8\noptions timeout:3\n");
  CHECK(dns(R"({"dnsPolicy":"ClusterFirst","hostNetwork":true})") == "search corp.example\nnameserver 8.8.8.8\noptions timeout:3\n");
  CHECK(dns(R"({"dnsPolicy":"None","dnsConfig":{"nameservers":["1.1.1.1"],"options":[{"name":"ndots","value":"2"},{"name":"edns0"}]}})") ==
        "nameserver 1.1.1.1\noptions ndots:2 edns0\n");
  CHECK(dns(R"({"dnsConfig":{"options":[{"name":"ndots","value":"1"}]}})").find("options ndots:1\n") != std::string::npos);
}

TEST_CASE("a termination message is at most 4096 bytes and a link is not followed") {
  const auto folder = std::filesystem::temp_directory_path() / ("kubelet-words-test-" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  const auto file = (folder / "c/0").string();
  REQUIRE(make_termination_file(file, "/dev/termination-log"));
  std::ofstream(file) << std::string(5000, 'x');
  CHECK(read_termination_message(file).size() == 4096);
  std::filesystem::create_symlink("/etc/passwd", folder / "link");
  CHECK(read_termination_message((folder / "link").string()).empty());
  std::filesystem::remove_all(folder);
}
