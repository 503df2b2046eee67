// Leases: granted and revoked through the writer, expired by a thread that sleeps until the next one ends.

#include <random>

#include "storage/sqlite/sqlite_store.h"
#include "storage/sqlite/writer.h"

namespace rusternetes::storage::sqlite {

void SqliteStore::lease_grant(LeaseId id, std::int64_t ttl_s, std::function<void(Result<LeaseInfo>)> done) {
  auto result = std::make_shared<Result<LeaseInfo>>(LeaseInfo{id, ttl_s, ttl_s, {}});
  auto shared_done = std::make_shared<std::function<void(Result<LeaseInfo>)>>(std::move(done));
  enqueue({[this, result, ttl_s](Writer& writer) {
             LeaseInfo& lease = **result;
             {
               std::lock_guard lock(leases_mutex_);
               static thread_local std::mt19937_64 random{std::random_device{}()};
               while (lease.id == 0 || (lease.id != (*result)->id && leases_.contains(lease.id)))
                 lease.id = static_cast<LeaseId>(random() >> 1);
               if (leases_.contains(lease.id)) {
                 *result = Status{409, "LeaseExists", "lease already exists"};
                 return;
               }
             }
             if (auto put = writer.put_lease(lease.id, ttl_s); !put) {
               *result = put.error();
               return;
             }
             // Known to later jobs of the same batch; taken back if the commit fails.
             std::lock_guard lock(leases_mutex_);
             leases_[lease.id] = {ttl_s, options_.clock->steady_now() + std::chrono::seconds(ttl_s), {}};
           },
           [this, result, shared_done](const Result<void>& committed) {
             if (!committed) {
               if (*result) {
                 std::lock_guard lock(leases_mutex_);
                 leases_.erase((*result)->id);
               }
               return (*shared_done)(committed.error());
             }
             leases_wake_.notify_all();
             (*shared_done)(std::move(*result));
           }});
}

void SqliteStore::lease_revoke(LeaseId id, std::function<void(Result<void>)> done) {
  auto result = std::make_shared<Result<void>>();
  auto shared_done = std::make_shared<std::function<void(Result<void>)>>(std::move(done));
  enqueue({[this, id, result](Writer& writer) {
             TxnRequest request;
             {
               std::lock_guard lock(leases_mutex_);
               auto it = leases_.find(id);
               if (it == leases_.end() || writer.is_removed(id)) {
                 *result = Status{404, "LeaseNotFound", "requested lease not found"};
                 return;
               }
               auto keys = it->second.keys;
               writer.add_keys_of(id, keys);
               for (const auto& key : keys) {
                 // Only what still belongs to the lease when its turn comes.
                 auto one = std::make_shared<TxnRequest>();
                 one->compares.push_back({key, {}, Compare::Target::lease, Compare::Relation::equal, id, {}});
                 one->success.emplace_back(DeleteRequest{key, {}, false});
                 request.success.emplace_back(std::move(one));
               }
             }
             if (auto ran = writer.run(request); !ran)
               *result = ran.error();
             else
               *result = writer.remove_lease(id);
           },
           [this, id, result, shared_done](const Result<void>& committed) {
             if (!committed) return (*shared_done)(committed.error());
             if (*result) {
               std::lock_guard lock(leases_mutex_);
               leases_.erase(id);
             }
             (*shared_done)(*result);
           }});
}

void SqliteStore::lease_keep_alive(LeaseId id, std::function<void(Result<LeaseInfo>)> done) {
  Result<LeaseInfo> info = Status{404, "LeaseNotFound", "requested lease not found"};
  {
    std::lock_guard lock(leases_mutex_);
    if (auto it = leases_.find(id); it != leases_.end()) {
      it->second.expires = options_.clock->steady_now() + std::chrono::seconds(it->second.ttl_s);
      info = LeaseInfo{id, it->second.ttl_s, it->second.ttl_s, {}};
    }
  }
  leases_wake_.notify_all();
  done(std::move(info));
}

Result<LeaseInfo> SqliteStore::lease_time_to_live(LeaseId id, bool with_keys) {
  std::lock_guard lock(leases_mutex_);
  auto it = leases_.find(id);
  if (it == leases_.end()) return Status{404, "LeaseNotFound", "requested lease not found"};
  LeaseInfo info{id, it->second.ttl_s, 0, {}};
  const auto left = it->second.expires - options_.clock->steady_now();
  info.ttl_s = std::chrono::duration_cast<std::chrono::seconds>(left).count();
  if (with_keys) info.keys.assign(it->second.keys.begin(), it->second.keys.end());
  return info;
}

Result<std::vector<LeaseId>> SqliteStore::leases() {
  std::lock_guard lock(leases_mutex_);
  std::vector<LeaseId> ids;
  for (const auto& [id, lease] : leases_) ids.push_back(id);
  return ids;
}

void SqliteStore::lease_loop() {
  std::unique_lock lock(leases_mutex_);
  while (!stopping_) {
    const auto now = options_.clock->steady_now();
    auto next = std::chrono::steady_clock::time_point::max();
    std::vector<LeaseId> ended;
    for (auto& [id, lease] : leases_) {
      if (lease.expires <= now) {
        ended.push_back(id);
        lease.expires = now + std::chrono::seconds(1);  // tried again if the disk refuses
      }
      next = std::min(next, lease.expires);
    }
    lock.unlock();
    for (const auto id : ended) lease_revoke(id, [](const Result<void>&) {});
    lock.lock();
    if (stopping_) return;
    if (next == std::chrono::steady_clock::time_point::max())
      leases_wake_.wait(lock);
    else
      leases_wake_.wait_for(lock, std::max(next - options_.clock->steady_now(),
                                           std::chrono::steady_clock::duration{1'000'000}));
  }
}

}  // namespace rusternetes::storage::sqlite
