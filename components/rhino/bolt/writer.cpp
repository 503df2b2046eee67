#include "rhino/bolt/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace rusternetes::rhino::bolt {
namespace {

constexpr std::size_t buffer_bytes = 1 << 20;
constexpr std::size_t inline_bytes = page_size / 4;  // up to here bbolt keeps a bucket inside its entry

template <class T>
void store(std::string& bytes, std::size_t at, const T& value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

std::size_t whole_pages(std::size_t bytes) { return (bytes + page_size - 1) / page_size; }

}  // namespace

Result<std::unique_ptr<Writer>> Writer::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(fmt::format("cannot make {}", path), errno);
  std::unique_ptr<Writer> writer(new Writer(path, fd));
  writer->flushed_ = 2 * page_size;  // the meta pages come last, so that a file cut short has none
  return writer;
}

Writer::~Writer() {
  ::close(fd_);
  if (!is_finished_) ::unlink(path_.c_str());
}

void Writer::begin_bucket(std::string_view name) {
  RN_ASSERT(bucket_.empty() && !name.empty() && !buckets_.contains(std::string(name)),
            "buckets follow each other");
  bucket_ = name;
}

Result<void> Writer::put(std::string_view key, std::string_view value) {
  RN_ASSERT(!bucket_.empty(), "entries belong to a bucket");
  return add(0, key, value);
}

Result<void> Writer::add(std::uint32_t flags, std::string_view key, std::string_view value) {
  RN_ASSERT(!key.empty() && (last_key_.empty() || last_key_ < key), "keys come in order");
  if (key.size() > max_key_size || value.size() > max_value_size)
    return Status{400, "TooLarge",
                  fmt::format("an entry of {} and {} bytes is too large for etcd's file format", key.size(),
                              value.size())};
  const std::size_t bytes = sizeof(LeafElement) + key.size() + value.size();
  if (!leaves_.empty() && sizeof(PageHeader) + leaves_bytes_ + bytes > page_size) RN_CHECK(flush_leaf());
  leaves_.push_back({flags, std::string(key), std::string(value)});
  leaves_bytes_ += bytes;
  last_key_ = key;
  return {};
}

std::string Writer::leaf_bytes(PageId id) const {
  const std::size_t used = sizeof(PageHeader) + leaves_bytes_, pages = whole_pages(used);
  std::string bytes(id ? pages * page_size : used, '\0');
  store(bytes, 0, PageHeader{id, leaf_page, static_cast<std::uint16_t>(leaves_.size()),
                             static_cast<std::uint32_t>(id ? pages - 1 : 0)});
  std::size_t element = sizeof(PageHeader), data = element + leaves_.size() * sizeof(LeafElement);
  for (const auto& leaf : leaves_) {
    store(bytes, element, LeafElement{leaf.flags, static_cast<std::uint32_t>(data - element),
                                      static_cast<std::uint32_t>(leaf.key.size()),
                                      static_cast<std::uint32_t>(leaf.value.size())});
    bytes.replace(data, leaf.key.size(), leaf.key);
    bytes.replace(data + leaf.key.size(), leaf.value.size(), leaf.value);
    data += leaf.key.size() + leaf.value.size();
    element += sizeof(LeafElement);
  }
  return bytes;
}

Result<void> Writer::flush_leaf() {
  const PageId id = next_page_;
  const std::string bytes = leaf_bytes(id);
  next_page_ += bytes.size() / page_size;
  children_.push_back({leaves_.empty() ? std::string() : leaves_.front().key, id});
  leaves_.clear();
  leaves_bytes_ = 0;
  return append(bytes);
}

