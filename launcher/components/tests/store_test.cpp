// The launcher's view of storage/sqlite: real files, and a real server that streams them.
#include "launcher/components/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "certs/file.h"
#include "stores.h"
#include "support/folder.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::testing;
using storage::sqlite::SqliteStore;
namespace fs = std::filesystem;

namespace {

// Answers one request with these bytes, as they are.
class OneAnswer {
 public:
  OneAnswer(const fs::path& path, std::string answer) : answer_(std::move(answer)) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.string().copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    thread_ = std::thread([this] {
      const int peer = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      char request[4096];
      (void)!::read(peer, request, sizeof request);
      (void)!::write(peer, answer_.data(), answer_.size());
      ::close(peer);
    });
  }
  ~OneAnswer() {
    thread_.join();
    ::close(fd_);
  }

 private:
  std::string answer_;
  int fd_ = -1;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a stopped cluster's store is copied, counted and raised beyond a revision") {
  testing::Folder folder;
  const fs::path file = folder.path / "store.db", copy = folder.path / "copy.db";
  SqliteStorePort port;
  {
    auto store = open_store(file);
    put(*store, "/registry/configmaps/default/a", "1");
    put(*store, "/registry/configmaps/default/b", "2");
    put(*store, "/registry/ranges/servicenodeports", "3");
    put(*store, "/registry/masterleases/10.0.0.1", "4");
    const auto in_use = port.copy_stopped({.socket = {}, .file = file}, copy);
    REQUIRE_FALSE(in_use);
    CHECK(in_use.error().is("StoreInUse"));
    CHECK_FALSE(fs::exists(copy));
  }
  REQUIRE(port.copy_stopped({.socket = {}, .file = file}, copy));
  CHECK((fs::status(copy).permissions() & fs::perms(0777)) == fs::perms(0600));
  const auto facts = port.facts(copy);
  REQUIRE(facts);
  CHECK(facts->revision == 5);
  CHECK(facts->object_count == 2);
  REQUIRE(port.raise(copy, 1'000'000'123));
  CHECK(port.facts(copy)->revision == 1'000'000'123);
  REQUIRE(port.raise(copy, 7));  // never down
  CHECK(port.facts(copy)->revision == 1'000'000'123);
  auto store = open_store(copy);
  CHECK(store->compact_revision() == 1'000'000'123);
  storage::RangeRequest range{.key = "/registry/configmaps/default/a", .range_end = {}};
  CHECK(*store->range(range)->kvs.at(0).value == "1");
}

TEST_CASE("a missing and a damaged store are told apart") {
  testing::Folder folder;
  SqliteStorePort port;
  CHECK(port.facts(folder.path / "none.db").error().is("NotFound"));
  CHECK_FALSE(fs::exists(folder.path / "none.db"));
  std::ofstream(folder.path / "bad.db") << std::string(10'000, 'x');
  CHECK(port.facts(folder.path / "bad.db").error().is("StoreDamaged"));
}

TEST_CASE("a copy that breaks off, is refused or does not come leaves nothing") {
  testing::Folder folder;
  SqliteStorePort port;
  const StoreSource source{.socket = folder.path / "s", .file = folder.path / "store.db"};
  const fs::path to = folder.path / "copy.db";
  const auto copy = [&] { return port.copy_running(source, to, {}); };
  SECTION("nobody listens") { CHECK(copy().error().is("StoreUnreachable")); }
  SECTION("it breaks off") {
    OneAnswer server(source.socket, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CHECK(copy().error().is("StoreUnreachable"));
  }
  SECTION("the process has no room for the copy") {
    OneAnswer server(source.socket,
                     "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 51\r\nconnection: close\r\n\r\n"
                     "the store's disk is full: database or disk is full\n");
    const auto refused = copy();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is("NoSpace"));
  }
  CHECK_FALSE(fs::exists(to));
  SECTION("a whole one comes") {
    OneAnswer server(source.socket,
                     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    std::uint64_t seen = 0;
    REQUIRE(port.copy_running(source, to, [&](std::uint64_t bytes) { seen = bytes; }));
    CHECK(certs::read_text(to).value() == "hello");
    CHECK(seen == 5);
    CHECK((fs::status(to).permissions() & fs::perms(0777)) == fs::perms(0600));
    CHECK_FALSE(port.copy_running(source, to, {}));  // never over another file
    CHECK(certs::read_text(to).value() == "hello");
  }
}

TEST_CASE("an adapted copy has what it had, but for what only the cluster of before was") {
  testing::Folder folder;
  const fs::path file = folder.path / "store.db";
  {
    auto store = open_store(file);
    for (int i = 0; i < 1200; ++i) put(*store, "/registry/events/default/e" + std::to_string(i), "x");
    put(*store, "/registry/configmaps/default/mine", "kept");
    put(*store, "/registry/leases/kube-node-lease/a", "x");
    put(*store, "/registry/services/specs/default/web",
        R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.2","clusterIPs":["10.96.0.2"]}})");
  }
  SqliteStorePort port;
  REQUIRE(port.adapt(file, {{"10.96.0.0/16"}, {"10.97.0.0/16"}}));
  CHECK(port.facts(file)->object_count == 2);
  auto store = open_store(file);
  storage::RangeRequest mine{.key = "/registry/configmaps/default/mine", .range_end = {}};
  CHECK(*store->range(mine)->kvs.at(0).value == "kept");
  storage::RangeRequest web{.key = "/registry/services/specs/default/web", .range_end = {}};
  CHECK(store->range(web)->kvs.at(0).value->find("10.97.0.2") != std::string::npos);
}

TEST_CASE("what makes a member of etcd's data ends with the process that began it, however that ends") {
  testing::Folder folder;
  const fs::path tool = folder.path / "tool", told = folder.path / "pid";
  std::ofstream(tool) << "#!/bin/sh\necho $$ >" << told.string() << ".new\nmv " << told.string() << ".new "
                      << told.string() << "\nexec sleep 1000\n";
  fs::permissions(tool, fs::perms::owner_all);
  const pid_t launcher = ::fork();
  REQUIRE(launcher >= 0);
  if (launcher == 0) {
    SqliteStorePort port;
    const EtcdMember member{.name = "a", .peer_url = "b", .initial_cluster = "c", .token = "d"};
    (void)port.make_member(folder.path / "copy.db", member, tool, folder.path / "member");
    ::_exit(0);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto wait_until = [&](auto&& check) {
    while (!check() && std::chrono::steady_clock::now() < end) ::usleep(1000);
    return check();
  };
  const bool has_begun = wait_until([&] { return fs::exists(told); });
  ::kill(launcher, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(launcher, &status, 0) == launcher);
  REQUIRE(has_begun);
  const std::string pid = certs::read_text(told).value();
  // Nobody has to reap it here: a zombie has ended, too.
  CHECK(wait_until([&] {
    const auto state = certs::read_text(fs::path("/proc") / pid.substr(0, pid.find('\n')) / "stat");
    return !state || state->find(") Z ") != std::string::npos;
  }));
}
