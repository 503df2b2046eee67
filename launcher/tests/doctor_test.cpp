// `rusternetes-ctl doctor` as a command: on made-up hosts and clusters, and on this one.
#include <sys/wait.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "doctor_facts.h"
#include "launcher/doctor/cluster_checks.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string text(const boost::json::value& of, const char* key) {
  return std::string(of.at(key).as_string());
}

struct DoctorWorld : World {
  std::shared_ptr<FakeFacts> fake = std::make_shared<FakeFacts>();
  DoctorWorld() { facts = fake; }

  // Of a finding of the last run, which had --output json; empty without one.
  std::string level(const std::string& what, const std::string& cluster = "") const {
    const boost::json::value document = boost::json::parse(out.str());
    std::string found;
    for (const boost::json::value& one : document.at("findings").as_array())
      if (text(one, "what") == what && text(one, "cluster") == cluster) found += text(one, "level");
    return found;
  }
};

}  // namespace

TEST_CASE("doctor: on a host with nothing wrong every check is ok, and the last line sums up") {
  DoctorWorld world;
  REQUIRE(world.run({"doctor"}) == 0);
  INFO(world.out.str());
  CHECK(contains(world.out.str(), "ok       engine"));
  CHECK(contains(world.out.str(), "\n0 problems, 0 warnings, 0 unknown, "));
  CHECK_FALSE(contains(world.out.str(), "fix:"));
  CHECK_FALSE(fs::exists(world.home()));
}

TEST_CASE("doctor: a problem ends with a code of its own, a warning with none") {
  DoctorWorld world;
  world.fake->limit_facts->nofile = 20'000;
  REQUIRE(world.run({"doctor"}) == 0);
  CHECK(contains(world.out.str(), "\nwarning  limit-nofile"));
  CHECK(contains(world.out.str(), "\n         fix: Raise it for root"));
  world.fake->free_bytes = 0;
  CHECK(world.run({"doctor"}) == 11);
  CHECK(contains(world.out.str(), "\nproblem  disk-home"));
  CHECK(contains(world.out.str(), "\n2 problems, 1 warning, 0 unknown, "));
  CHECK(world.err.str().empty());
  CHECK(world.run({"doctor", "--output", "json"}) == 11);
  const auto document = boost::json::parse(world.out.str());
  CHECK(document.at("error").at("id") == "HostProblem");
  CHECK(document.at("error").at("exitCode") == 11);
  CHECK(document.at("summary").at("problem") == 2);
  CHECK(world.level("disk-home") == "problem");
  CHECK(world.level("disk-engine") == "problem");
  CHECK(world.level("limit-nofile") == "warning");
}

TEST_CASE("doctor: what cannot be looked at is unknown with the reason, and no problem") {
  DoctorWorld world;
  world.fake->root = false;
  world.fake->kernel_facts = Status{403, "Forbidden", "network namespaces are made by root alone", nullptr};
  world.fake->firewall_facts =
      Status{403, "Forbidden", "the firewall's rules are shown to root alone", nullptr};
  REQUIRE(world.run({"doctor", "--output", "json"}) == 0);
  CHECK(world.level("kernel") == "unknown");
  CHECK(world.level("firewall") == "unknown");
  CHECK(world.level("user") == "warning");
  REQUIRE(world.run({"doctor"}) == 0);
  CHECK(contains(world.out.str(), "network namespaces are made by root alone"));
}

