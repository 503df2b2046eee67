#include "engine/dialect.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include "engine/json_read.h"

using namespace rusternetes;
using namespace rusternetes::engine;

namespace {

HostFacts weak_host() {
  HostFacts host;
  host.capabilities = 0x1fffeffffff;  // all but SYS_RESOURCE
  host.nofile_hard = 20000;
  host.nproc_hard = 96365;
  host.cgroup_mode = CgroupMode::hybrid;
  return host;
}

std::unique_ptr<Dialect> docker(HostFacts host = weak_host(), EngineInfo info = {}) {
  info.kind = EngineKind::docker;
  info.api_version = "1.41";
  if (info.version.empty()) info.version = "20.10.24";
  return make_docker_dialect(info, host);
}

std::unique_ptr<Dialect> podman(HostFacts host = weak_host(), EngineInfo info = {}) {
  info.version = "4.3.1";
  return make_podman_dialect(info, host);
}

boost::json::value create(const Dialect& dialect, const ContainerSpec& spec) {
  auto request = dialect.create_container(spec);
  REQUIRE(request);
  auto json = parse_json(request->body);
  REQUIRE(json);
  return *json;
}

std::string text(const boost::json::value& value) { return boost::json::serialize(value); }

ContainerSpec app() {
  ContainerSpec spec;
  spec.name = "app";
  spec.image = "localhost/x:1";
  spec.network = {Namespace::Kind::container, "pause"};
  spec.hostname = "";
  return spec;
}

}  // namespace

TEST_CASE("ulimits never exceed what the host allows") {
  auto d = create(*docker(), app());
  CHECK(text(json_at(json_at(d, "HostConfig"), "Ulimits")) ==
        R"([{"Name":"nofile","Soft":20000,"Hard":20000},{"Name":"nproc","Soft":96365,"Hard":96365}])");
  auto p = create(*podman(), app());
  CHECK(text(json_at(p, "r_limits")) ==
        R"([{"type":"nofile","soft":20000,"hard":20000},{"type":"nproc","soft":32768,"hard":32768}])");
}

TEST_CASE("privileged on Docker is emulated when the host lacks a capability, and only then") {
  auto spec = app();
  spec.security.is_privileged = true;
  auto emulated = create(*docker(), spec);
  const auto& host = json_at(emulated, "HostConfig");
  CHECK_FALSE(json_bool(host, "Privileged"));
  auto capabilities = text(json_at(host, "CapAdd"));
  CHECK(capabilities.find("CAP_SYS_ADMIN") != std::string::npos);
  CHECK(capabilities.find("CAP_SYS_RESOURCE") == std::string::npos);
  CHECK(capabilities.find("CAP_BPF") == std::string::npos);
  CHECK(text(json_at(host, "MaskedPaths")) == "[]");
  CHECK(text(json_at(host, "DeviceCgroupRules")) == R"(["a *:* rwm"])");
  CHECK(text(json_at(host, "Mounts")).find(R"("Target":"/dev")") != std::string::npos);
  EngineInfo newer;
  newer.version = "25.0.3";
  CHECK(text(json_at(json_at(create(*docker(weak_host(), newer), spec), "HostConfig"), "CapAdd"))
            .find("CAP_BPF") != std::string::npos);
  auto strong = weak_host();
  strong.capabilities = 0x1ffffffffff;
  CHECK(json_bool(json_at(create(*docker(strong), spec), "HostConfig"), "Privileged"));
  CHECK(json_bool(create(*podman(), spec), "privileged"));
}

TEST_CASE(
    "a hostname is not sent to Docker with a joined network, and Podman joins the other's UTS namespace") {
  auto d = create(*docker(), app());
  CHECK(json_at(d, "Hostname").is_null());
  auto p = create(*podman(), app());
  CHECK(text(json_at(p, "utsns")) == R"({"nsmode":"container","value":"pause"})");
  auto named = app();
  named.network = {Namespace::Kind::none, {}};
  named.hostname = "pod-1";
  CHECK(json_string(create(*docker(), named), "Hostname") == "pod-1");
  CHECK(json_string(create(*podman(), named), "hostname") == "pod-1");
}

