// The checks of `doctor`, on the facts of hosts that were met.
#include <cerrno>
#include <future>

#include "doctor_facts.h"
#include "launcher/adapters/proc_facts.h"
#include "launcher/doctor/checks.h"
#include "launcher/doctor/probes.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::doctor;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// The one finding of that name; what is no good has to say what to do.
Finding the(const Findings& findings, std::string_view what) {
  std::vector<Finding> found;
  for (const Finding& one : findings) {
    if (one.level == Level::warning || one.level == Level::problem) CHECK_FALSE(one.fix.empty());
    CHECK_FALSE(one.finding.empty());
    if (one.what == what) found.push_back(one);
  }
  INFO(what);
  REQUIRE(found.size() == 1);
  return found.front();
}

EnginesFacts engines_of(std::vector<EngineFacts> engines) {
  return {.engines = std::move(engines), .has_podman = false, .has_crun = true, .has_runc = false};
}

// As libnftables prints Docker's chains with the accepts of one cluster, or without them.
std::string docker_ruleset(const std::string& accepts) {
  return R"({"nftables":[{"metainfo":{"version":"1.0.6"}},
  {"table":{"family":"ip","name":"filter","handle":1}},
  {"chain":{"family":"ip","table":"filter","name":"FORWARD","handle":2,
    "type":"filter","hook":"forward","prio":0,"policy":"drop"}},
  {"chain":{"family":"ip","table":"filter","name":"DOCKER-USER","handle":3}},
  {"rule":{"family":"ip","table":"filter","chain":"FORWARD","handle":4,
    "expr":[{"counter":{"packets":0,"bytes":0}},{"jump":{"target":"DOCKER-USER"}}]}},)" +
         accepts + R"(
  {"rule":{"family":"ip","table":"filter","chain":"DOCKER-USER","handle":9,
    "expr":[{"counter":{"packets":0,"bytes":0}},{"return":null}]}},
  {"table":{"family":"inet","name":"rusternetes-abcdef","handle":5}},
  {"chain":{"family":"inet","table":"rusternetes-abcdef","name":"drop","handle":6,
    "type":"filter","hook":"forward","prio":0,"policy":"drop"}}]})";
}

std::string accept_of(const char* side, const char* link) {
  return std::string(R"({"rule":{"family":"ip","table":"filter","chain":"DOCKER-USER","handle":7,"expr":[)") +
         R"({"match":{"op":"==","left":{"meta":{"key":")" + side + R"("}},"right":")" + link +
         R"("}},{"counter":{"packets":1,"bytes":2}},{"accept":null}]}},)";
}

}  // namespace

TEST_CASE("doctor: crun 1.8.1 with hybrid cgroups is a problem without runc, and none with it") {
  EngineFacts podman = good_podman();
  podman.runtime_version = "1.8.1";
  EnginesFacts facts = engines_of({podman});
  const Finding bad = the(check_runtime(facts, CgroupMode::hybrid), "oci-runtime");
  CHECK(bad.level == Level::problem);
  CHECK(contains(bad.finding, "crun 1.8.1"));
  CHECK(contains(bad.fix, "apt-get install runc"));
  CHECK(the(check_runtime(facts, CgroupMode::v2), "oci-runtime").level == Level::ok);
  facts.engines[0].runtime_version = "1.9";
  CHECK(the(check_runtime(facts, CgroupMode::hybrid), "oci-runtime").level == Level::ok);
  facts.engines[0].runtime_version = "1.8.1";
  facts.has_runc = true;
  const Finding good = the(check_runtime(facts, CgroupMode::hybrid), "oci-runtime");
  CHECK(good.level == Level::ok);
  CHECK(contains(good.finding, "runc is used"));
  // A Podman that `create` would start itself gets no crun there, of whatever version.
  const EnginesFacts idle{.engines = {}, .has_podman = true, .has_crun = true, .has_runc = false};
  CHECK(the(check_runtime(idle, CgroupMode::hybrid), "oci-runtime").level == Level::problem);
  CHECK(the(check_runtime(idle, CgroupMode::v1), "oci-runtime").level == Level::ok);
  const EnginesFacts bare{.engines = {}, .has_podman = true};
  CHECK(contains(the(check_runtime(bare, CgroupMode::v2), "oci-runtime").fix, "crun runc"));
  CHECK(the(check_runtime(engines_of({}), CgroupMode::v2), "oci-runtime").level == Level::unknown);
}

