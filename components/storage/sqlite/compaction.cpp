// Compaction: a revision is declared in a batch like any write; the rows go in slices between batches.

#include <algorithm>

#include "storage/sqlite/writer.h"

namespace rusternetes::storage::sqlite {

Result<void> Writer::compact_to(Revision revision) {
  if (broken_) return *broken_;
  if (revision <= compacted_) return Status{410, reason_compacted, "required revision has been compacted"};
  compacted_ = revision;
  return or_break(put_meta_.bind_text(1, "compact_revision").bind(2, revision).run());
}

// Removes the rows that no readable revision needs: of each change up to the compacted revision, the row it
// replaced; and the change itself if it is a removal. The very last revision's row stays, since the file
// tells its revision by it.
Result<bool> Writer::compact_slice(std::int64_t rows) {
  const Revision target = store_.compact_revision();
  if (compact_done_ >= target) return false;
  Database& db = store_.writer_database_;
  RN_TRY(
      auto select,
      db.prepare("SELECT id, previous, value IS NULL FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"));
  select.bind(1, compact_done_ << sub_bits).bind(2, (target + 1) << sub_bits).bind(3, rows);
  std::vector<std::int64_t> doomed;
  std::int64_t seen = 0, last = 0;
  const Revision newest = store_.current_revision();
  for (;;) {
    RN_TRY(const bool has_row, select.step());
    if (!has_row) break;
    ++seen;
    last = select.integer(0);
    if (select.integer(1)) doomed.push_back(select.integer(1));
    // A removal at the target itself is still to be told to a watch that starts there; the next compaction
    // takes it.
    if (select.integer(2) && revision_of(last) != newest && revision_of(last) != target)
      doomed.push_back(last);
  }
  select.reset();
  const bool is_last = seen < rows;
  const Revision done = is_last ? target : std::max(compact_done_, revision_of(last));
  RN_TRY(auto remove, db.prepare("DELETE FROM log WHERE id=?"));
  RN_CHECK(begin_.run());
  in_transaction_ = true;
  auto all = [&]() -> Result<void> {
    for (const auto id : doomed) RN_CHECK(remove.bind(1, id).run());
    return put_meta_.bind_text(1, "compact_done").bind(2, done).run();
  }();
  if (!all) {
    roll_back();
    return all.error();
  }
  RN_CHECK(commit());
  // A slice that held one huge revision makes no progress by revision; then it must be taken whole.
  if (!is_last && done == compact_done_ && rows < (std::int64_t{1} << sub_bits))
    return compact_slice(rows * 4);
  compact_done_ = done;
  RN_CHECK(db.exec("PRAGMA incremental_vacuum(256)"));
  return !is_last;
}

}  // namespace rusternetes::storage::sqlite