TEST_CASE("a memory limit brings no swap and is at least what the engine takes") {
  auto spec = app();
  spec.resources.memory_limit_bytes = 1 << 20;
  auto d = create(*docker(), spec);
  CHECK(json_int(json_at(d, "HostConfig"), "Memory") == 6 << 20);
  CHECK(json_int(json_at(d, "HostConfig"), "MemorySwap") == 6 << 20);
  spec.resources.memory_limit_bytes = 64 << 20;
  auto p = create(*podman(), spec);
  CHECK(text(json_at(json_at(p, "resource_limits"), "memory")) == R"({"limit":67108864,"swap":67108864})");
}

TEST_CASE("an oom_score_adj that the host would refuse is left out") {
  auto spec = app();
  spec.resources.oom_score_adj = -997;
  CHECK(json_at(create(*podman(), spec), "oom_score_adj").is_null());
  CHECK(json_at(json_at(create(*docker(), spec), "HostConfig"), "OomScoreAdj").is_null());
  spec.resources.oom_score_adj = 1000;
  CHECK(json_int(create(*podman(), spec), "oom_score_adj") == 1000);
  auto strong = weak_host();
  strong.capabilities = 0x1ffffffffff;
  spec.resources.oom_score_adj = -997;
  CHECK(json_int(json_at(create(*docker(strong), spec), "HostConfig"), "OomScoreAdj") == -997);
}

TEST_CASE("every container has a log file, no health check, no restart") {
  auto spec = app();
  spec.log_path = "/var/log/pods/a/0.log";
  spec.log_max_bytes = 1000;
  auto d = create(*docker(), spec);
  CHECK(text(json_at(json_at(d, "HostConfig"), "LogConfig")) ==
        R"({"Type":"json-file","Config":{"max-size":"1000","max-file":"1"}})");
  CHECK(text(json_at(d, "Healthcheck")) == R"({"Test":["NONE"]})");
  CHECK(json_string(json_at(json_at(d, "HostConfig"), "RestartPolicy"), "Name") == "no");
  auto p = create(*podman(), spec);
  CHECK(text(json_at(p, "log_configuration")) == R"({"driver":"k8s-file","path":"/var/log/pods/a/0.log"})");
  CHECK(text(json_at(p, "healthconfig")) == R"({"Test":["NONE"]})");
  CHECK(json_string(p, "restart_policy") == "no");
}

TEST_CASE("crun is avoided on hybrid cgroups, container by container") {
  EngineInfo info;
  info.default_runtime = "crun";
  info.runtimes = {"crun", "runc"};
  auto v2 = weak_host();
  v2.cgroup_mode = CgroupMode::v2;
  CHECK(json_at(create(*podman(v2, info), app()), "oci_runtime").is_null());
  if (!find_program("runc").empty())
    CHECK(json_string(create(*podman(weak_host(), info), app()), "oci_runtime") == "runc");
}

TEST_CASE("a missing seccomp profile is Invalid on Docker, which takes only its text") {
  auto spec = app();
  spec.security.seccomp = SeccompKind::localhost;
  spec.security.seccomp_profile_path = "/nowhere/profile.json";
  auto refused = docker()->create_container(spec);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("Invalid"));
  CHECK(json_string(create(*podman(), spec), "seccomp_profile_path") == "/nowhere/profile.json");
}

TEST_CASE("stop signals reach libpod as numbers") {
  auto spec = app();
  auto number = [&spec](const char* word) {
    spec.stop_signal = word;
    return json_int(create(*podman(), spec), "stop_signal");
  };
  CHECK(number("SIGQUIT") == 3);
  CHECK(number("TERM") == 15);
  CHECK(number("15") == 15);
  CHECK(number("SIGRTMIN+3") == 37);
  CHECK(number("SIGRTMAX-2") == 62);
  CHECK(number("nonsense") == 0);
}

TEST_CASE("a complaint about input that nobody read is told from a command's words, on Podman only") {
  const std::string complaint = "Error: write unixpacket @->/proc/self/fd/16/attach: write: connection reset by peer\n";
  CHECK(podman()->is_own_word(StdStream::err, complaint));
  CHECK_FALSE(podman()->is_own_word(StdStream::out, complaint));
  CHECK_FALSE(podman()->is_own_word(StdStream::err, complaint + std::string(200, 'x') + "\n"));
  CHECK_FALSE(podman()->is_own_word(StdStream::err, "Error: write unixpacket"));
  CHECK_FALSE(docker()->is_own_word(StdStream::err, complaint));
}