TEST_CASE("doctor: an engine is rootful, new enough and answers, or the finding says what to do") {
  CHECK(the(check_engines(engines_of({good_podman(), absent_docker()})), "engine").level == Level::ok);

  EngineFacts rootless = good_podman();
  rootless.socket = "/run/user/1000/podman/podman.sock";
  rootless.is_rootless = true;
  Finding found = the(check_engines(engines_of({rootless, absent_docker()})), "engine");
  CHECK(found.level == Level::problem);
  CHECK(contains(found.finding, "rootless"));
  CHECK(contains(found.fix, "systemctl enable --now podman.socket"));
  const EngineFacts docker{.kind = "docker", .socket = "/var/run/docker.sock", .version = "20.10.24+dfsg1"};
  const Findings both = check_engines(engines_of({rootless, docker}));
  REQUIRE(both.size() == 2);
  CHECK(both[0].level == Level::warning);  // Docker makes up for it
  CHECK(both[1].level == Level::ok);

  EngineFacts old = good_podman();
  old.version = "4.2.9";
  CHECK(contains(the(check_engines(engines_of({old})), "engine").finding, "older than 4.3"));
  CHECK(the(check_engines(engines_of({old})), "engine").level == Level::problem);
  EngineFacts old_docker = docker;
  old_docker.version = "19.03.1";
  CHECK(contains(the(check_engines(engines_of({old_docker})), "engine").finding, "older than 20.10"));
  old.version = "5.0.0";
  CHECK(the(check_engines(engines_of({old})), "engine").level == Level::ok);

  EngineFacts silent = good_podman();
  silent.silence = "it took longer than 1.7 s";
  found = the(check_engines(engines_of({silent})), "engine");
  CHECK(found.level == Level::problem);
  CHECK(contains(found.fix, "journalctl -u podman.socket"));

  EngineFacts closed = good_podman();
  closed.connect_error = EACCES;
  found = the(check_engines(engines_of({closed, absent_docker()})), "engine-socket");
  CHECK(found.level == Level::unknown);
  CHECK(contains(found.fix, "root"));
  EngineFacts stale = good_podman();
  stale.connect_error = ECONNREFUSED;
  found = the(check_engines(engines_of({stale, absent_docker()})), "engine-socket");
  CHECK(found.level == Level::problem);
  CHECK(contains(found.finding, "Connection refused"));
}

TEST_CASE("doctor: without an engine it is Podman that is missing, unless it is installed") {
  EngineFacts podman = good_podman();
  podman.connect_error = ENOENT;
  EnginesFacts facts = engines_of({podman, absent_docker()});
  const Finding found = the(check_engines(facts), "engine");
  CHECK(found.level == Level::problem);
  CHECK(contains(found.fix, "apt-get install podman runc"));
  facts.has_podman = true;
  CHECK(the(check_engines(facts), "engine").level == Level::ok);
  facts.engines[0].connect_error = ECONNREFUSED;
  CHECK(the(check_engines(facts), "engine-socket").level == Level::warning);
  CHECK(the(check_engines(facts), "engine").level == Level::ok);
}

TEST_CASE("doctor: limits below what a node needs") {
  LimitFacts facts = FakeFacts().limit_facts.value();
  for (const Finding& one : check_limits(facts)) CHECK(one.level == Level::ok);
  facts.nofile = 20'000;
  facts.nproc = 32'768;
  Finding found = the(check_limits(facts), "limit-nofile");
  CHECK(found.level == Level::warning);
  CHECK(contains(found.finding, "20000"));
  CHECK(contains(found.fix, "LimitNOFILE"));
  CHECK(the(check_limits(facts), "limit-nproc").level == Level::ok);
  facts.nofile = 1024;
  CHECK(the(check_limits(facts), "limit-nofile").level == Level::problem);
  facts.inotify_instances = 128;
  found = the(check_limits(facts), "inotify-instances");
  CHECK(found.level == Level::warning);
  CHECK(contains(found.fix, "sysctl -w fs.inotify.max_user_instances=512"));
  facts.inotify_watches = 100;
  CHECK(the(check_limits(facts), "inotify-watches").level == Level::problem);
  facts.pid_max = 32'768;
  CHECK(the(check_limits(facts), "pid-max").level == Level::ok);
  facts.pid_max = 1000;
  CHECK(the(check_limits(facts), "pid-max").level == Level::problem);
}

