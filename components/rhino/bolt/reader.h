#pragma once
// Walks the buckets of a bbolt file in key order. Everything that it touches is checked: a file that is
// damaged, cut short or made to harm gives the reason "Damaged", and no walk is longer than the file.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "rhino/bolt/format.h"

namespace rusternetes::rhino::bolt {

class Reader {
 public:
  // Reads the meta pages and the buckets' names. Only the first `size` bytes of the file count. "NotBolt" for
  // a file of another kind. `fd` is taken over.
  static Result<std::unique_ptr<Reader>> open(int fd, std::uint64_t size);
  ~Reader();

  // Names, ascending; values are private.
  const std::map<std::string, std::string>& buckets() const { return buckets_; }
  bool has(const std::string& bucket) const { return buckets_.contains(bucket); }
  // The database's own size in bytes: a file may be longer.
  std::int64_t size_bytes() const { return static_cast<std::int64_t>(meta_.page_count * page_size_); }

  // Keys and values live until the visitor returns; its error ends the walk. A bucket that is not there has
  // no entries.
  using Visitor = std::function<Result<void>(std::string_view key, std::string_view value)>;
  Result<void> walk(const std::string& bucket, const Visitor& visit);

 private:
  struct Entry {
    std::uint32_t flags;
    std::string_view key, value;
    PageId page;  // of a branch
  };
  using EntryVisitor = std::function<Result<void>(const Entry&)>;
  struct Page {
    std::string bytes;
    PageHeader header;
    std::size_t next = 0;  // element of a branch
    std::uint64_t data = 0;  // bytes of entries seen
  };
  struct Walk;

  explicit Reader(int fd) : fd_(fd) {}
  Result<void> read_metas(std::uint64_t size);
  Result<void> read_bytes(std::uint64_t offset, std::size_t size, std::string& into) const;
  Result<void> read_page(PageId id, Walk& walk, Page& page);
  Result<Entry> element(Page& page, std::size_t index) const;
  Result<void> walk_tree(PageId root, std::uint16_t owner, const EntryVisitor& visit);
  Result<void> walk_leaf(Page& page, Walk& walk, const EntryVisitor& visit);
  Result<void> read_buckets();

  int fd_;
  std::uint64_t size_ = 0;
  std::size_t page_size_ = 0;
  Meta meta_;
  std::map<std::string, std::string> buckets_;
  // Of pages: 0 nobody met so far, 1 the root's tree, else a bucket's number.
  std::vector<std::uint16_t> owners_;
};

}  // namespace rusternetes::rhino::bolt
