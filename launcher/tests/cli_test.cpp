#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "launcher/command.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

boost::json::value json_of(const World& world) { return boost::json::parse(world.out.str()); }

}  // namespace

TEST_CASE("an unknown word, flag or cluster gets the nearest name") {
  World world;
  CHECK(world.run({"craete"}) == 2);
  CHECK(contains(world.err.str(), "did you mean \"create\"?"));
  CHECK(world.run({"create", "--pod-cdir", "x"}) == 2);
  CHECK(contains(world.err.str(), "did you mean \"--pod-cidr\"?"));
  CHECK(world.run({"image", "laod"}) == 2);
  CHECK(contains(world.err.str(), "did you mean \"load\"?"));
  CHECK(world.run({"image"}) == 2);
  CHECK(contains(world.err.str(), "image needs one of: load"));
  CHECK(world.run({"create", "a", "b"}) == 2);
  CHECK(contains(world.err.str(), "does not take \"b\""));
  CHECK(world.run({}) == 2);
  CHECK(world.run({"image", "nonsense"}) == 2);
  CHECK(contains(world.err.str(), "image takes load"));
  CHECK(world.run({"create", "--api-port"}) == 2);
  CHECK(contains(world.err.str(), "--api-port needs a value: PORT"));
  CHECK(world.run({"create", "--wait", "10"}) == 2);
  CHECK(contains(world.err.str(), "--wait \"10\""));
  REQUIRE(world.run({"create", "develop"}) == 0);
  CHECK(world.run({"status", "devlop"}) == 3);
  CHECK(contains(world.err.str(), "did you mean \"develop\"?"));
  CHECK(world.run({"logs", "develop", "--component", "kublet"}) == 2);
  CHECK(contains(world.err.str(), "did you mean \"kubelet\"?"));
  CHECK(world.run({"logs", "develop", "--component", "dns"}) == 2);
  CHECK(contains(world.err.str(), "there are rusternetes, supervisor, api-server"));
  CHECK(world.run({"status"}) == 3);
  CHECK(contains(world.err.str(), "there is no cluster \"rusternetes\"; there is develop"));
}

TEST_CASE("with --output json an error is an object with id, advice and exit code") {
  World world;
  CHECK(world.run({"status", "--output", "json"}) == 3);
  const auto error = json_of(world).at("error");
  CHECK(error.at("id") == "ClusterNotFound");
  CHECK(error.at("exitCode") == 3);
  CHECK_FALSE(error.at("advice").as_string().empty());
  CHECK(world.run({"create", "--output", "yaml"}) == 2);
  CHECK(world.run({"nonsense", "--output=json"}) == 2);
  CHECK(json_of(world).at("error").at("id") == "Usage");
}

TEST_CASE("every id of an error is told once") {
  std::set<std::string_view> seen;
  for (const ErrorKind& kind : error_kinds()) {
    CHECK(seen.insert(kind.id).second);
    CHECK(kind.exit_code > 0);
  }
}

TEST_CASE("help has examples for every command") {
  World world;
  REQUIRE(world.run({"--help"}) == 0);
  for (const Command& command : commands()) {
    CHECK(contains(world.out.str(), command.word));
  }
  for (const Command& command : commands()) {
    std::vector<std::string> words{std::string(command.word)};
    if (!command.subword.empty()) words.emplace_back(command.subword);
    words.emplace_back("--help");
    World other;
    REQUIRE(other.run(words) == 0);
    CHECK(contains(other.out.str(), "Examples:"));
    CHECK(contains(other.out.str(), "--home"));
    for (const Flag& flag : command.flags) CHECK(contains(other.out.str(), flag.name));
  }
}

