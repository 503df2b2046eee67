#pragma once
// The store's calls as a test wants them: blocking, with a deadline, and with answers that can be compared as
// text.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "storage/store.h"

namespace rusternetes::storage::suite {

// No answer takes this long unless it never comes.
inline constexpr std::chrono::seconds patience{60};

std::shared_ptr<const std::string> bytes(std::string s);

Result<TxnResponse> run(Store& store, TxnRequest request);
Result<TxnResponse> run(Store& store, std::vector<Operation> operations);
Result<void> compact(Store& store, Revision revision);
Result<LeaseInfo> grant(Store& store, LeaseId id, std::int64_t ttl_s);
Result<void> revoke(Store& store, LeaseId id);
Result<LeaseInfo> keep_alive(Store& store, LeaseId id);

// These must succeed; they return the store's revision afterwards.
Revision put(Store& store, const std::string& key, const std::string& value, LeaseId lease = 0);
Revision remove(Store& store, const std::string& key, const std::string& range_end = {});
// The store's revision, as a read tells it.
Revision revision_of(Store& store);
// A lease with an id of its own choice.
LeaseId granted(Store& store, std::int64_t ttl_s, LeaseId id = 0);

PutRequest put_of(std::string key, std::string value, LeaseId lease = 0);
DeleteRequest delete_of(std::string key, std::string range_end = {}, bool previous = false);
Compare compare_number(std::string key, Compare::Target target, Compare::Relation relation,
                       std::int64_t number);
Compare compare_value(std::string key, Compare::Relation relation, std::string text);
std::shared_ptr<TxnRequest> nested(TxnRequest request);

// "key=value create/mod/version", with " lease N" if it has one; "key" alone instead of "key=value" without a
// value. Bytes that do not print are \xHH. A list is joined by "; ", previous values follow " was ".
std::string shape(std::string_view text);
std::string shape(const KeyValue& kv);
std::string shape(const std::vector<KeyValue>& kvs);
std::string shape(const Event& event);  // "put ..." or "remove key @mod"
std::string shape(const std::vector<Event>& events);
// "ok", or the reason of the error.
template <class T>
std::string reason(const Result<T>& result) {
  return result ? "ok" : result.error().reason;
}
// What a range of the key space holds now, or then; empty if it cannot be read.
std::string shape_of(Store& store, const std::string& key, const std::string& range_end = {},
                     Revision revision = 0);

bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds at_most = patience);

// A watch, and what came of it. The receiver can be made to refuse.
class Receiver {
 public:
  // Starts the watch; a refusal by the store itself is taken as one that came as a batch.
  Receiver(Store& store, WatchRequest request, bool accept = true);
  ~Receiver() { stop(); }
  Receiver(const Receiver&) = delete;

  // At least `count` events, or an error, are there.
  bool wait_events(std::size_t count);
  // An error is there: its reason.
  std::string wait_error();
  // Everything up to `revision` is there, as the watch itself says, which it is asked for. Of a store that
  // does not tell: nothing has come for a while, or an event behind it has.
  bool wait_revision(Revision revision);
  void accept(bool yes);  // and resumes
  void stop() { watch_.reset(); }

  std::vector<Event> events() const;
  std::vector<WatchBatch> batches() const;
  std::size_t refusals() const;
  Revision compact_revision() const;
  std::string error() const;  // the reason; empty without an error

  static bool is_progress_told;  // StoreUnderTest's tells_progress, set before each case

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace rusternetes::storage::suite