TEST_CASE("both engines' words for an error become one reason") {
  struct Case {
    bool is_podman;
    int status;
    const char* message;
    const char* reason;
  };
  const Case cases[] = {
      {true, 500, "subnet 10.1.0.0/16 is already used on the host or by another config",
       reason::kPoolOverlap},
      {false, 403, "Pool overlaps with other one on this address space", reason::kPoolOverlap},
      {true, 500, "network name x already used: network already exists", "AlreadyExists"},
      {false, 409, "network with name x already exists", "AlreadyExists"},
      {true, 500, "creating container storage: the container name \"x\" is already in use by 12.",
       "AlreadyExists"},
      {false, 409, "Conflict. The container name \"/x\" is already in use by container \"1\".",
       "AlreadyExists"},
      {true, 500, "IPAM error: requested ip address 10.1.0.9 is already allocated to container ID 1",
       reason::kAddressInUse},
      {false, 403, "Address already in use", reason::kAddressInUse},
      {false, 500, "driver failed: Bind for 127.0.0.1:80 failed: port is already allocated",
       reason::kAddressInUse},
      {true, 500,
       "rootlessport listen: cannot listen on the TCP port: listen tcp4 :80: bind: address already in use",
       reason::kAddressInUse},
      {true, 500, "can only create exec sessions on running containers: container state improper",
       "Conflict"},
      {false, 409, "Container 1 is not running", "Conflict"},
      {true, 500,
       "runc: exec: \"/x\": stat /x: no such file or directory: OCI runtime attempted to invoke a command "
       "that was not found",
       reason::kStartError},
      {false, 400,
       "failed to create shim: OCI runtime create failed: runc create failed: exec: \"/x\": stat /x",
       reason::kStartError},
      {true, 404, "no container with name or ID \"x\" found: no such container", "NotFound"},
      {false, 404, "No such container: x", "NotFound"},
      {false, 500, "something else", "InternalError"},
  };
  for (const auto& item : cases) {
    INFO(item.message);
    auto status = (item.is_podman ? podman() : docker())->map_error(item.status, item.message);
    CHECK(status.reason == item.reason);
    CHECK(status.message == item.message);
  }
}

TEST_CASE("a cgroup parent is a path with cgroupfs and a slice with systemd") {
  CHECK(cgroup_parent_argument("/kubepods/burstable/pod1-2", "cgroupfs") == "/kubepods/burstable/pod1-2");
  CHECK(cgroup_parent_argument("/kubepods/burstable/pod1-2", "systemd") == "kubepods-burstable-pod1_2.slice");
  CHECK(cgroup_parent_path("/kubepods/burstable/pod1-2", "systemd") ==
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice");
  CHECK(cgroup_parent_argument("", "systemd").empty());
}

TEST_CASE("times of both engines are read in nanoseconds") {
  CHECK(parse_time_ns("1970-01-01T00:00:01Z") == 1'000'000'000);
  CHECK(parse_time_ns("2026-11-21T05:17:52.6961Z") == 1795238272696100000);
  CHECK(parse_time_ns("2026-11-21T07:17:52.696100001+02:00") == 1795238272696100001);
  CHECK(parse_time_ns("0001-01-01T00:00:00Z") == 0);
  CHECK(parse_time_ns("") == 0);
  CHECK(parse_time_ns("yesterday") == 0);
  CHECK(parse_time_ns("2261-30-61T16:16:56.332Z") == 0);
  CHECK(parse_time_ns("2261-12-31T23:59:60.999999999-99:99") > 0);
}

TEST_CASE("cgroup modes are told from the mounts") {
  CHECK(cgroup_mode_of("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == CgroupMode::v2);
  CHECK(cgroup_mode_of("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n") == CgroupMode::v1);
  CHECK(cgroup_mode_of("cgroup /c cgroup rw 0 0\ncgroup2 /u cgroup2 rw 0 0\n") == CgroupMode::hybrid);
}

TEST_CASE("on Podman an address of a network has a link address of its own, the same after each start") {
  ContainerSpec spec{.name = "c", .image = "localhost/i:1"};
  spec.attachment = NetworkAttachment{"net", "10.214.0.17", {}};
  const auto request = podman()->create_container(spec);
  REQUIRE(request);
  const auto body = boost::json::parse(request->body);
  CHECK(body.at("networks").at("net").at("static_mac") == "02:42:0a:d6:00:11");
  spec.attachment->ipv4.clear();
  const auto other = podman()->create_container(spec);
  REQUIRE(other);
  CHECK(other->body.find("static_mac") == std::string::npos);
}
