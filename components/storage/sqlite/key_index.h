#pragma once
// The live keys in memory, ordered and counted: a two-level B+tree whose leaves keep the prefix that their
// keys share once. About 50 bytes a key. Not thread-safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::storage::sqlite {

// Where the live version of a key is, and what need not be read from disk.
struct IndexEntry {
  std::int64_t log_id = 0;
  std::int64_t create_revision = 0;
  std::int32_t version = 0;
  bool has_lease = false;  // which one stands in the log
};

class KeyIndex {
 public:
  // Null when the key is not live. Ends with the next change.
  const IndexEntry* find(std::string_view key) const;
  void put(std::string_view key, const IndexEntry& entry);
  bool erase(std::string_view key);
  std::size_t size() const { return size_; }

  // Keys in [from, to), ascending; empty `to`: no end. `visit` returns false to stop.
  void visit(std::string_view from, std::string_view to,
             const std::function<bool(std::string_view key, const IndexEntry&)>& visit) const;
  // O(log n).
  std::size_t count(std::string_view from, std::string_view to) const;
  std::size_t memory_bytes() const;

 private:
  static constexpr std::size_t leaf_capacity = 64;
  struct Slot {
    IndexEntry entry;
    std::uint32_t offset;
    std::uint32_t length;
  };
  struct Leaf {
    std::string prefix;    // of every key here
    std::string suffixes;  // one behind the other, in no order
    std::vector<Slot> slots;
    std::size_t dead = 0;  // bytes of `suffixes` that nobody uses
    std::string key(std::size_t i) const;
    std::string_view suffix(std::size_t i) const {
      return {suffixes.data() + slots[i].offset, slots[i].length};
    }
    int compare(std::size_t i, std::string_view key) const;
    std::size_t lower_bound(std::string_view key) const;
    void rebuild(std::size_t from, std::size_t to, Leaf& into) const;
  };
  std::size_t leaf_for(std::string_view key) const;
  std::size_t rank(std::string_view key) const;
  void insert(std::size_t leaf, std::size_t at, std::string_view key, const IndexEntry& entry);
  void recount();
  void append_count(std::size_t count);
  void add_count(std::size_t leaf, long by);

  std::vector<std::unique_ptr<Leaf>> leaves_;
  std::vector<std::string> firsts_;      // a lower bound of each leaf's keys; the first is empty
  std::vector<std::size_t> fenwick_;     // counts of leaves, as a binary indexed tree
  std::size_t size_ = 0;
};

}  // namespace rusternetes::storage::sqlite