TEST_CASE("what people type from habit works: help, short flags, --version") {
  World world;
  REQUIRE(world.run({"help"}) == 0);
  CHECK(contains(world.out.str(), "Usage: rusternetes-ctl COMMAND [NAME] [--flags]"));
  REQUIRE(world.run({"help", "create"}) == 0);
  CHECK(contains(world.out.str(), "Usage: rusternetes-ctl create [NAME] [--flags]"));
  REQUIRE(world.run({"help", "kubeconfig"}) == 0);
  CHECK(contains(world.out.str(), "Usage: rusternetes-ctl kubeconfig [merge|remove] [NAME] [--flags]"));
  REQUIRE(world.run({"image", "--help"}) == 0);
  CHECK(contains(world.out.str(), "Usage: rusternetes-ctl image load [--flags]"));
  CHECK(contains(world.out.str(), "image load dev --archive app.tar"));
  REQUIRE(world.run({"--version"}) == 0);
  CHECK(contains(world.out.str(), "Kubernetes v1.35"));
  REQUIRE(world.run({"list", "-o", "json"}) == 0);
  CHECK(json_of(world).at("clusters").as_array().empty());
  REQUIRE(world.run({"create", "a", "-y"}) == 0);
  REQUIRE(world.run({"delete", "a", "-y"}) == 0);
}

TEST_CASE("a question is asked on a terminal, and anything but yes changes nothing") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  world.is_input_terminal = true;
  world.in.str("no\n");
  CHECK(world.run({"delete", "a"}) == 2);
  CHECK(contains(world.err.str(), "Delete a with all data? [y/N]"));
  CHECK(world.things.has("process", "a"));
  world.in.clear();
  world.in.str("y\n");
  CHECK(world.run({"delete", "a"}) == 0);
  world.check_nothing_is_left();
}

TEST_CASE("delete names what is not there, and one that fails does not keep the others") {
  World world;
  CHECK(world.run({"delete", "a", "--yes"}) == 3);
  CHECK(world.run({"delete", "--all", "--yes"}) == 0);
  CHECK(world.run({"delete", "a", "--all", "--yes"}) == 2);
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"create", "b", "--engine", "podman"}) == 0);
  world.faults.by_call["containers"] = "the engine is busy";
  CHECK(world.run({"delete", "--all", "--yes"}) == 8);
  CHECK(contains(world.err.str(), "the engine is busy"));
  world.faults.by_call.clear();
  REQUIRE(world.run({"list"}) == 0);  // finishes both
  world.check_nothing_is_left();
}

TEST_CASE("kubeconfig is printed, merged elsewhere and removed again") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  REQUIRE(world.run({"kubeconfig", "a"}) == 0);
  CHECK(world.out.str() == certs::read_text(world.home() / "clusters/a/kubeconfig").value());
  const fs::path other = world.folder.path / "other";
  world.variables["KUBECONFIG"] = ":" + other.string() + ":" + world.kubeconfig().string();
  REQUIRE(world.run({"kubeconfig", "merge", "a"}) == 0);
  CHECK(contains(certs::read_text(other).value(), "rusternetes-a"));
  REQUIRE(world.run({"kubeconfig", "remove", "a"}) == 0);
  CHECK_FALSE(fs::exists(other));
  CHECK(contains(certs::read_text(world.kubeconfig()).value(), "rusternetes-a"));
}

TEST_CASE("logs are printed whole, by their last lines, and by component") {
  World world;
  REQUIRE(world.run({"create", "a"}) == 0);
  CHECK(world.run({"logs", "a"}) == 3);
  std::ofstream(world.home() / "clusters/a/logs/rusternetes.log")
      << "supervisor: started\n2026-02-03T10:11:12.345+0000 I [api-server] serving\n"
         "2026-02-03T10:11:12.345+0000 I [replicaset-controller] synced\n2026-02-03T10:11:12.345+0000 I "
         "[kubelet] pod\n";
  REQUIRE(world.run({"logs", "a"}) == 0);
  CHECK(world.out.str() == certs::read_text(world.home() / "clusters/a/logs/rusternetes.log").value());
  REQUIRE(world.run({"logs", "a", "--tail", "1"}) == 0);
  CHECK(world.out.str() == "2026-02-03T10:11:12.345+0000 I [kubelet] pod\n");
  REQUIRE(world.run({"logs", "a", "--component", "controller-manager"}) == 0);
  CHECK(contains(world.out.str(), "synced"));
  CHECK_FALSE(contains(world.out.str(), "serving"));
  REQUIRE(world.run({"logs", "a", "--component", "supervisor"}) == 0);
  CHECK(world.out.str() == "supervisor: started\n");
  CHECK(world.run({"logs", "a", "--tail", "many"}) == 2);
  REQUIRE(world.run({"logs", "a", "--tail", "1", "--output", "json"}) == 0);
  CHECK(json_of(world) ==
        boost::json::parse(
            R"({"time":"2026-02-03T10:11:12.345+0000","level":"I","component":"kubelet","message":"pod"})"));
}

