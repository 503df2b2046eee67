#pragma once
// Makes a bbolt file from its first page to its last. The caller brings the entries of each bucket in order;
// in memory stand the entries of one page, and of the bucket under way each page's first key.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "rhino/bolt/format.h"

namespace rusternetes::rhino::bolt {

class Writer {
 public:
  // `path` must not exist; its mode is 0600. What is not finished is removed by the destructor.
  static Result<std::unique_ptr<Writer>> create(const std::string& path);
  ~Writer();

  // Buckets in any order, each once; none inside another.
  void begin_bucket(std::string_view name);
  // Keys ascending, none empty. A wrong order is the caller's error (assertion).
  Result<void> put(std::string_view key, std::string_view value);
  Result<void> end_bucket();
  // The size of the file, all of which is on disk then.
  Result<std::int64_t> finish();

 private:
  struct Leaf {
    std::uint32_t flags;
    std::string key, value;
  };
  struct Child {
    std::string first_key;
    PageId page;
  };

  Writer(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Result<void> add(std::uint32_t flags, std::string_view key, std::string_view value);
  std::string leaf_bytes(PageId id) const;  // of `leaves_`, to whole pages unless id is 0
  Result<void> flush_leaf();
  Result<PageId> end_tree();
  Result<std::vector<Child>> write_branches(const std::vector<Child>& children);
  Result<void> append(std::string_view bytes);
  Result<void> flush();
  Result<void> write_at(std::uint64_t offset, std::string_view bytes);

  std::string path_;
  int fd_ = -1;
  bool is_finished_ = false;
  std::string buffer_;          // what follows `flushed_` in the file
  std::uint64_t flushed_ = 0;   // bytes
  PageId next_page_ = 2;        // after the meta pages
  std::string bucket_;
  std::vector<Leaf> leaves_;    // of the page under way
  std::size_t leaves_bytes_ = 0;
  std::string last_key_;
  std::vector<Child> children_;  // the leaf pages of the tree under way
  std::map<std::string, std::string> buckets_;  // name to value
};

}  // namespace rusternetes::rhino::bolt