TEST_CASE("doctor: cgroups are read from the kernel's own files") {
  constexpr std::string_view kernel =
      "#subsys_name\thierarchy\tnum_"
      "cgroups\tenabled\ncpuset\t3\t1\t1\ncpu\t1\t1\t1\nmemory\t0\t1\t0\npids\t8\t1\t1\n";
  const CgroupFacts hybrid = cgroup_facts_of(
      "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n"
      "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/pids cgroup ro,pids 0 0\n"
      "cgroup /sys/fs/cgroup/systemd cgroup ro,name=systemd 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 "
      "0\n",
      kernel, "");
  CHECK(hybrid.mode == CgroupMode::hybrid);
  CHECK(hybrid.controllers == std::vector<std::string>{"cpu", "pids"});
  CHECK(hybrid.read_only == std::vector<std::string>{"/sys/fs/cgroup/pids"});
  const Findings found = check_cgroups(hybrid);
  CHECK(contains(the(found, "cgroups").finding, "hybrid"));
  CHECK(the(found, "cgroup-controllers").level == Level::problem);
  CHECK(contains(the(found, "cgroup-controllers").finding, "cpuset, memory"));
  CHECK(the(found, "cgroup-writable").level == Level::problem);

  const CgroupFacts unified = cgroup_facts_of("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", kernel,
                                              "cpuset cpu io memory pids\n");
  CHECK(unified.mode == CgroupMode::v2);
  for (const Finding& one : check_cgroups(unified)) CHECK(one.level == Level::ok);
  CHECK(cgroup_facts_of("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n", kernel, "").mode == CgroupMode::v1);
  const CgroupFacts none = cgroup_facts_of("tmpfs /tmp tmpfs rw 0 0\n", kernel, "");
  CHECK(the(check_cgroups(none), "cgroups").level == Level::problem);
}

TEST_CASE("doctor: Docker's FORWARD DROP is no problem once DOCKER-USER accepts the links of clusters") {
  FirewallFacts facts = firewall_from_json(docker_ruleset("")).value();
  CHECK(facts.chains.size() == 1);  // the cluster's own drop rule is no firewall
  Finding found = the(check_firewall(facts), "firewall-forward");
  CHECK(found.level == Level::ok);
  CHECK(contains(found.finding, "DOCKER-USER"));
  facts.node_links = {"rnabcdefnuvwxyz"};
  found = the(check_firewall(facts), "firewall-forward");
  CHECK(found.level == Level::problem);
  CHECK(contains(found.finding, "rnabcdefnuvwxyz"));
  CHECK(contains(found.fix, "rusternetes-ctl start"));
  for (const char* link : {"rnabcdef*", "rnotherx*"}) {
    FirewallFacts with =
        firewall_from_json(docker_ruleset(accept_of("iifname", link) + accept_of("oifname", link))).value();
    with.node_links = facts.node_links;
    CHECK(the(check_firewall(with), "firewall-forward").level ==
          (std::string(link) == "rnabcdef*" ? Level::ok : Level::problem));
  }
  FirewallFacts half = firewall_from_json(docker_ruleset(accept_of("iifname", "rnabcdef*"))).value();
  half.node_links = facts.node_links;
  CHECK(the(check_firewall(half), "firewall-forward").level == Level::problem);
  CHECK_FALSE(firewall_from_json("no JSON"));
}