TEST_CASE("an image is found in the cluster's engine, brought from another, or read from a file") {
  World world;
  world.engine.running = {"podman", "docker"};
  REQUIRE(world.run({"create", "a", "--engine", "podman"}) == 0);
  world.things.add("image-podman", "here:1");
  world.things.add("image-docker", "there:1");
  REQUIRE(world.run({"image", "load", "a", "--image", "here:1", "--output", "json"}) == 0);
  CHECK(json_of(world).at("wasThere") == true);
  REQUIRE(world.run({"image", "load", "a", "--image", "there:1"}) == 0);
  CHECK(world.things.has("image-podman", "there:1"));
  CHECK(fs::is_empty(world.home() / "clusters/a/run"));
  CHECK(world.run({"image", "load", "a", "--image", "nowhere:1"}) == 3);
  std::ofstream(world.folder.path / "x.tar") << "file:1";
  REQUIRE(world.run({"image", "load", "a", "--archive", (world.folder.path / "x.tar").string()}) == 0);
  CHECK(world.things.has("image-podman", "file:1"));
  CHECK(world.run({"image", "load", "a", "--archive", "/nowhere.tar"}) == 3);
  CHECK(world.run({"image", "load", "a"}) == 2);
  CHECK(world.run({"image", "load", "a", "--image", "x", "--archive", "y"}) == 2);
}

TEST_CASE("completion scripts know every command and the clusters' names") {
  World world;
  REQUIRE(world.run({"completion", "bash"}) == 0);
  const fs::path script = world.folder.path / "completion.bash";
  std::ofstream(script)
      << world.out.str()
      << "rusternetes-ctl() { printf 'alpha\\nbeta\\n'; }\n"
         "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($#-1)); _rusternetes_ctl; echo \"${COMPREPLY[@]}\"; }\n"
         "try rusternetes-ctl cre\ntry rusternetes-ctl status al\ntry rusternetes-ctl create --engine ''\n"
         "try rusternetes-ctl kubeconfig me\ntry rusternetes-ctl create --api\n";
  FILE* shell = ::popen(("bash " + script.string() + " 2>&1").c_str(), "r");
  std::string said;
  for (char buffer[256]; std::fgets(buffer, sizeof buffer, shell) != nullptr;) said += buffer;
  ::pclose(shell);
  CHECK(said == "create\nalpha\npodman docker\nmerge\n--api-port\n");
  REQUIRE(world.run({"completion", "zsh"}) == 0);
  CHECK(world.out.str().starts_with("#compdef rusternetes-ctl"));
  REQUIRE(world.run({"completion", "fish"}) == 0);
  CHECK(contains(world.out.str(), "-l pod-cidr"));
  CHECK(contains(world.out.str(), R"(-d 'Create a cluster and make it kubectl\'s current context.')"));
  REQUIRE(world.run({"completion", "fish", "--output", "json"}) == 0);
  CHECK(json_of(world).at("shell") == "fish");
}

TEST_CASE("the version names this release and Kubernetes'") {
  World world;
  REQUIRE(world.run({"version"}) == 0);
  CHECK(contains(world.out.str(), "Kubernetes v1.35"));
}
