#include "rhino/member.h"

#include <absl/synchronization/mutex.h>
#include <fmt/format.h>

#include <random>

#include "base/log.h"
#include "storage/blocking.h"

namespace rusternetes::rhino {
namespace {

using storage::sqlite::SqliteStore;

Result<void> set_blocking(SqliteStore& store, const std::string& name, std::int64_t value) {
  return storage::blocking_call<void>([&](auto done) { store.set_setting(name, value, std::move(done)); });
}

Result<std::uint64_t> id_of(SqliteStore& store, const std::string& name) {
  RN_TRY(std::int64_t id, store.setting(name));
  if (id == 0) {
    std::random_device random;
    while (id == 0) id = static_cast<std::int64_t>((std::uint64_t{random()} << 32 | random()) >> 1);
    RN_CHECK(set_blocking(store, name, id));
  }
  return static_cast<std::uint64_t>(id);
}

std::string alarm_name(etcdserverpb::AlarmType type) {
  return fmt::format("rhino_alarm_{}", static_cast<int>(type));
}

}  // namespace

Result<std::unique_ptr<Member>> Member::open(SqliteStore& store, ServicesOptions options) {
  // gRPC's locks, where Abseil was built to look for deadlocks (Debian's is): 6 % of the CPU time of a read.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::unique_ptr<Member> member(new Member(store, std::move(options)));
  RN_TRY(member->cluster_id_, id_of(store, "rhino_cluster_id"));
  RN_TRY(member->member_id_, id_of(store, "rhino_member_id"));
  RN_TRY(const auto term, store.setting("rhino_term"));
  member->term_ =
      static_cast<std::uint64_t>(term == 0 ? 2 : term + 1);  // etcd's first election ends in term 2
  RN_CHECK(set_blocking(store, "rhino_term", static_cast<std::int64_t>(member->term_)));
  for (const auto type : {etcdserverpb::NOSPACE, etcdserverpb::CORRUPT}) {
    RN_TRY(const auto is_raised, store.setting(alarm_name(type)));
    if (is_raised) {
      member->alarms_.insert({member->member_id_, type});
      member->raised_ |= 1 << type;
    }
  }
  return member;
}

void Member::fill(etcdserverpb::ResponseHeader& header, storage::Revision revision) const {
  header.set_cluster_id(cluster_id_);
  header.set_member_id(member_id_);
  header.set_raft_term(term_);
  header.set_revision(revision ? revision : store_.current_revision());
}

std::set<Member::Alarm> Member::alarms() const {
  std::lock_guard lock(mutex_);
  return alarms_;
}

bool Member::has_alarm(etcdserverpb::AlarmType type) const { return raised_ & 1 << type; }

bool Member::set_alarm(Alarm alarm, bool is_raised) {
  std::lock_guard lock(mutex_);
  const bool is_changed = is_raised ? alarms_.insert(alarm).second : alarms_.erase(alarm) > 0;
  if (!is_changed) return false;
  int raised = 0;
  for (const auto& [_, type] : alarms_) raised |= 1 << type;
  raised_ = raised;
  if (alarm.first == member_id_)
    store_.set_setting(alarm_name(alarm.second), is_raised, [](const Result<void>& done) {
      if (!done) log::warn("rhino", "an alarm could not be written down: {}", done.error().message);
    });
  return true;
}

bool Member::has_room(std::size_t bytes) {
  if (has_alarm(etcdserverpb::NOSPACE)) return false;
  if (options_.quota_bytes < 0) return true;
  {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - measured_at_ > std::chrono::milliseconds(200)) {
      measured_at_ = now;
      measured_bytes_ = store_.size_bytes();
    }
    measured_bytes_ += static_cast<std::int64_t>(bytes);
    if (measured_bytes_ < options_.quota_bytes) return true;
  }
  log::warn("rhino",
            "the store is larger than --quota-backend-bytes ({}): writes are refused until it is compacted, "
            "defragmented and the alarm disarmed",
            options_.quota_bytes);
  set_alarm({member_id_, etcdserverpb::NOSPACE}, true);
  return false;
}

}  // namespace rusternetes::rhino
