#pragma once
// The store, after etcd's model: one sequence of revisions over a flat, ordered key space; every write makes
// exactly one new revision; any revision since the last compaction can be read; watches deliver every change
// from a revision on, in order, and are never dropped for being slow. Keys and values are bytes.
// Implementations: storage/sqlite, storage/etcd.
//
// All methods are thread-safe. Callbacks come on a thread of the store's; they must not block: post, and
// return.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"

namespace rusternetes::storage {

using Revision = std::int64_t;
using LeaseId = std::int64_t;

struct KeyValue {
  std::string key;
  std::shared_ptr<const std::string> value;  // null with keys_only
  Revision create_revision = 0;
  Revision mod_revision = 0;
  std::int64_t version = 0;  // writes since creation
  LeaseId lease = 0;
};

// Reasons of errors, in `Status::reason`: "Compacted" (the revision is gone), "FutureRevision", "NoSpace",
// "LeaseNotFound", "LeaseExists", "TooManyRequests", "Closed"; anything else is InternalError.
inline constexpr const char* reason_compacted = "Compacted";
inline constexpr const char* reason_future_revision = "FutureRevision";
inline constexpr const char* reason_no_space = "NoSpace";

struct RangeRequest {
  std::string key;
  // Empty: just `key`. "\0": every key from `key` on. Else: [key, range_end).
  std::string range_end;
  std::int64_t limit = 0;  // 0: all
  Revision revision = 0;   // 0: now
  bool keys_only = false;
  bool count_only = false;
};

struct RangeResponse {
  Revision revision = 0;      // the store's, when it was read
  std::vector<KeyValue> kvs;  // ascending by key
  std::int64_t count = 0;     // of the whole range, whatever the limit
  bool more = false;
};

// A compare of a transaction. With range_end it must hold for every key of the range.
struct Compare {
  enum class Target { version, create_revision, mod_revision, value, lease };
  enum class Relation { equal, greater, less, not_equal };
  std::string key;
  std::string range_end;
  Target target = Target::mod_revision;
  Relation relation = Relation::equal;
  std::int64_t number = 0;
  std::string text;  // target value
};

struct PutRequest {
  std::string key;
  std::shared_ptr<const std::string> value;
  LeaseId lease = 0;
  bool previous = false;
  bool ignore_value = false;  // keep the present value (which must exist)
  bool ignore_lease = false;
};
struct DeleteRequest {
  std::string key;
  std::string range_end;
  bool previous = false;
};
struct TxnRequest;
using Operation = std::variant<RangeRequest, PutRequest, DeleteRequest, std::shared_ptr<TxnRequest>>;

// If all compares hold, `success` runs, else `failure`; all its writes share one revision, or none happens.
// The compares of nested transactions too see what was there before the first operation; a range sees what
// operations before it wrote, unless it names a revision.
struct TxnRequest {
  std::vector<Compare> compares;
  std::vector<Operation> success, failure;
  // The first of `success` puts bytes that no other transaction ever does (a new uid is in them), so that it can
  // be told from its value whether it happened.
  bool has_unique_value = false;
};

struct PutResponse {
  Revision revision = 0;  // of the store, with what the transaction wrote up to here
  std::optional<KeyValue> previous;
};
struct DeleteResponse {
  Revision revision = 0;  // as PutResponse's
  std::int64_t deleted = 0;
  std::vector<KeyValue> previous;
};
struct TxnResponse;
using OperationResponse =
    std::variant<RangeResponse, PutResponse, DeleteResponse, std::shared_ptr<TxnResponse>>;
struct TxnResponse {
  Revision revision = 0;  // after it
  bool succeeded = false;
  std::vector<OperationResponse> responses;
};

struct Event {
  enum class Type { put, remove };
  Type type = Type::put;
  KeyValue kv;  // of a removal: key and mod_revision
  std::optional<KeyValue> previous;
};

struct WatchRequest {
  std::string key;
  std::string range_end;
  Revision start_revision = 0;  // 0: from the next one
  bool previous = false;
};

// A batch holds whole revisions. `revision`: every event up to it, of this watch, has now been delivered; a
// batch without events is progress. After a failed one (Compacted: `compact_revision` says how far) nothing
// more comes.
struct WatchBatch {
  Revision revision = 0;
  std::vector<Event> events;
  Status error{200, "", ""};
  Revision compact_revision = 0;
  bool is_error() const { return error.code != 200; }
};

// Ends the watch when destroyed; no callback runs after the destructor returned.
class Watch {
 public:
  virtual ~Watch() = default;
  // Asks for a batch that says how far the watch is, even if nothing happened.
  virtual void request_progress() = 0;
  // The receiver has room again.
  virtual void resume() = 0;
};

struct LeaseInfo {
  LeaseId id = 0;
  std::int64_t granted_ttl_s = 0;
  std::int64_t ttl_s = 0;  // left
  std::vector<std::string> keys;
};

class Store {
 public:
  virtual ~Store() = default;

  // Reads see every write acknowledged before, by this process or any other. Blocking: short where the store
  // is a file, a call over the network (bounded by a deadline) where it is a server.
  virtual Result<RangeResponse> range(const RangeRequest& request) = 0;
  // The same for who must not block. `done` may be called before this returns, on the caller's thread.
  using RangeCallback = std::function<void(Result<RangeResponse>)>;
  virtual void range(RangeRequest request, RangeCallback done) = 0;
  // A revision that is not older than any write acknowledged, by this process or any other, before the call.
  // Calls that come while one is under way share the next. `done` as above.
  virtual void newest_revision(std::function<void(Result<Revision>)> done) = 0;

  // Writes are queued to the one writer; `done` is called once the write is on disk (or refused).
  using TxnCallback = std::function<void(Result<TxnResponse>)>;
  virtual void txn(TxnRequest request, TxnCallback done) = 0;

  // False: the receiver has no room; the watch falls behind, and after resume() it is served from disk, from
  // the refused batch on. Nothing is ever skipped or dropped.
  using WatchCallback = std::function<bool(std::shared_ptr<const WatchBatch>)>;
  virtual Result<std::unique_ptr<Watch>> watch(WatchRequest request, WatchCallback on_batch) = 0;

  // False: nobody but this process writes, so that current_revision() is the newest.
  virtual bool has_other_writers() const = 0;
  // The newest revision, and the one compacted up to (-1: none ever was), that this process knows of. In a
  // store of its own these are the store's.
  virtual Revision current_revision() const = 0;
  virtual Revision compact_revision() const = 0;
  // Revisions below `revision` can no longer be read, watched or counted; space returns in slices.
  virtual void compact(Revision revision, std::function<void(Result<void>)> done) = 0;

  // id 0: the store picks one. A lease's keys are removed, in one revision, when it ends.
  virtual void lease_grant(LeaseId id, std::int64_t ttl_s, std::function<void(Result<LeaseInfo>)> done) = 0;
  virtual void lease_revoke(LeaseId id, std::function<void(Result<void>)> done) = 0;
  virtual void lease_keep_alive(LeaseId id, std::function<void(Result<LeaseInfo>)> done) = 0;
  virtual Result<LeaseInfo> lease_time_to_live(LeaseId id, bool with_keys) = 0;
  virtual Result<std::vector<LeaseId>> leases() = 0;

  // Bytes on disk.
  virtual std::int64_t size_bytes() const = 0;
};

// What a prefix's range ends at: the prefix with its last byte raised.
std::string prefix_end(std::string_view prefix);

}  // namespace rusternetes::storage