TEST_CASE("doctor: another party's drop on forward is a problem, and on input a warning") {
  FirewallFacts facts;
  facts.chains = {
      {.family = "inet", .table = "firewall", .name = "crossing", .hook = "forward", .is_policy_drop = true},
      {.family = "ip", .table = "filter", .name = "INPUT", .hook = "input", .ends_in_drop = true}};
  Finding found = the(check_firewall(facts), "firewall-forward");
  CHECK(found.level == Level::problem);
  CHECK(contains(found.fix, "nft insert rule inet firewall crossing iifname \"rn*\" accept"));
  CHECK(the(check_firewall(facts), "firewall-input").level == Level::warning);
  for (FilterChain& chain : facts.chains) chain.accepted_in = chain.accepted_out = {"rn*"};
  CHECK(the(check_firewall(facts), "firewall-forward").level == Level::ok);
  CHECK(the(check_firewall(facts), "firewall-input").level == Level::ok);
  facts.legacy_tables = {"filter"};
  CHECK(the(check_firewall(facts), "firewall-legacy").level == Level::unknown);
  // firewalld: the chain's policy is accept, its last rule rejects everything.
  const auto rejecting = firewall_from_json(R"({"nftables":[
    {"chain":{"family":"inet","table":"firewalld","name":"filter_INPUT","hook":"input","policy":"accept"}},
    {"rule":{"family":"inet","table":"firewalld","chain":"filter_INPUT","expr":[
      {"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established"]}},{"accept":null}]}},
    {"rule":{"family":"inet","table":"firewalld","chain":"filter_INPUT","expr":[
      {"reject":{"type":"icmpx","expr":"admin-prohibited"}}]}}]})");
  CHECK(the(check_firewall(rejecting.value()), "firewall-input").level == Level::warning);
}

TEST_CASE("doctor: a full disk, one without inodes, and a home where no store can be") {
  FolderFacts facts = good_folder("/var/lib/x");
  CHECK(the(check_disk("disk-home", facts), "disk-home").level == Level::ok);
  facts.free_bytes = 4ull << 30;
  CHECK(the(check_disk("disk-home", facts), "disk-home").level == Level::warning);
  facts.free_bytes = 0;
  CHECK(the(check_disk("disk-home", facts), "disk-home").level == Level::problem);
  CHECK(contains(the(check_disk("disk-engine", facts), "disk-engine").fix, "prune"));
  facts = good_folder("/var/lib/x");
  facts.free_inodes = 30;
  CHECK(the(check_disk("disk-home", facts), "disk-home").level == Level::warning);
  facts.free_inodes = 0;
  CHECK(the(check_disk("disk-home", facts), "disk-home").level == Level::problem);
  facts.total_inodes = 0;  // btrfs
  CHECK(the(check_disk("disk-home", facts), "disk-home").level == Level::ok);

  CHECK(the(check_home(facts), "home").level == Level::ok);
  facts.file_system = file_system_name(0x6969);
  CHECK(the(check_home(facts), "home").level == Level::problem);
  CHECK(contains(the(check_home(facts), "home").finding, "nfs"));
  for (const unsigned long number : {0x65735546ul, 0x01021994ul}) {
    facts.file_system = file_system_name(number);
    CHECK(the(check_home(facts), "home").level == Level::warning);
  }
  facts.is_writable = false;
  CHECK(the(check_home(facts), "home").level == Level::problem);
}

