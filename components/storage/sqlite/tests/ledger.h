#pragma once
// What a store must hold after a crash: every acknowledged transaction at its revision, every other one whole
// or not at all, one transaction a revision, and no revision twice. Checked against what the store says of
// itself through ranges and watches. It goes on over many crashes of one store file.

#include <map>
#include <random>
#include <string>
#include <vector>

#include "load.h"

namespace rusternetes::storage::testing {

class Ledger {
 public:
  void acked(int writer, std::int64_t n, Revision revision);
  void compaction_asked(Revision revision) { compaction_asked_ = std::max(compaction_asked_, revision); }
  void compaction_acked(Revision revision) { compaction_acked_ = std::max(compaction_acked_, revision); }

  // What is wrong with the store, one sentence; empty if nothing is. Nobody may be writing.
  std::string check(Store& store, std::mt19937& random);
  // One more transaction, which must get the next revision.
  std::string check_continues(Store& store);
  // The whole past that is not compacted, once more.
  std::string check_replay(Store& store, Revision from);

  std::size_t acknowledged() const { return acks_.size(); }
  Revision verified() const { return verified_; }

 private:
  struct Live {
    std::uint64_t hash = 0;
    Revision create_revision = 0, mod_revision = 0;
    std::int64_t version = 0;
    bool operator==(const Live&) const = default;
  };
  struct Change {
    std::string key;
    bool is_removal = false;
    Live live;
    bool has_previous = false;
    Live previous;
    std::int64_t stamp = 0;  // the value, if it is one
    bool operator==(const Change&) const = default;
  };
  using Model = std::map<std::string, Live>;

  static Live live_of(const KeyValue& kv);
  static Change change_of(const Event& event);
  std::string replay(Store& store, Revision from, Revision to, std::vector<Change>& out) const;
  std::string add_revision(Revision revision, const Change* begin, const Change* end);
  std::vector<Change> expect(Revision revision, int writer, std::int64_t n) const;
  std::string compare_range(Store& store, const Model& model, Revision revision) const;

  std::map<Revision, std::pair<int, std::int64_t>> acks_;
  std::string ack_error_;
  Revision verified_ = 1;
  Revision compaction_asked_ = -1, compaction_acked_ = -1;
  Model model_;                          // at verified_
  std::map<Revision, Model> snapshots_;  // a few older ones
  std::map<int, std::int64_t> stamps_;
  std::vector<Change> changes_;            // all, in order
  std::vector<std::size_t> starts_{0, 0};  // of each revision in `changes_`
};

}  // namespace rusternetes::storage::testing
