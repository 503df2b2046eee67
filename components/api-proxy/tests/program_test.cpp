// The program itself: what it says of its flags, that it serves, and that it ends.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api-proxy/flags.h"
#include "proxy_world.h"

using namespace rusternetes;
using namespace rusternetes::api_proxy;
using namespace rusternetes::api_proxy::testing;

namespace {

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "api_proxy_tests.XXXXXX";
    REQUIRE(::mkdtemp(name.data()));
    path = name;
    write("ca.crt", Pki::get().authority.certificate_pem);
    write("client.crt", Pki::get().client.certificate_pem);
    write("client.key", Pki::get().client.key_pem);
    write("server.key", Pki::get().server.key_pem);
    write("rubbish", "no certificate");
  }
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
  std::string file(const std::string& name) const { return (path / name).string(); }
};

class Program {
 public:
  Program(const Folder& folder, std::vector<std::string> arguments) : log_(folder.path / "log") {
    arguments.insert(arguments.begin(), RUSTERNETES_BINARY_DIR "/api-proxy");
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    char* const no_environment[] = {nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    REQUIRE(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), no_environment) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
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
  // The port behind such words in the log.
  std::uint16_t wait_port(const std::string& words) const {
    std::string text;
    REQUIRE(eventually([&] {
      text = log();
      const auto at = text.find(words);
      return at != text.npos && text.find('\n', at) != text.npos;
    }));
    const auto colon = text.find(':', text.find(words) + words.size());
    return static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1)));
  }
  void signal(int number) const { ::kill(pid_, number); }
  pid_t pid() const { return pid_; }
  // -1: it did not end in time; 1000 and more: by a signal.
  int wait_end() {
    int status = 0;
    if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

// What it says of such words; nothing: it would start.
std::string complaint(const std::vector<std::string>& words) {
  Flags flags;
  std::ostringstream out, err;
  if (parse(words, flags, out, err)) return err.str();
  const auto options = options_of(flags);
  return options ? "" : options.error().message;
}

}  // namespace

TEST_CASE("what is wrong with a flag is said in one sentence that names it") {
  const Folder folder;
  const std::vector<std::string> good{"--listen-address=127.0.0.1:0",
                                      "--server",
                                      "127.0.0.1:6443",
                                      "--server",
                                      "[::1]:6443,api-1:6443",
                                      "--certificate-authority=" + folder.file("ca.crt")};
  const auto with = [&](std::vector<std::string> more) {
    auto words = good;
    words.insert(words.end(), more.begin(), more.end());
    return complaint(words);
  };
  CHECK(with({}) == "");
  CHECK(with({"--client-certificate", folder.file("client.crt"), "--client-key", folder.file("client.key"),
              "--probe-interval=500ms", "--probe-timeout=2s", "--health-address=127.0.0.1:0"}) == "");
  CHECK(with({"--sever=a:1"}) == "api-proxy: there is no flag --sever; did you mean --server?\n");
  CHECK(with({"word"}) == "api-proxy: unexpected argument \"word\"\n");
  CHECK(with({"--server=127.0.0.1:6443"}) == "--server: 127.0.0.1:6443 is named twice");
  for (const char* bad :
       {"127.0.0.1", "::1:6443", "https://a:6443", "a:65536", "a:", "a:6443x", ":6443", "[]:1"})
    CHECK(with({std::string("--server=") + bad}) ==
          std::string("--server: \"") + bad + "\" is no HOST:PORT such as 10.0.0.1:6443");
  CHECK(with({"--server=a:0"}) == "--server: \"a:0\": nobody listens on port 0");
  CHECK(with({"--probe-interval=soon"}) ==
        "--probe-interval: \"soon\" is not a duration such as 60s, 1m30s or 0");
  CHECK(with({"--probe-timeout=0"}) == "--probe-timeout: 0 is too short; 10ms is the least");
  CHECK(with({"--health-address=here:1"}) ==
        "--health-address: \"here\" is no IP address; 0.0.0.0 stands for all");
  CHECK(with({"--client-key", folder.file("client.key")}) ==
        "--client-certificate and --client-key go together");
  CHECK(
      with({"--client-certificate", folder.file("client.crt"), "--client-key", folder.file("server.key")}) ==
      "--client-key: " + folder.file("server.key") + " is not the key of the certificate in " +
          folder.file("client.crt"));
  CHECK(complaint({}) == "--listen-address is missing: where clients find the cluster");
  CHECK(complaint({good[0]}) == "--server is missing: HOST:PORT of an api-server, as often as there are");
  CHECK(complaint({good[0], "--server=a:1"}).starts_with("--certificate-authority is missing"));
  CHECK(complaint({good[0], "--server=a:1", "--certificate-authority=" + folder.file("rubbish")}) ==
        "--certificate-authority: " + folder.file("rubbish") + " holds no certificate in PEM form");
}

