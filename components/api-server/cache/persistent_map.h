#pragma once
// An ordered map of entries by key, immutable: put() and erase() give a new map that shares all but the path to the change.
// A copy is O(1) and is a snapshot for ever; any number of threads may read one. A B+tree with counts.

#include <cstddef>
#include <string_view>
#include <vector>

#include "api-server/cache/object_entry.h"

namespace rusternetes::api_server {

struct Node;
void intrusive_ptr_add_ref(const Node* node);
void intrusive_ptr_release(const Node* node);

class PersistentMap {
 public:
  PersistentMap();
  PersistentMap(const PersistentMap&);
  PersistentMap& operator=(const PersistentMap&);
  ~PersistentMap();
  std::size_t size() const;
  EntryPtr find(std::string_view key) const;
  PersistentMap put(EntryPtr entry) const;
  PersistentMap erase(std::string_view key) const;

  // Walks keys from `from` on, ascending. Holds the map: entries stay valid while the cursor lives.
  class Cursor {
   public:
    Cursor();
    Cursor(Cursor&&);
    Cursor& operator=(Cursor&&);
    ~Cursor();
    // Null at the end.
    const EntryPtr* next();

   private:
    friend class PersistentMap;
    struct Step {
      const Node* node;
      std::size_t at;
    };
    boost::intrusive_ptr<const Node> root_;
    std::vector<Step> path_;
  };
  Cursor from(std::string_view key) const;
  // Entries with from <= key < to (empty `to`: no end).
  std::size_t count(std::string_view from, std::string_view to) const;

 private:
  explicit PersistentMap(boost::intrusive_ptr<const Node> root);
  boost::intrusive_ptr<const Node> root_;
};

}  // namespace rusternetes::api_server
