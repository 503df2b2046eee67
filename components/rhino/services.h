#pragma once
// The services of the etcd v3 API over one store: KV, Watch, Lease, Maintenance, Cluster, Auth. They answer
// as a cluster of one etcd member does, which never loses its leader.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "storage/sqlite/sqlite_store.h"

namespace grpc {
class ServerBuilder;
}

namespace rusternetes::rhino {

// The etcd whose behaviour is kept, which clients ask for before they use what it brought.
inline constexpr const char* etcd_version = "3.6.13";
inline constexpr const char* etcd_cluster_version = "3.6.0";

struct ServicesOptions {
  std::string name = "default";                     // --name
  std::vector<std::string> client_urls, peer_urls;  // what MemberList says
  std::int64_t quota_bytes = 2LL << 30;             // --quota-backend-bytes; negative: none
  std::size_t max_txn_ops = 128;                    // --max-txn-ops
  std::size_t max_request_bytes = 1536 * 1024;      // --max-request-bytes
  // --watch-progress-notify-interval
  std::chrono::nanoseconds progress_notify_interval = std::chrono::minutes(10);
  std::string scratch_folder;                       // for snapshots under way
};

class Services {
 public:
  // `store` outlives it.
  static Result<std::unique_ptr<Services>> make(storage::sqlite::SqliteStore& store, ServicesOptions options);
  ~Services();
  void add_to(grpc::ServerBuilder& builder);
  // Ends all streams; no call is taken any more. Before grpc::Server::Shutdown().
  void stop();

  // Whether a client would be served; etcd's reason if not, such as "ALARM NOSPACE".
  struct Health {
    bool is_healthy = true;
    std::string reason;
  };
  Health health(const std::vector<std::string>& excluded_alarms) const;

  // What /metrics tells.
  struct Counters {
    std::int64_t watch_streams = 0, watchers = 0;
    std::int64_t ranges = 0, puts = 0, deletes = 0, txns = 0, compactions = 0, events = 0;
    std::int64_t leases_granted = 0, leases_revoked = 0;
  };
  Counters counters() const;
  std::uint64_t cluster_id() const;
  std::uint64_t member_id() const;

 private:
  struct Impl;
  explicit Services(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes::rhino
