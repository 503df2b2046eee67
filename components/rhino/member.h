#pragma once
// What the services share: the store, who this member is, what has been counted, and alarms.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "etcd/rpc.pb.h"
#include "rhino/services.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::rhino {

class Member {
 public:
  // Gives a new store its ids, which stay with it, and begins a new term. Blocking.
  static Result<std::unique_ptr<Member>> open(storage::sqlite::SqliteStore& store, ServicesOptions options);

  storage::sqlite::SqliteStore& store() { return store_; }
  const ServicesOptions& options() const { return options_; }
  std::uint64_t cluster_id() const { return cluster_id_; }
  std::uint64_t member_id() const { return member_id_; }
  // Counts starts, as a single member's elections do.
  std::uint64_t term() const { return term_; }
  // `revision` 0: the store's.
  void fill(etcdserverpb::ResponseHeader& header, storage::Revision revision = 0) const;

  using Alarm = std::pair<std::uint64_t, etcdserverpb::AlarmType>;  // of which member
  std::set<Alarm> alarms() const;
  bool has_alarm(etcdserverpb::AlarmType type) const;
  // False: nothing changed. Kept over restarts if of this member.
  bool set_alarm(Alarm alarm, bool is_raised);
  // Whether a write of `bytes` fits the quota; raises the alarm NOSPACE when it does not.
  bool has_room(std::size_t bytes);

  struct {
    std::atomic<std::int64_t> watch_streams{0}, watchers{0}, ranges{0}, puts{0}, deletes{0}, txns{0},
        compactions{0}, events{0}, leases_granted{0}, leases_revoked{0};
  } counters;

 private:
  Member(storage::sqlite::SqliteStore& store, ServicesOptions options)
      : store_(store), options_(std::move(options)) {}

  storage::sqlite::SqliteStore& store_;
  ServicesOptions options_;
  std::uint64_t cluster_id_ = 0, member_id_ = 0, term_ = 0;
  mutable std::mutex mutex_;
  std::set<Alarm> alarms_;
  std::atomic<int> raised_{0};  // bits of types, so that who asks often need not lock
  std::chrono::steady_clock::time_point measured_at_{};
  std::int64_t measured_bytes_ = 0;
};

}  // namespace rusternetes::rhino