TEST_CASE("doctor: clock, memory, programs, user and port") {
  ClockFacts clock{.now = SystemTime(std::chrono::seconds(100)), .is_synchronised = true};
  CHECK(the(check_clock(clock), "clock").level == Level::problem);
  clock.now = SystemTime(std::chrono::seconds(1'780'000'000));
  clock.built_at = clock.now + std::chrono::hours(48);
  CHECK(the(check_clock(clock), "clock").level == Level::problem);
  clock.built_at = clock.now;
  CHECK(the(check_clock(clock), "clock").level == Level::ok);
  CHECK(the(check_clock(clock), "clock-sync").level == Level::ok);
  clock.is_synchronised = false;
  CHECK(the(check_clock(clock), "clock-sync").level == Level::warning);
  clock.is_synchronised.reset();
  CHECK(the(check_clock(clock), "clock-sync").level == Level::unknown);

  MemoryFacts memory{.available_bytes = 300 << 20, .total_bytes = 1 << 30, .swap_bytes = 1 << 30};
  CHECK(the(check_memory(memory), "memory").level == Level::warning);
  CHECK(the(check_memory(memory), "swap").level == Level::ok);
  CHECK(contains(the(check_memory(memory), "swap").finding, "1.0 GiB"));
  memory.available_bytes = 100 << 20;
  CHECK(the(check_memory(memory), "memory").level == Level::problem);
  CHECK(meminfo_bytes("MemTotal:  8 kB\nMemAvailable:       24 kB\n", "MemAvailable:") == 24 * 1024);

  CHECK(the(check_programs({.folder = "/opt", .missing = {"rusternetes"}}), "programs").level ==
        Level::problem);
  const auto components =
      check_programs({.folder = "/opt", .missing_components = {"kubelet"}, .has_etcd = false});
  CHECK(the(components, "programs").level == Level::ok);
  CHECK(the(components, "component-programs").level == Level::warning);
  CHECK(contains(the(components, "component-programs").finding, "kubelet not in /opt"));
  CHECK(contains(the(components, "etcd").finding, "apt install etcd-server"));
  CHECK(the(check_user(false), "user").level == Level::warning);
  CHECK(contains(the(check_init(false), "init").finding, "rusternetes-ctl start"));

  CHECK(the(check_port(6443, {}), "port-6443").level == Level::ok);
  CHECK(the(check_port(6443, {{"127.0.0.1:6443", 7, "rusternetes"}}), "port-6443").level == Level::ok);
  CHECK(the(check_port(6443, {{"127.0.0.1:6443", 7, "api-proxy"}}), "port-6443").level == Level::ok);
  const Finding taken = the(check_port(6443, {{"[::]:6443", 7, "kube-apiserver"}}), "port-6443");
  CHECK(taken.level == Level::warning);
  CHECK(contains(taken.finding, "kube-apiserver (pid 7)"));
  const auto sockets = listening_sockets(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 "
      "100\n"
      "   1: 0100007F:192B 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 "
      "100\n",
      6443);
  REQUIRE(sockets.size() == 1);
  CHECK(sockets[0].address == "127.0.0.1:6443");
  CHECK(sockets[0].inode == "4711");
}

TEST_CASE("doctor: what the kernel cannot do is a problem with the kernel's own words") {
  for (const Finding& one : check_kernel({.has_overlay = true})) CHECK(one.level == Level::ok);
  const Findings bad = check_kernel({.nftables_error = "Protocol not supported", .has_overlay = false});
  CHECK(the(bad, "nf_tables").level == Level::problem);
  CHECK(contains(the(bad, "nf_tables").finding, "Protocol not supported"));
  CHECK(contains(the(bad, "nf_tables").fix, "modprobe nf_tables"));
  CHECK(the(bad, "veth").level == Level::ok);
  CHECK(the(bad, "overlayfs").level == Level::warning);
  const Findings none = check_kernel({.namespace_error = "Operation not permitted"});
  CHECK(the(none, "network-namespaces").level == Level::problem);
  CHECK(the(none, "nf_tables").level == Level::unknown);
  CHECK(contains(the(check_forwarding({.is_forwarding = false, .bridge_nf = true}), "bridge-nf").finding,
                 "is 1"));
}

TEST_CASE("doctor: a check that hangs, or throws, keeps no other and is unknown") {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  const auto begin = std::chrono::steady_clock::now();
  const Findings found =
      run_probes({{"stuck",
                   [released] {
                     return released.wait(), Findings{{Level::ok, "stuck", "after all", ""}};
                   }},
                  {"thrown", []() -> Findings { throw std::runtime_error("no luck"); }},
                  {"good",
                   [] {
                     return Findings{{Level::ok, "good", "fine", ""}};
                   }}},
                 std::chrono::milliseconds(200));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  release.set_value();
  REQUIRE(found.size() == 3);
  CHECK(the(found, "stuck").level == Level::unknown);
  CHECK(contains(the(found, "stuck").finding, "200 ms"));
  CHECK(the(found, "thrown").level == Level::unknown);
  CHECK(the(found, "thrown").finding == "no luck");
  CHECK(the(found, "good").level == Level::ok);
}