TEST_CASE("the program ends with 1 and one sentence when it cannot start") {
  const Folder folder;
  const std::string missing = folder.file("none.crt");
  Program without_ca(
      folder, {"--listen-address=127.0.0.1:0", "--server=127.0.0.1:1", "--certificate-authority=" + missing});
  CHECK(without_ca.wait_end() == 1);
  CHECK(without_ca.log() == "api-proxy: --certificate-authority: " + missing + " does not exist\n");
  const Listener taken;
  const std::string address = "127.0.0.1:" + std::to_string(taken.port());
  Program twice(folder, {"--listen-address=" + address, "--server=127.0.0.1:1",
                         "--certificate-authority=" + folder.file("ca.crt")});
  CHECK(twice.wait_end() == 1);
  CHECK(twice.log() == "api-proxy: listen on " + address + ": Address already in use\n");
  Program unknown(folder, {"--nothing-like-it"});
  CHECK(unknown.wait_end() == 1);
  CHECK(unknown.log() == "api-proxy: there is no flag --nothing-like-it; --help lists them\n");
  Program help(folder, {"--help"});
  CHECK(help.wait_end() == 0);
  CHECK(help.log().find("--probe-interval") != std::string::npos);
}

TEST_CASE("the program serves, takes little memory, and ends at SIGTERM") {
  const Folder folder;
  TestServer a("a"), b("b");
  Program program(folder, {"--listen-address=127.0.0.1:0", "--health-address=127.0.0.1:0",
                           "--server=127.0.0.1:" + std::to_string(a.port()),
                           "--server=127.0.0.1:" + std::to_string(b.port()),
                           "--certificate-authority=" + folder.file("ca.crt"),
                           "--client-certificate=" + folder.file("client.crt"),
                           "--client-key=" + folder.file("client.key"), "--probe-interval=50ms"});
  const auto port = program.wait_port("listening on ");
  const auto health = program.wait_port("health is served on ");
  REQUIRE(eventually([&] { return plain_status(health, "/readyz") == 200; }));
  CHECK(Caller(port, true).get("/who").ends_with(" with certificate"));
  // Connections that rest cost it next to nothing.
  std::vector<Socket> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(Socket::connect(port));
  REQUIRE(eventually([&] { return a.connections() + b.connections() >= 302; }));
  std::ifstream status("/proc/" + std::to_string(program.pid()) + "/status");
  long private_kib = -1;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) private_kib = std::stol(line.substr(8));
  REQUIRE(private_kib > 0);
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  CHECK(private_kib < 8 << 10);
#endif
  program.signal(SIGTERM);
  CHECK(program.wait_end() == 0);
  for (const auto& client : clients) REQUIRE(client.is_at_end());
  CHECK(program.log().find("stopping") != std::string::npos);
}

TEST_CASE(
    "certificates that change are used without a restart, and what cannot be used leaves those before") {
  const Folder folder;
  const auto other = certs::make_authority({.common_name = "other"}, Clock::system().now());
  REQUIRE(other);
  folder.write("ca.crt", other->certificate_pem);
  TestServer server("a");
  Program program(folder, {"--listen-address=127.0.0.1:0", "--health-address=127.0.0.1:0",
                           "--server=127.0.0.1:" + std::to_string(server.port()),
                           "--certificate-authority=" + folder.file("ca.crt"), "--probe-interval=20ms"});
  const auto health = program.wait_port("health is served on ");
  REQUIRE(eventually([&] { return program.log().find("gets no connections") != std::string::npos; }));
  CHECK(plain_status(health, "/readyz") == 500);
  folder.write("ca.crt", "half a certif");
  REQUIRE(eventually([&] { return program.log().find("stay as they were") != std::string::npos; }));
  CHECK(plain_status(health, "/readyz") == 500);
  folder.write("ca.crt", Pki::get().authority.certificate_pem);
  REQUIRE(eventually([&] { return plain_status(health, "/readyz") == 200; }));
  CHECK(program.log().find("were read anew") != std::string::npos);
  // A bad file takes nothing away, and is told of once, also over new connections.
  folder.write("ca.crt", "no certificate at all");
  server.kill();
  REQUIRE(eventually([&] { return plain_status(health, "/readyz") == 500; }));
  server.start();
  REQUIRE(eventually([&] { return plain_status(health, "/readyz") == 200; }));
  const std::string log = program.log();
  std::size_t told = 0;
  for (auto at = log.find("no certificate in PEM"); at != log.npos;
       at = log.find("no certificate in PEM", at + 1))
    ++told;
  CHECK(told <= 2);
  program.signal(SIGTERM);
  CHECK(program.wait_end() == 0);
}
