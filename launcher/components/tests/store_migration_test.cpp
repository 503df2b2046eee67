// Objects go from SQLite to a real etcd and back, and come from a real snapshot of etcd.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/process.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <thread>

#include "launcher/components/store.h"
#include "stores.h"
#include "support/folder.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::testing;
using storage::sqlite::SqliteStore;
namespace fs = std::filesystem;
namespace api = rusternetes::apimachinery;

namespace {

const fs::path rhino = fs::path(RUSTERNETES_BINARY_DIR) / "rhino", etcd = "/usr/bin/etcd";

// "value@mod_revision" of every key.
std::map<std::string, std::string> contents(const fs::path& file) {
  const auto store = open_store(file);
  const auto all = store->range({.key = std::string(1, '\0'), .range_end = std::string(1, '\0')});
  REQUIRE(all);
  std::map<std::string, std::string> out;
  for (const auto& kv : all->kvs) out[kv.key] = fmt::format("{}@{}", *kv.value, kv.mod_revision);
  return out;
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

int run(const std::vector<std::string>& words) {
  return boost::process::system(
      boost::process::args(std::vector<std::string>(words.begin() + 1, words.end())),
      boost::process::exe(words[0]), boost::process::std_out > boost::process::null,
      boost::process::std_err > boost::process::null);
}

std::string config_map(const std::string& name) {
  return packed_object(
      fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}"}}}})", name));
}

}  // namespace

TEST_CASE("every object goes from SQLite to etcd and back as it was, at a raised revision") {
  if (::access(etcd.c_str(), X_OK) != 0) {
    WARN("SKIPPED: there is no /usr/bin/etcd");
    return;
  }
  testing::Folder folder;
  SqliteStorePort port;
  const fs::path copy = folder.path / "copy.db", back = folder.path / "back.db";
  {
    auto store = open_store(folder.path / "store.db");
    for (int i = 0; i < 700; ++i)
      put(*store, fmt::format("/registry/configmaps/default/{:04}", i), std::to_string(i));
    put(*store, "/registry/configmaps/default/0003", "changed");
  }
  REQUIRE(port.copy_stopped({.socket = {}, .file = folder.path / "store.db"}, copy));
  const auto before = contents(copy);
  const std::int64_t revision = port.facts(copy)->revision + 1'000'000'000;
  REQUIRE(port.raise(copy, revision));
  const std::string client = fmt::format("http://127.0.0.1:{}", free_port()),
                    peer = fmt::format("http://127.0.0.1:{}", free_port());
  const fs::path data = folder.path / "etcd";
  const auto made = port.make_member(
      copy, {.name = "etcd", .peer_url = peer, .initial_cluster = "etcd=" + peer, .token = "t"}, rhino, data);
  INFO((made ? "" : made.error().message));
  REQUIRE(made);
  boost::process::child server(
      etcd.string(), "--name=etcd", "--data-dir=" + data.string(), "--listen-client-urls=" + client,
      "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
      "--initial-advertise-peer-urls=" + peer, "--initial-cluster=etcd=" + peer,
      boost::process::std_out > boost::process::null, boost::process::std_err > boost::process::null);
  Result<> saved;
  for (int i = 0; i < 200; ++i) {
    saved = port.copy_running({.kind = snapshot::StoreKind::etcd, .endpoints = {client}, .tool = rhino}, back,
                              {});
    if (saved) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ::kill(server.id(), SIGTERM);
  server.wait();
  INFO((saved ? "" : saved.error().message));
  REQUIRE(saved);
  CHECK(contents(back) == before);
  CHECK(before.at("/registry/configmaps/default/0003").starts_with("changed@"));
  CHECK(port.facts(back)->revision >= revision);
}

TEST_CASE(
    "another cluster's snapshot is read, taken over without what was of that cluster alone, or refused") {
  testing::Folder folder;
  SqliteStorePort port;
  fs::create_directory(folder.path / "theirs");
  const auto snapshot = [&](const std::map<std::string, std::string>& objects) {
    const fs::path file = folder.path / "snapshot";
    fs::remove(file);
    fs::remove_all(folder.path / "theirs");
    fs::create_directory(folder.path / "theirs");
    {
      auto store = open_store(folder.path / "theirs/store.db");
      for (const auto& [key, value] : objects) put(*store, key, value);
    }
    REQUIRE(run({rhino, "snapshot", "export", "--data-dir", folder.path / "theirs", "--to", file}) == 0);
    return file;
  };
  const Adaptation foreign{{"10.96.0.0/12"}, {"10.96.0.0/12"}, true};
  const fs::path ours = folder.path / "ours";
  fs::create_directory(ours);
  SECTION("it is of a Kubernetes cluster") {
    const fs::path file =
        snapshot({{"/registry/configmaps/default/a", config_map("a")},
                  {"/registry/configmaps/kube-system/kubeadm-config", config_map("kubeadm-config")},
                  {"/registry/minions/theirs", config_map("n")},
                  {"compact_rev_key", "7"}});
    const auto read = port.read_foreign(file, rhino);
    INFO((read ? "" : read.error().message));
    REQUIRE(read);
    CHECK(read->service_cidrs.empty());
    const auto imported = port.import_foreign(file, rhino, ours);
    INFO((imported ? "" : imported.error().message));
    REQUIRE(imported);
    REQUIRE(port.adapt(ours / "store.db", foreign));
    const auto all = contents(ours / "store.db");
    CHECK(all.size() == 1);
    CHECK(all.contains("/registry/configmaps/default/a"));
  }
  SECTION("it is encrypted") {
    const fs::path file = snapshot({{"/registry/secrets/default/a", "k8s:enc:aescbc:v1:key1:x"}});
    REQUIRE(port.import_foreign(file, rhino, ours));
    CHECK(port.adapt(ours / "store.db", foreign).error().is("EncryptedAtRest"));
  }
  SECTION("its keys are others") {
    const fs::path file = snapshot({{"/kubernetes.io/configmaps/default/a", config_map("a")}});
    REQUIRE(port.import_foreign(file, rhino, ours));
    CHECK(port.adapt(ours / "store.db", foreign).error().is("EtcdSnapshotForeign"));
  }
  SECTION("it is cut, damaged, none, or not there") {
    const fs::path file = snapshot({{"/registry/configmaps/default/a", config_map("a")}});
    const auto size = fs::file_size(file);
    const auto id_of = [&](const fs::path& path) { return port.read_foreign(path, rhino).error().reason; };
    CHECK(id_of(folder.path / "none") == "NotFound");
    std::fstream(file).seekp(5000).write("XXXX", 4);
    CHECK(id_of(file) == "SnapshotDamaged");
    fs::resize_file(file, size - 100);
    CHECK(id_of(file) == "SnapshotCut");
    std::ofstream(folder.path / "text") << std::string(512 * 3, 'x') << std::string(32, 'y');
    CHECK((id_of(folder.path / "text") == "SnapshotDamaged" ||
           id_of(folder.path / "text") == "EtcdSnapshotForeign"));
    CHECK(port.import_foreign(file, rhino, ours).error().is("SnapshotCut"));
    CHECK_FALSE(fs::exists(ours / "store.db"));
  }
}