// One level of branch pages above `children`, of which each page gets at least two.
Result<std::vector<Writer::Child>> Writer::write_branches(const std::vector<Child>& children) {
  auto size = [](const Child& child) { return sizeof(BranchElement) + child.first_key.size(); };
  std::vector<Child> parents;
  for (std::size_t from = 0; from < children.size();) {
    std::size_t to = from, bytes = sizeof(PageHeader);
    while (to < children.size() && (to - from < 2 || bytes + size(children[to]) <= page_size))
      bytes += size(children[to++]);
    if (to + 1 == children.size() && to - from > 2)
      bytes -= size(children[--to]);  // no page with one child behind it
    if (to + 1 == children.size()) bytes += size(children[to++]);
    const PageId id = next_page_;
    const std::size_t pages = whole_pages(bytes);
    std::string page(pages * page_size, '\0');
    store(page, 0,
          PageHeader{id, branch_page, static_cast<std::uint16_t>(to - from),
                     static_cast<std::uint32_t>(pages - 1)});
    std::size_t element = sizeof(PageHeader), data = element + (to - from) * sizeof(BranchElement);
    for (std::size_t i = from; i < to; ++i, element += sizeof(BranchElement)) {
      const auto& key = children[i].first_key;
      store(page, element, BranchElement{static_cast<std::uint32_t>(data - element),
                                         static_cast<std::uint32_t>(key.size()), children[i].page});
      page.replace(data, key.size(), key);
      data += key.size();
    }
    next_page_ += pages;
    RN_CHECK(append(page));
    parents.push_back({children[from].first_key, id});
    from = to;
  }
  return parents;
}

Result<PageId> Writer::end_tree() {
  if (!leaves_.empty() || children_.empty()) RN_CHECK(flush_leaf());
  std::vector<Child> level = std::exchange(children_, {});
  while (level.size() > 1) {
    RN_TRY(level, write_branches(level));
  }
  last_key_.clear();
  return level.front().page;
}

Result<void> Writer::end_bucket() {
  std::string value(sizeof(BucketHeader), '\0');
  if (children_.empty() && sizeof(PageHeader) + leaves_bytes_ <= inline_bytes) {
    value += leaf_bytes(0);
    leaves_.clear();
    leaves_bytes_ = 0;
    last_key_.clear();
  } else {
    RN_TRY(const PageId root, end_tree());
    store(value, 0, BucketHeader{root, 0});
  }
  buckets_.emplace(std::exchange(bucket_, {}), std::move(value));
  return {};
}

Result<std::int64_t> Writer::finish() {
  RN_ASSERT(bucket_.empty(), "a bucket is under way");
  for (const auto& [name, value] : buckets_) RN_CHECK(add(bucket_entry, name, value));
  Meta meta;
  RN_TRY(meta.root.root, end_tree());
  meta.freelist = next_page_++;
  std::string free(page_size, '\0');
  store(free, 0, PageHeader{meta.freelist, freelist_page, 0, 0});
  RN_CHECK(append(free));
  RN_CHECK(flush());
  // The newer one first, as bbolt writes a copy of a file; a page's number is its transaction's last bit.
  meta.page_count = next_page_;
  std::string pages(2 * page_size, '\0');
  for (const std::uint64_t id : {0, 1}) {
    meta.transaction = 2 - id;
    meta.checksum = checksum_of(meta);
    store(pages, id * page_size, PageHeader{id, meta_page, 0, 0});
    store(pages, id * page_size + sizeof(PageHeader), meta);
  }
  if (::fdatasync(fd_) != 0) return errno_error(fmt::format("cannot write {}", path_), errno);
  RN_CHECK(write_at(0, pages));
  if (::fsync(fd_) != 0) return errno_error(fmt::format("cannot write {}", path_), errno);
  is_finished_ = true;
  return static_cast<std::int64_t>(next_page_ * page_size);
}

Result<void> Writer::append(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() >= buffer_bytes ? flush() : Result<void>();
}

Result<void> Writer::flush() {
  RN_CHECK(write_at(flushed_, buffer_));
  flushed_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<void> Writer::write_at(std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_error(fmt::format("cannot write {}", path_), errno);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

}  // namespace rusternetes::rhino::bolt
