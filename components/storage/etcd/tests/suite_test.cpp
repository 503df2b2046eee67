// storage/suite on every server of etcd's API that this host has. Each case has a server of its own.
#include "storage/suite/suite.h"

#include "servers.h"
#include "storage/etcd/etcd_store.h"

namespace rusternetes::storage::suite {
namespace {

using etcd::testing::Server;
using etcd::testing::ServerKind;

class ServerUnderTest final : public StoreUnderTest {
 public:
  explicit ServerUnderTest(const ServerKind& kind) : server_(kind) {
    if (kind.is_rhino) {
      shortest_ttl_s = 2;
    } else {
      shortest_ttl_s = 1;  // by the short election timeout that servers.cpp asks for
      const bool is_old = kind.name.find(" 3.4") != std::string::npos;
      keeps_removals_at_compaction = !is_old;
      tells_progress = !is_old;
    }
    open();
  }
  Store& store() override { return *store_; }
  void restart() override {
    store_.reset();
    server_.kill();
    open();
  }

 private:
  void open() {
    REQUIRE(server_.start());
    auto opened = etcd::EtcdStore::open(server_.options());
    REQUIRE(opened);
    store_ = std::move(*opened);
  }
  Server server_;
  std::unique_ptr<etcd::EtcdStore> store_;
};

}  // namespace

std::vector<Subject> subjects() {
  std::vector<Subject> out;
  static const auto found = etcd::testing::find_servers();
  for (const auto& kind : found.kinds)
    out.push_back({kind.name, [kind] { return std::make_unique<ServerUnderTest>(kind); }});
  for (const auto& missing : found.missing) out.push_back({missing.name, {}, missing.why});
  return out;
}

}  // namespace rusternetes::storage::suite
