#pragma once
// One batch of writes inside one SQL transaction. The index is changed only after the commit; until then a
// batch sees its own changes through `pending_`.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::storage::sqlite {

class Writer {
 public:
  explicit Writer(SqliteStore& store) : store_(store) {}
  Result<void> prepare();

  // A transaction of the batch. Its writes are undone when it fails half way (SAVEPOINT).
  Result<TxnResponse> run(const TxnRequest& request);
  Result<void> compact_to(Revision revision);
  // When one of these fails, so does the batch.
  Result<void> put_setting(const std::string& name, std::int64_t value);
  Result<void> put_lease(LeaseId id, std::int64_t ttl_s);
  Result<void> remove_lease(LeaseId id);
  // What earlier jobs of this batch have done to leases.
  bool is_removed(LeaseId id) const { return removed_leases_.contains(id); }
  void add_keys_of(LeaseId id, std::set<std::string>& keys) const;

  // Around the jobs of one batch.
  Result<void> begin();
  Result<void> commit();
  void roll_back();
  // After the commit: index, leases, revision and watchers get what changed.
  void publish();

  // Whether the last transaction reads a revision that only this batch has, which is none yet: it ran in
  // vain, and must begin a batch of its own.
  bool take_postponed() { return std::exchange(is_postponed_, false); }

  // One slice of deferred compaction outside of batches; true when more is left.
  Result<bool> compact_slice(std::int64_t rows);

 private:
  struct Pending {
    bool is_live = false;
    IndexEntry entry;
    LeaseId lease = 0;
    std::shared_ptr<const std::string> value;
  };
  // What a key is to this batch.
  struct State {
    IndexEntry entry;
    bool is_pending = false;
  };
  struct Undo {
    std::string key;
    std::optional<Pending> before;
  };

  Result<void> or_break(Result<void> result);
  std::optional<State> state(std::string_view key) const;
  Result<KeyValue> read(const std::string& key, const State& state, bool keys_only);
  Result<bool> holds(const Compare& compare);
  bool number_holds(std::int64_t left, const Compare& compare) const;
  Result<void> choose(const TxnRequest& request, std::vector<bool>& path);
  Result<void> execute(const TxnRequest& request, std::vector<bool>::const_iterator& path,
                       TxnResponse& response);
  Result<RangeResponse> execute_range(const RangeRequest& request);
  Result<PutResponse> execute_put(const PutRequest& request);
  Result<DeleteResponse> execute_delete(const DeleteRequest& request);
  Result<void> write(const std::string& key, std::shared_ptr<const std::string> value,
                     const IndexEntry* before, LeaseId lease, std::optional<KeyValue> previous);
  // The revision that the transaction under way shows: of what it wrote, if it wrote.
  Revision shown_revision() const { return sub_ > 0 ? revision_ + 1 : revision_; }
  std::int64_t count(std::string_view from, std::string_view to) const;
  std::optional<KeyValue> before_transaction(const std::string& key, std::optional<KeyValue> previous) const;
  void visit(std::string_view from, std::string_view to,
             const std::function<bool(const std::string&, const State&)>& visit) const;
  void set_pending(const std::string& key, Pending pending);

  SqliteStore& store_;
  Statement insert_log_, put_current_, delete_current_, read_log_, put_lease_, delete_lease_, put_meta_;
  Statement begin_, commit_, roll_back_, savepoint_, release_, roll_to_;
  std::map<std::string, Pending, std::less<>> pending_;
  std::vector<Undo> undo_;
  Revision revision_ = 0;      // last one given out in this batch
  std::int64_t sub_ = 0;       // changes in the transaction under way
  std::vector<WatchHub::Committed> committed_;
  std::vector<Event> events_;  // of the transaction under way
  bool is_postponed_ = false;
  Revision compact_done_ = -1;  // deferred compaction has finished up to here
  bool in_transaction_ = false;
  // Why nothing of this batch can be committed. SQLite ended its SQL transaction by itself, or undoing half a
  // transaction failed: what came after would be committed one by one, behind the back of `pending_`.
  std::optional<Status> broken_;
  Revision compacted_ = 0;  // asked for in this batch
  std::set<LeaseId> removed_leases_;
};

}  // namespace rusternetes::storage::sqlite
