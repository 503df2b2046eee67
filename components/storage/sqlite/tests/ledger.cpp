#include "ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>

namespace rusternetes::storage::testing {
namespace {

std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

}  // namespace

void Ledger::acked(int writer, std::int64_t n, Revision revision) {
  const auto [it, is_new] = acks_.emplace(revision, std::pair(writer, n));
  if ((!is_new || revision <= verified_) && ack_error_.empty())
    ack_error_ = fmt::format("revision {} was given out twice, last to transaction {} of writer {}", revision,
                             n, writer);
}

Ledger::Live Ledger::live_of(const KeyValue& kv) {
  return {hash_of(*kv.value), kv.create_revision, kv.mod_revision, kv.version};
}

Ledger::Change Ledger::change_of(const Event& event) {
  Change change;
  change.key = event.kv.key;
  change.is_removal = event.type == Event::Type::remove;
  if (change.is_removal)
    change.live.mod_revision = event.kv.mod_revision;
  else
    change.live = live_of(event.kv);
  change.has_previous = event.previous.has_value();
  if (event.previous) change.previous = live_of(*event.previous);
  if (!change.is_removal && change.key.ends_with("/stamp"))
    change.stamp = std::atoll(event.kv.value->c_str());
  return change;
}

// Every change of the revisions `from` to `to`, as a watch has them.
std::string Ledger::replay(Store& store, Revision from, Revision to, std::vector<Change>& out) const {
  if (from > to) return {};
  std::mutex mutex;
  std::condition_variable wake;
  Revision seen = 0;
  Status error{200, "", ""};
  auto watch =
      store.watch({all_keys, prefix_end(all_keys), from, true}, [&](std::shared_ptr<const WatchBatch> batch) {
        std::lock_guard lock(mutex);
        for (const auto& event : batch->events) out.push_back(change_of(event));
        if (batch->is_error()) error = batch->error;
        seen = batch->revision;
        wake.notify_all();
        return true;
      });
  if (!watch) return fmt::format("a watch from revision {} is refused: {}", from, watch.error().message);
  std::unique_lock lock(mutex);
  const bool is_whole =
      wake.wait_for(lock, std::chrono::seconds(120), [&] { return seen >= to || error.code != 200; });
  lock.unlock();
  watch->reset();
  if (error.code != 200) return fmt::format("a watch from revision {} failed: {}", from, error.message);
  if (!is_whole) return fmt::format("a watch from revision {} ends at {} instead of {}", from, seen, to);
  return {};
}

// What the watch must say of a transaction, given what was live before it.
std::vector<Ledger::Change> Ledger::expect(Revision revision, int writer, std::int64_t n) const {
  std::vector<Change> out;
  Model touched;
  auto remove = [&](const std::string& key, const Live& previous) {
    Change change{.key = key, .is_removal = true, .has_previous = true, .previous = previous};
    change.live.mod_revision = revision;
    out.push_back(std::move(change));
  };
  for (const auto& operation : transaction(writer, n, 0).success) {
    if (auto* put = std::get_if<PutRequest>(&operation)) {
      const auto before = model_.find(put->key);
      Change change{.key = put->key, .has_previous = before != model_.end()};
      change.live = {hash_of(*put->value), revision, revision, 1};
      if (change.has_previous) {
        change.previous = before->second;
        change.live.create_revision = before->second.create_revision;
        change.live.version = before->second.version + 1;
      }
      if (put->key == stamp_key(writer)) change.stamp = n;
      out.push_back(std::move(change));
    } else if (auto* removal = std::get_if<DeleteRequest>(&operation)) {
      const std::string end = removal->range_end.empty() ? removal->key + '\0' : removal->range_end;
      for (auto it = model_.lower_bound(removal->key); it != model_.end() && it->first < end; ++it)
        remove(it->first, it->second);
    }
  }
  return out;
}

std::string Ledger::add_revision(Revision revision, const Change* begin, const Change* end) {
  const Change& last = *(end - 1);
  if (last.stamp == 0) return fmt::format("revision {} is a transaction that was cut off", revision);
  const int writer = std::atoi(last.key.c_str() + std::string_view(all_keys).size());
  const std::int64_t n = last.stamp;
  if (n != stamps_[writer] + 1)
    return fmt::format("revision {} is transaction {} of writer {}, after its transaction {}", revision, n,
                       writer, stamps_[writer]);
  const auto expected = expect(revision, writer, n);
  if (!std::equal(begin, end, expected.begin(), expected.end()))
    return fmt::format("revision {} is not what transaction {} of writer {} did ({} changes instead of {})",
                       revision, n, writer, end - begin, expected.size());
  if (auto ack = acks_.find(revision); ack != acks_.end() && ack->second != std::pair(writer, n))
    return fmt::format("revision {} was acknowledged to transaction {} of writer {}, but is {} of {}",
                       revision, ack->second.second, ack->second.first, n, writer);
  for (auto change = begin; change != end; ++change) {
    if (change->is_removal)
      model_.erase(change->key);
    else
      model_[change->key] = change->live;
    changes_.push_back(*change);
  }
  stamps_[writer] = n;
  starts_.push_back(changes_.size() - static_cast<std::size_t>(end - begin));
  verified_ = revision;
  return {};
}

std::string Ledger::compare_range(Store& store, const Model& model, Revision revision) const {
  auto found = store.range({.key = all_keys, .range_end = prefix_end(all_keys), .revision = revision});
  if (!found) return fmt::format("the range at revision {} fails: {}", revision, found.error().message);
  if (found->count != static_cast<std::int64_t>(model.size()) || found->kvs.size() != model.size())
    return fmt::format("at revision {} there are {} keys, counted as {}, instead of {}", revision,
                       found->kvs.size(), found->count, model.size());
  auto it = model.begin();
  for (const auto& kv : found->kvs) {
    if (kv.key != it->first || live_of(kv) != it->second)
      return fmt::format("at revision {} the key {} is not what it was", revision, it->first);
    ++it;
  }
  return {};
}

std::string Ledger::check(Store& store, std::mt19937& random) {
  if (!ack_error_.empty()) return ack_error_;
  const Revision now = store.current_revision(), compacted = store.compact_revision();
  if (!acks_.empty() && now < acks_.rbegin()->first)
    return fmt::format("the store is at revision {}, but {} was acknowledged", now, acks_.rbegin()->first);
  if (now < verified_) return fmt::format("the store is at revision {}, but was at {}", now, verified_);
  if (compacted < compaction_acked_ || compacted > compaction_asked_)
    return fmt::format("compacted at {}, asked for {}, acknowledged {}", compacted, compaction_asked_,
                       compaction_acked_);

  std::vector<Change> fresh;
  const Revision before = verified_;
  std::map<int, int> unacknowledged;
  if (auto wrong = replay(store, verified_ + 1, now, fresh); !wrong.empty()) return wrong;
  for (std::size_t i = 0; i < fresh.size();) {
    std::size_t end = i;
    const Revision revision = fresh[i].live.mod_revision;
    while (end < fresh.size() && fresh[end].live.mod_revision == revision) ++end;
    if (revision != verified_ + 1) return fmt::format("revision {} follows {}", revision, verified_);
    if (auto wrong = add_revision(revision, &fresh[i], fresh.data() + end); !wrong.empty()) return wrong;
    if (!acks_.contains(revision) && ++unacknowledged[std::atoi(fresh[i].key.c_str() + 3)] > 1)
      return fmt::format("revision {} is a second one of its writer that nobody was told of", revision);
    i = end;
  }
  if (verified_ != now)
    return fmt::format("the last change is of revision {}, the store's is {}", verified_, now);

  if (auto wrong = compare_range(store, model_, 0); !wrong.empty()) return wrong;
  for (const auto& [revision, model] : snapshots_)
    if (revision >= compacted)
      if (auto wrong = compare_range(store, model, revision); !wrong.empty()) return wrong;
  if (now != before) snapshots_[now] = model_;
  while (snapshots_.size() > 3) snapshots_.erase(snapshots_.begin());

  // Mostly the near past, since this is done after every crash.
  const Revision first =
      std::max(compacted + 1, random() % 10 == 0 ? Revision{2} : std::max(now - 1000, Revision{2}));
  if (first > now) return {};
  return check_replay(store, std::uniform_int_distribution<Revision>(first, now)(random));
}

std::string Ledger::check_replay(Store& store, Revision from) {
  from = std::max({from, store.compact_revision() + 1, Revision{2}});
  std::vector<Change> again;
  if (auto wrong = replay(store, from, verified_, again); !wrong.empty()) return wrong;
  if (from > verified_) return {};
  const auto expected =
      changes_.begin() + static_cast<std::ptrdiff_t>(starts_[static_cast<std::size_t>(from)]);
  if (!std::equal(again.begin(), again.end(), expected, changes_.end()))
    return fmt::format("a watch from revision {} to {} differs from what happened", from, verified_);
  return {};
}

std::string Ledger::check_continues(Store& store) {
  const Revision before = store.current_revision();
  auto stamp = read_stamp(store, 0);
  if (!stamp) return "a read fails: " + stamp.error().message;
  auto response = run(store, transaction(0, stamp->n + 1, stamp->revision));
  if (!response) return "a write fails: " + response.error().message;
  if (!response->succeeded) return "the stamp of writer 0 is not what was read";
  if (response->revision != before + 1)
    return fmt::format("revision {} follows {}", response->revision, before);
  acked(0, stamp->n + 1, response->revision);
  return {};
}

}  // namespace rusternetes::storage::testing