TEST_CASE("doctor: a cluster is looked at from its process to its context") {
  DoctorWorld world;
  REQUIRE(world.run({"create", "a"}) == 0);
  const auto doctor = [&](int wanted) {
    CHECK(world.run({"doctor", "a", "--output", "json"}) == wanted);
    INFO(world.out.str());
  };
  doctor(11);
  CHECK(world.level("store", "a") == "problem");  // the made-up process writes none
  std::ofstream(world.home() / "clusters/a/data/state.db") << "store";
  doctor(0);
  for (const char* what : {"process", "api-server", "engine", "certificates", "store", "kubeconfig"}) {
    INFO(what);
    CHECK(world.level(what, "a") == "ok");
  }
  REQUIRE(world.run({"kubeconfig", "remove", "a"}) == 0);
  world.http.is_ready = false;
  doctor(11);
  CHECK(world.level("kubeconfig", "a") == "warning");
  CHECK(world.level("api-server", "a") == "problem");
  world.http.is_ready = true;
  world.things.remove("process", "a");  // its supervisor is killed
  CHECK(world.run({"doctor"}) == 11);
  CHECK(contains(world.out.str(), "problem  a/process"));
  CHECK(contains(world.out.str(), "fix: rusternetes-ctl start a"));
  world.things.add("process", "a");
  REQUIRE(world.run({"stop", "a"}) == 0);
  doctor(0);
  CHECK(world.level("process", "a") == "ok");
  CHECK(world.level("api-server", "a").empty());
  CHECK(world.run({"doctor", "b"}) == 3);
  CHECK(contains(world.err.str(), "[ClusterNotFound]"));
}

TEST_CASE("doctor: a cluster of containers is looked at component by component") {
  DoctorWorld world;
  REQUIRE(world.run({"create", "a", "--mode", "sqlite", "--nodes", "1", "--publish", "8080:30080"}) == 0);
  std::ofstream(world.home() / "clusters/a/data/rhino/state.db") << "store";
  world.fake->port_listeners = std::vector<Listener>{{"0.0.0.0:8080", 7, "host-agent"}};
  const auto doctor = [&](int wanted) {
    CHECK(world.run({"doctor", "a", "--output", "json"}) == wanted);
    INFO(world.out.str());
  };
  const auto says = [&](std::string_view part) {
    REQUIRE(world.run({"doctor", "a"}) >= 0);
    INFO(world.out.str());
    CHECK(contains(world.out.str(), part));
  };
  doctor(0);
  for (const char* what :
       {"components", "images", "api-server", "engine", "certificates", "store", "host-rules"}) {
    INFO(what);
    CHECK(world.level(what, "a") == "ok");
  }
  CHECK(world.level("process", "a").empty());
  world.things.add("component", "a.scheduler", "exited");
  world.things.remove("component", "a.node-1");
  world.http.sick = {{":10257/healthz", 500}, {":8181/ready", 0}};
  world.engine.restarts["kubelet-1"] = 9;
  doctor(11);
  CHECK(world.level("components", "a") == "problemproblemproblemproblemwarning");
  says("scheduler has ended with exit code 137");
  says("fix: See why: rusternetes-ctl logs a --component scheduler --tail 50; then: rusternetes-ctl start a");
  says("node-1 has no container");
  says("controller-manager is not well, it answers 500: [-]etcd failed: it hangs");
  says("dns does not answer: Connection refused");
  says("kubelet-1 was restarted 9 times");
  world.http.sick.clear();
  world.engine.restarts.clear();
  REQUIRE(world.run({"start", "a"}) == 0);
  doctor(0);
  world.things.remove("image-podman", "localhost_rusternetes_kubelet:1");
  world.network.lacking = {"the route to its services 10.96.0.0/16"};
  world.fake->port_listeners = std::vector<Listener>{};
  doctor(11);
  CHECK(world.level("images", "a") == "warning");
  CHECK(world.level("host-rules", "a") == "problem");
  CHECK(world.level("ports", "a") == "problem");
  says("the host lacks the route to its services");
  says("has no image localhost/rusternetes/kubelet:1 any more");
  world.host.root = false;
  world.fake->root = false;
  doctor(11);
  CHECK(world.level("host-rules", "a") == "unknown");
  world.host.root = true;
  REQUIRE(world.run({"stop", "a", "--yes"}) == 0);
  world.fake->port_listeners = std::vector<Listener>{{"0.0.0.0:8080", 7, "nginx"}};
  doctor(0);
  CHECK(world.level("components", "a") == "ok");
  CHECK(world.level("ports", "a") == "warningwarning");  // the api-server's and the published one
  says("8080 is taken by nginx (pid 7)");
  world.engine.running.clear();
  world.things.remove("drop-host", "a");
  doctor(0);
  CHECK(world.level("components", "a") == "ok");
}

