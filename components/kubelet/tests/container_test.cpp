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

TEST_CASE("resolv.conf of the node is read as resolvers read it") {
  const auto node = parse_resolv_conf("# nameserver 1.1.1.1\nnameserver 8.8.8.8\n nameserver 9.9.9.9 # two\nsearch old.example\nsearch corp.example. .\n"
                                      "options timeout:3 rotate\noptions timeout:5\n");
  CHECK(node.to_string() == "search corp.example\nnameserver 8.8.8.8\nnameserver 9.9.9.9\noptions rotate timeout:5\n");
}

TEST_CASE("a node whose name servers are all on loopback gives Pods one that they reach") {
  const std::vector<std::string> reachable{"10.213.0.2"};
  const auto seen = [&](const std::string& text) { return seen_from_outside(parse_resolv_conf(text), reachable).to_string(); };
  CHECK(seen("nameserver 127.0.0.53\nnameserver ::1\nsearch corp.example\noptions edns0 trust-ad\n") ==
        "search corp.example\nnameserver 10.213.0.2\noptions edns0 trust-ad\n");
  for (const char* own : {"127.0.0.11", "::1", "::1%lo", "::ffff:127.0.0.1", "0.0.0.0", "::"})
    CHECK(seen("nameserver " + std::string(own) + "\n") == "nameserver 10.213.0.2\n");
  CHECK(seen("search corp.example\n") == "search corp.example\nnameserver 10.213.0.2\n");
  // One that is reached is enough: a resolver goes on to it.
  CHECK(seen("nameserver 127.0.0.1\nnameserver 192.0.2.1\n") == "nameserver 127.0.0.1\nnameserver 192.0.2.1\n");
  CHECK(seen("nameserver fe80::1%eth0\n") == "nameserver fe80::1%eth0\n");
  CHECK(seen_from_outside(parse_resolv_conf("nameserver 127.0.0.53\n"), {}).to_string() == "nameserver 127.0.0.53\n");
  DnsConfig none;
  none.is_disabled = true;
  CHECK(seen_from_outside(none, reachable).servers.empty());
}

TEST_CASE("the node's loopback name servers are left to Pods that share that loopback") {
  const auto path = std::filesystem::temp_directory_path() / ("resolv-conf-" + std::to_string(::getpid()));
  std::ofstream(path) << "nameserver 127.0.0.53\nsearch corp.example\n";
  KubeletOptions options;
  options.resolv_conf = path.string();
  options.cluster_dns = {"10.96.0.10"};
  const auto dns = [&](const std::string& spec) {
    const auto pod = make_pod(spec);
    return pod_dns(pod_view(pod), node_dns(pod_view(pod), options), options.cluster_dns, "cluster.local").to_string();
  };
  const std::string own = R"({"dnsPolicy":"Default"})", host = R"({"dnsPolicy":"Default","hostNetwork":true})";
  CHECK(dns(own) == "search corp.example\nnameserver 10.96.0.10\n");
  CHECK(dns(host) == "search corp.example\nnameserver 127.0.0.53\n");
  options.node_dns = {"10.213.0.2"};
  CHECK(dns(own) == "search corp.example\nnameserver 10.213.0.2\n");
  CHECK(dns("{}") == "search default.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.96.0.10\noptions ndots:5\n");
  CHECK(dns(host) == "search corp.example\nnameserver 127.0.0.53\n");
  options.netns_path = "/proc/1/ns/net";  // the host's loopback is not the node's
  CHECK(dns(host) == "search corp.example\nnameserver 10.213.0.2\n");
  options.resolv_conf.clear();
  CHECK(dns(own) == "search .\nnameserver 127.0.0.1\n");
  std::filesystem::remove(path);
}

