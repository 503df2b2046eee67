// The program itself, in the host of a world: what it says of its flags, that it waits for the API and holds
// the host meanwhile, that it leaves all in place when it ends, and that --cleanup takes it away.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "bridge_world.h"
#include "fake_server.h"

using namespace rusternetes;
using namespace rusternetes::host_agent;
using namespace rusternetes::host_agent::testing;
using client::testing::FakeServer;
using client::testing::Reply;

namespace {

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "host_agent_tests.XXXXXX";
    REQUIRE(::mkdtemp(name.data()));
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
};

class Program {
 public:
  Program(const NetworkNamespace& host, const Folder& folder, std::vector<std::string> arguments)
      : log_(folder.file("log")) {
    arguments.insert(arguments.begin(), RUSTERNETES_BINARY_DIR "/host-agent");
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    char* const no_environment[] = {nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const auto started = network::inside(host, [&]() -> Result<> {
      const int error = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), no_environment);
      if (error) return errno_error(argv[0], error);
      return {};
    });
    ::posix_spawn_file_actions_destroy(&actions);
    REQUIRE(started);
  }
  Program(const Program&) = delete;
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string log() const {
    std::ifstream in(log_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void signal(int number) const { ::kill(pid_, number); }
  // -1: it did not end in time; 1000 and more: by a signal.
  int wait_end() {
    int status = 0;
    if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, std::chrono::seconds(10)))
      return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  std::string log_;
  pid_t pid_ = -1;
};

const std::vector<std::string> ranges{"--network-cidr=10.214.3.0/24", "--gateway=10.214.3.1",
                                      "--cluster-cidr=10.244.0.0/16",
                                      "--service-cluster-ip-range=10.96.0.0/16", "--cluster-name=demo"};

std::vector<std::string> with(std::vector<std::string> more) {
  more.insert(more.begin(), ranges.begin(), ranges.end());
  return more;
}

const std::string nodes =
    R"({"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[)"
    R"({"metadata":{"name":"n1","uid":"u"},"spec":{"podCIDRs":["10.244.1.0/24"]},)"
    R"("status":{"addresses":[{"type":"InternalIP","address":"10.214.3.11"}],)"
    R"("conditions":[{"type":"Ready","status":"True"}]}}]})";
const std::string service_cidrs = R"({"kind":"ServiceCIDRList","apiVersion":"networking.k8s.io/v1",)"
                                  R"("metadata":{"resourceVersion":"7"},"items":[]})";
const std::string not_ready =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"not ready",)"
    R"("reason":"ServiceUnavailable","code":503})";

}  // namespace

TEST_CASE("the program ends with 1 and one sentence when it cannot start", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  const Folder folder;
  const auto before = host_lines(host);
  const auto says = [&](const std::vector<std::string>& words) {
    Program program(host, folder, words);
    CHECK(program.wait_end() == 1);
    return program.log();
  };
  CHECK(says({}) ==
        "host-agent: --network-cidr is missing: the range of the engine's network on which the nodes are\n");
  CHECK(says({"--gatway=10.0.0.1"}) == "host-agent: there is no flag --gatway; did you mean --gateway?\n");
  CHECK(says({"word"}) == "host-agent: unexpected argument \"word\"\n");
  CHECK(says(with({"--publish=8080"})) ==
        "host-agent: --publish: \"8080\" is not HOST:NODEPORT, two port numbers such as 8080:30080\n");
  CHECK(says(ranges) ==
        "host-agent: --kubeconfig says how to reach the API; it is missing, and so is --master\n");
  CHECK(says(with({"--kubeconfig=" + folder.file("none")})).starts_with("host-agent: cannot read"));
  CHECK(says({"--cleanup", "--cluster-name=a b"}) == "host-agent: --cluster-name: \"a b\" is no name\n");
  CHECK(host_lines(host) == before);
}

TEST_CASE("the program holds the host, follows the API when it answers, and leaves all in place", "[world]") {
  RN_NEEDS_NAMESPACES();
  BridgeWorld world;
  const Folder folder;
  const auto before = host_lines(world.host);
  std::atomic<bool> is_up = false;
  EventThread thread("api", [&] { REQUIRE(network::enter(world.host)); });
  std::string url;
  std::unique_ptr<FakeServer> server;
  std::promise<void> listening;
  asio::post(thread.executor(), [&] {
    server = std::make_unique<FakeServer>(
        thread.executor(), [&](const http::RequestHead& head, const std::string&) -> Reply {
          if (!is_up) return {503, not_ready};
          if (head.target.find("watch=") != head.target.npos) return {.hangs = true};
          return {200, head.target.find("servicecidrs") != head.target.npos ? service_cidrs : nodes};
        });
    url = server->url();
    listening.set_value();
  });
  listening.get_future().get();
  const auto arguments = with({"--master=" + url, "--publish", "8080:30080", "--publish=8081:30081"});
  {
    Program program(world.host, folder, arguments);
    REQUIRE(eventually([&] { return world.is_dropped("10.96.0.0/16"); }));
    CHECK(world.route("10.96.0.0/16") == "");
    is_up = true;
    CHECK(eventually([&] { return world.route("10.96.0.0/16") == "10.214.3.11"; }, std::chrono::seconds(20)));
    CHECK(world.route("10.244.1.0/24") == "10.214.3.11");
    CHECK(eventually([&] { return program.log().find("lead to 10.214.3.11") != std::string::npos; }));
    for (const std::uint16_t port : {8080, 8081})
      CHECK(Connection(world.node1, world.network.address(11), static_cast<std::uint16_t>(port + 22000),
                       world.outside, ip("198.51.100.1"), port)
                .works());
    const auto standing = host_lines(world.host);
    program.signal(SIGTERM);
    CHECK(program.wait_end() == 0);
    CHECK(host_lines(world.host) == standing);
  }
  CHECK(world.route("10.96.0.0/16") == "10.214.3.11");
  Program cleanup(world.host, folder, {"--cleanup", "--cluster-name", "demo"});
  CHECK(cleanup.wait_end() == 0);
  CHECK(cleanup.log() == "");
  CHECK(host_lines(world.host) == before);
  server.reset();
  thread.stop();
}