TEST_CASE("doctor: certificates that end soon, and a store that has grown") {
  const SystemTime now{std::chrono::seconds(1'780'000'000)};
  doctor::ClusterFacts facts{.name = "a",
                             .phase = "running",
                             .is_running = true,
                             .pid = 7,
                             .does_engine_answer = true,
                             .first_to_expire = "apiserver.crt",
                             .expires_at = now + std::chrono::hours(24 * 100),
                             .store_bytes = 1 << 20,
                             .has_context = true};
  const auto level = [&](std::string_view what) {
    for (const doctor::Finding& one : doctor::check_cluster(facts, now))
      if (one.what == what)
        return std::string(doctor::to_string(one.level)) + (one.fix.empty() ? "" : "+fix");
    return std::string();
  };
  CHECK(level("certificates") == "ok");
  facts.expires_at = now + std::chrono::hours(24 * 29);
  CHECK(level("certificates") == "warning+fix");
  facts.expires_at = now;
  CHECK(level("certificates") == "problem+fix");
  CHECK(level("store") == "ok");
  facts.store_bytes = 5ull << 30;
  CHECK(level("store") == "warning+fix");
  facts.restarts = 9;
  CHECK(level("process") == "warning+fix");
  facts.does_engine_answer = false;
  CHECK(level("engine") == "problem+fix");
  facts.phase = "starting";
  CHECK(level("process") == "warning+fix");
}

TEST_CASE("doctor: the real command looks at this host, in time, and changes nothing") {
  TemporaryFolder folder;
  const auto links = [] {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator("/sys/class/net")) out.insert(entry.path().filename());
    return out;
  };
  const auto links_before = links();
  const fs::path home = folder.path / "home";
  const std::string command = std::string(RUSTERNETES_BINARY_DIR) +
                              "/rusternetes-ctl doctor --output json --home " + home.string() + " 2>&1";
  const auto begin = std::chrono::steady_clock::now();
  FILE* program = ::popen(command.c_str(), "r");
  REQUIRE(program != nullptr);
  std::string said;
  for (char buffer[4096]; std::fgets(buffer, sizeof buffer, program) != nullptr;) said += buffer;
  const int status = ::pclose(program);
  const auto took = std::chrono::steady_clock::now() - begin;
  INFO(said);
  REQUIRE(WIFEXITED(status));
  boost::system::error_code error;
  const boost::json::value document = boost::json::parse(said, error);
  REQUIRE_FALSE(error);
  std::map<std::string, std::string> levels;
  for (const boost::json::value& one : document.at("findings").as_array()) {
    const std::string level = text(one, "level");
    levels[text(one, "what")] = level;
    CHECK(std::set<std::string>{"ok", "warning", "problem", "unknown"}.contains(level));
    CHECK_FALSE(text(one, "finding").empty());
    if (level == "warning" || level == "problem") CHECK_FALSE(text(one, "fix").empty());
  }
  for (const char* what : {"user", "oci-runtime", "cgroups", "limit-nofile", "overlayfs", "ip-forward",
                           "port-6443", "home", "disk-home", "clock", "memory", "swap", "init", "programs"}) {
    INFO(what);
    CHECK(levels.contains(what));
  }
  if (::geteuid() == 0) {  // what root can look at, it does
    CHECK(levels.contains("nf_tables"));
    CHECK(levels.contains("firewall-forward"));
  }
  const bool has_problem = document.at("summary").at("problem").to_number<int>() > 0;
  CHECK(WEXITSTATUS(status) == (has_problem ? 11 : 0));
  CHECK(document.as_object().contains("error") == has_problem);
  CHECK(took < std::chrono::seconds(8));  // five, and what a loaded host adds
  CHECK_FALSE(fs::exists(home));
  CHECK(links() == links_before);
}