TEST_CASE("a cluster without DNS servers gives Pods the node's, and says so") {
  std::vector<DnsNote> notes;
  const auto pod = make_pod(R"({"dnsPolicy":"ClusterFirst"})");
  DnsConfig node = parse_resolv_conf("nameserver 8.8.8.8\n");
  CHECK(pod_dns(pod_view(pod), node, {}, "cluster.local", &notes).to_string() == "nameserver 8.8.8.8\n");
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].reason == "MissingClusterDNS");
  notes.clear();
  const auto plain = make_pod(R"({"dnsPolicy":"Default"})");
  DnsConfig none;
  none.is_disabled = true;
  CHECK(pod_dns(pod_view(plain), none, {"10.96.0.10"}, "cluster.local", &notes).to_string() == "search .\nnameserver 127.0.0.1\n");
  CHECK(pod_dns(pod_view(pod), none, {"10.96.0.10"}, "", &notes).to_string() == "nameserver 10.96.0.10\noptions ndots:5\n");
  CHECK(notes.empty());
  const auto host = make_pod(R"({"dnsPolicy":"ClusterFirstWithHostNet","hostNetwork":true})");
  CHECK(pod_dns(pod_view(host), node, {"10.96.0.10"}, "cluster.local").servers == std::vector<std::string>{"10.96.0.10"});
}

TEST_CASE("DNS settings beyond the limits are cut, and events say to what") {
  const auto pod_with = [](const std::vector<std::string>& servers, const std::vector<std::string>& searches) {
    const auto list = [](const std::vector<std::string>& words) {
      std::string out;
      for (const auto& word : words) out += (out.empty() ? "\"" : ",\"") + word + "\"";
      return "[" + out + "]";
    };
    return make_pod(R"({"dnsPolicy":"None","dnsConfig":{"nameservers":)" + list(servers) + R"(,"searches":)" + list(searches) + "}}");
  };
  std::vector<DnsNote> notes;
  const auto dns = [&](const Document& pod) {
    notes.clear();
    return pod_dns(pod_view(pod), {}, {}, "", &notes);
  };
  CHECK(dns(pod_with({"1.1.1.1", "2.2.2.2", "3.3.3.3"}, {"a", "a"})).searches.size() == 1);
  CHECK(notes.empty());
  CHECK(dns(pod_with({"1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"}, {})).servers.size() == 3);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].reason == "DNSConfigForming");
  CHECK(notes[0].message == "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3");
  std::vector<std::string> many;
  for (int i = 0; i < 33; ++i) many.push_back("d" + std::to_string(i));
  CHECK(dns(pod_with({"1.1.1.1"}, many)).searches.size() == 32);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].message.starts_with("Search Line limits were exceeded, some search paths have been omitted, the applied search line is: d0 d1 "));
  CHECK(dns(pod_with({"1.1.1.1"}, {"a", std::string(254, 'x'), "b"})).searches == std::vector<std::string>{"a", "b"});
  CHECK(notes.size() == 1);
  std::vector<std::string> wide;
  for (char c = 'a'; c < 'a' + 10; ++c) wide.push_back(std::string(228, c));
  CHECK(dns(pod_with({"1.1.1.1"}, wide)).searches.size() == 8);  // 8 * 228 + 7 <= 2048
  CHECK(notes.size() == 1);
}

TEST_CASE("a Pod's hostname follows hostname, subdomain, setHostnameAsFQDN and hostnameOverride") {
  const auto names = [](const std::string& spec) {
    const auto pod = make_pod(spec);
    const auto kernel = kernel_hostname(pod_view(pod), "cluster.local");
    return pod_hostname(pod_view(pod)) + " " + pod_domain(pod_view(pod), "cluster.local") + " " + (kernel ? *kernel : kernel.error().message);
  };
  CHECK(names("{}") == "web  web");
  CHECK(names(R"({"hostname":"h","setHostnameAsFQDN":true})") == "h  h");
  CHECK(names(R"({"hostname":"h","subdomain":"s"})") == "h s.default.svc.cluster.local h");
  CHECK(names(R"({"hostname":"h","subdomain":"s","setHostnameAsFQDN":true})") == "h s.default.svc.cluster.local h.s.default.svc.cluster.local");
  CHECK(names(R"({"hostname":"h","subdomain":"s","hostnameOverride":"my.own.name"})") == "my.own.name  my.own.name");
  const std::string longest(40, 'h');
  CHECK(names(R"({"hostname":")" + longest + R"(","subdomain":"s","setHostnameAsFQDN":true})") ==
        longest + " s.default.svc.cluster.local failed to construct FQDN from pod hostname and cluster domain, FQDN " + longest +
            ".s.default.svc.cluster.local is too long (64 characters is the max, 68 characters requested)");
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
