// What `doctor` is told of engines and of the kernel's network: against sockets and in namespaces that the
// test makes.
#include "launcher/components/facts.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "launcher/doctor/checks.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "network/nft.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
namespace fs = std::filesystem;

namespace {

// Listens in a folder of its own; with answers, a thread gives them out by the request's target.
class Listening {
 public:
  explicit Listening(std::function<std::string(const std::string& request)> answer = nullptr) {
    std::string name = (fs::temp_directory_path() / "facts-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
    if (answer) server_ = std::thread([this, answer] { serve(answer); });
  }
  ~Listening() {
    ::shutdown(socket_, SHUT_RDWR);  // ends accept()
    if (server_.joinable()) server_.join();
    ::close(socket_);
    fs::remove_all(folder_);
  }
  std::string path() const { return (folder_ / "s").string(); }

 private:
  void serve(const std::function<std::string(const std::string&)>& answer) {
    for (;;) {
      const int peer = ::accept(socket_, nullptr, nullptr);
      if (peer < 0) return;
      std::string request;
      char piece[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::read(peer, piece, sizeof piece);
        if (got <= 0) break;
        request.append(piece, static_cast<std::size_t>(got));
      }
      if (!request.empty()) {
        const std::string text = answer(request);
        (void)!::write(peer, text.data(), text.size());
      }
      ::close(peer);
    }
  }
  fs::path folder_;
  int socket_ = -1;
  std::thread server_;
};

std::string response(const std::string& headers, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nConnection: close\r\n" + headers +
         "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// As Podman 4.3.1 tells it, with the parts that are read.
std::string podman(const std::string& request) {
  if (request.starts_with("GET /v4.0.0/libpod/info "))
    return response("", R"({"host":{"ociRuntime":{"name":"crun","version":"crun version 1.8.1\ncommit: f8a0"},
      "security":{"rootless":false}},"store":{"graphRoot":"/var/lib/containers/storage"}})");
  return response("Api-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n", "OK");
}

Result<EnginesFacts> engines_at(const std::string& podman, const std::string& docker) {
  LinuxFacts facts("/nowhere", [&](const char* name) -> std::optional<std::string> {
    if (std::string_view(name) == "CONTAINER_HOST") return "unix://" + podman;
    if (std::string_view(name) == "DOCKER_HOST") return "unix://" + docker;
    return std::nullopt;
  });
  return facts.engines();
}

bool is_without_namespaces() {
  if (::geteuid() == 0) return false;
  WARN("SKIPPED: network namespaces need root");
  return true;
}

}  // namespace

TEST_CASE("doctor hears version, runtime and storage from an engine, and why another one is not there") {
  const Listening engine(podman);
  const auto facts = engines_at(engine.path(), engine.path() + "-absent");
  REQUIRE(facts);
  REQUIRE(facts->engines.size() == 2);
  const EngineFacts& one = facts->engines[0];
  INFO(one.silence);
  CHECK(one.silence.empty());
  CHECK(one.kind == "podman");
  CHECK(one.version == "4.3.1");
  CHECK(one.runtime == "crun");
  CHECK(one.runtime_version == "1.8.1");
  CHECK(one.storage == "/var/lib/containers/storage");
  CHECK(one.is_rootless == (::geteuid() != 0));  // who serves the socket is this process
  CHECK(facts->engines[1].connect_error == ENOENT);
  CHECK(runtime_version_of("runc version 1.1.5+ds1\ncommit: x") == "1.1.5+ds1");
}

TEST_CASE("doctor waits for engines that do not answer, both at once, and for less than two seconds") {
  const Listening first, second;
  const auto begin = std::chrono::steady_clock::now();
  const auto facts = engines_at(first.path(), second.path());
  const auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE(facts);
  for (const EngineFacts& one : facts->engines) CHECK(one.silence == "it took longer than 1.7 s");
  CHECK(took >= std::chrono::milliseconds(1600));
  CHECK(took < std::chrono::milliseconds(3000));  // one after the other would be 3.4 s
}

TEST_CASE("doctor tries the kernel in a namespace of its own") {
  if (is_without_namespaces()) return;
  LinuxFacts facts("/nowhere", [](const char*) { return std::nullopt; });
  const auto around = network::NetworkNamespace::create().value();
  const auto result = network::inside_thread(around, [&]() -> Result<> {
    RN_TRY(const KernelFacts kernel, facts.kernel());
    CHECK(kernel.namespace_error.empty());
    CHECK(kernel.nftables_error.empty());
    CHECK(kernel.veth_error.empty());
    // Nothing of the trial is where it was asked from.
    RN_TRY(auto netlink, network::Netlink::open());
    RN_TRY(const auto links, netlink.links());
    CHECK(links.size() == 1);
    RN_TRY(const bool has_table, network::has_table(around, "rusternetes-doctor"));
    CHECK_FALSE(has_table);
    return {};
  });
  CHECK(result);
}

TEST_CASE("doctor reads the drops of a host from its real rules") {
  if (is_without_namespaces()) return;
  LinuxFacts facts("/nowhere", [](const char*) { return std::nullopt; });
  const auto host = network::NetworkNamespace::create().value();
  const auto level = [&](std::string_view what) {
    std::string levels;
    for (const doctor::Finding& one : doctor::check_firewall(facts.firewall().value()))
      if (one.what == what) levels += doctor::to_string(one.level);
    return levels;
  };
  const auto result = network::inside_thread(host, [&]() -> Result<> {
    CHECK(level("firewall-forward") == "ok");
    CHECK(level("firewall-input") == "ok");
    RN_TRY(auto netlink, network::Netlink::open());
    RN_CHECK(netlink.create_veth({.name = "rnabcdefnuvwxyz", .peer_name = "peer", .alias = ""}));
    RN_TRY(auto nft, network::Nft::open());
    // What Docker leaves, and a firewall that rejects at the end as firewalld does.
    RN_CHECK(
        nft.run("add table ip filter\n"
                "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }\n"
                "add chain ip filter DOCKER-USER\n"
                "add rule ip filter FORWARD counter jump DOCKER-USER\n"
                "add rule ip filter DOCKER-USER counter return\n"
                "add table inet fire\n"
                "add chain inet fire incoming { type filter hook input priority 10; }\n"
                "add rule inet fire incoming ct state established accept\n"
                "add rule inet fire incoming counter reject\n"));
    CHECK(level("firewall-forward") == "problem");
    CHECK(level("firewall-input") == "warning");
    RN_CHECK(
        nft.run("insert rule ip filter DOCKER-USER iifname \"rnabcdef*\" counter accept\n"
                "insert rule ip filter DOCKER-USER oifname \"rnabcdef*\" counter accept\n"
                "insert rule inet fire incoming iifname \"rn*\" accept\n"));
    CHECK(level("firewall-forward") == "ok");
    CHECK(level("firewall-input") == "ok");
    RN_CHECK(
        nft.run("add table inet other\n"
                "add chain inet other crossing { type filter hook forward priority 20; policy drop; }\n"));
    CHECK(level("firewall-forward") == "problemok");
    return {};
  });
  CHECK(result);
}
