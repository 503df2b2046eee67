#include "rhino/bolt/reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

namespace rusternetes::rhino::bolt {
namespace {

constexpr std::size_t max_depth = 40;
constexpr std::size_t max_buckets = 1000;
constexpr std::size_t max_bucket_value = 65536;
constexpr std::uint64_t max_branch_bytes = 1 << 22;
constexpr std::uint64_t max_leaf_bytes = std::uint64_t{1} << 32;

template <class... Arguments>
Status damaged(fmt::format_string<Arguments...> how, Arguments&&... arguments) {
  return Status{400, "Damaged", fmt::format(how, std::forward<Arguments>(arguments)...)};
}

template <class T>
T load(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool is_page_size(std::uint32_t size) { return size >= 1024 && size <= 65536 && std::has_single_bit(size); }

}  // namespace

struct Reader::Walk {
  std::uint16_t owner;
  std::vector<bool> seen;
  std::string last_key;
  std::string lowest;  // what the branch says of the next leaf's first key
  bool is_root = true;
};

Reader::~Reader() { ::close(fd_); }

Result<std::unique_ptr<Reader>> Reader::open(int fd, std::uint64_t size) {
  std::unique_ptr<Reader> reader(new Reader(fd));
  RN_CHECK(reader->read_metas(size));
  reader->owners_.resize(reader->meta_.page_count);
  RN_CHECK(reader->read_buckets());
  return reader;
}

Result<void> Reader::read_bytes(std::uint64_t offset, std::size_t size, std::string& into) const {
  into.resize(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::pread(fd_, into.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("cannot read the file", errno);
    if (got == 0) return damaged("it became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

// The second meta page lies where the first says, or is looked for when the first is unusable.
Result<void> Reader::read_metas(std::uint64_t size) {
  size_ = size;
  bool has_magic = false;
  auto look = [&](std::uint64_t at) -> std::optional<Meta> {
    std::string bytes;
    if (at + sizeof(PageHeader) + sizeof(Meta) > size ||
        !read_bytes(at + sizeof(PageHeader), sizeof(Meta), bytes))
      return std::nullopt;
    const auto meta = load<Meta>(bytes, 0);
    has_magic |= meta.magic == magic;
    if (meta.magic != magic || meta.version != format_version || meta.checksum != checksum_of(meta) ||
        !is_page_size(meta.page_size) || (at != 0 && meta.page_size != at))
      return std::nullopt;
    return meta;
  };
  auto chosen = look(0);
  for (std::uint64_t second = 1024; second <= 65536; second *= 2) {
    if (chosen && second != chosen->page_size) continue;
    auto other = look(second);
    if (other && (!chosen || other->transaction > chosen->transaction)) chosen = other;
    if (chosen) break;
  }
  if (!chosen && !has_magic) return Status{400, "NotBolt", "it is not a file of etcd's format"};
  if (!chosen) return damaged("neither of its meta pages is intact");
  meta_ = *chosen;
  page_size_ = meta_.page_size;
  if (meta_.page_count > size / page_size_)
    return damaged("it is cut short: {} bytes instead of {} pages of {}", size, meta_.page_count, page_size_);
  return {};
}

Result<void> Reader::read_page(PageId id, Walk& walk, Page& page) {
  if (id < 2 || id >= meta_.page_count) return damaged("page {} is outside of the file", id);
  if (walk.seen[id]) return damaged("page {} is met twice", id);
  RN_CHECK(read_bytes(id * page_size_, page_size_, page.bytes));
  page.header = load<PageHeader>(page.bytes, 0);
  page.next = 0;
  page.data = 0;
  const auto& header = page.header;
  if (header.id != id) return damaged("page {} says that it is {}", id, header.id);
  if (header.flags != branch_page && header.flags != leaf_page)
    return damaged("page {} is of kind {}", id, header.flags);
  const std::uint64_t pages = std::uint64_t{header.overflow} + 1, bytes = pages * page_size_;
  if (pages > meta_.page_count - id) return damaged("page {} ends outside of the file", id);
  if (bytes > (header.flags == branch_page ? max_branch_bytes : max_leaf_bytes))
    return damaged("page {} is too large", id);
  for (PageId own = id; own < id + pages; ++own) {
    if (walk.seen[own] || (owners_[own] != 0 && owners_[own] != walk.owner))
      return damaged("page {} is met twice", own);
    walk.seen[own] = true;
    owners_[own] = walk.owner;
  }
  if (pages > 1) RN_CHECK(read_bytes(id * page_size_, bytes, page.bytes));
  if (sizeof(PageHeader) + std::uint64_t{header.count} * sizeof(LeafElement) > bytes)
    return damaged("page {} has more entries than room", id);
  return {};
}

Result<Reader::Entry> Reader::element(Page& page, std::size_t index) const {
  const std::size_t at = sizeof(PageHeader) + index * sizeof(LeafElement);
  Entry entry{};
  std::uint64_t position = 0, key_size = 0, value_size = 0;
  if (page.header.flags == branch_page) {
    const auto branch = load<BranchElement>(page.bytes, at);
    position = branch.position;
    key_size = branch.key_size;
    entry.page = branch.page;
  } else {
    const auto leaf = load<LeafElement>(page.bytes, at);
    position = leaf.position;
    key_size = leaf.key_size;
    value_size = leaf.value_size;
    entry.flags = leaf.flags;
  }
  // Entries do not share bytes: then all of them together fit.
  page.data += key_size + value_size;
  const std::uint64_t table = sizeof(PageHeader) + std::uint64_t{page.header.count} * sizeof(LeafElement);
  if (key_size == 0 || at + position < table || at + position + key_size + value_size > page.bytes.size() ||
      table + page.data > page.bytes.size())
    return damaged("page {} has an entry that is not inside it", page.header.id);
  entry.key = std::string_view(page.bytes).substr(at + position, key_size);
  entry.value = std::string_view(page.bytes).substr(at + position + key_size, value_size);
  return entry;
}

Result<void> Reader::walk_leaf(Page& page, Walk& walk, const EntryVisitor& visit) {
  for (std::size_t i = 0; i < page.header.count; ++i) {
    RN_TRY(const auto entry, element(page, i));
    if ((!walk.last_key.empty() && entry.key <= walk.last_key) || entry.key < walk.lowest)
      return damaged("page {} has keys that are out of order", page.header.id);
    walk.last_key = entry.key;
    RN_CHECK(visit(entry));
  }
  return {};
}

Result<void> Reader::walk_tree(PageId root, std::uint16_t owner, const EntryVisitor& visit) {
  Walk walk;
  walk.owner = owner;
  walk.seen.resize(meta_.page_count);
  std::vector<Page> path(1);
  RN_CHECK(read_page(root, walk, path.back()));
  while (!path.empty()) {
    Page& page = path.back();
    if (page.header.flags == leaf_page) {
      RN_CHECK(walk_leaf(page, walk, visit));
      path.pop_back();
      continue;
    }
    if (page.header.count == 0) return damaged("page {} leads nowhere", page.header.id);
    if (page.next == page.header.count) {
      path.pop_back();
      continue;
    }
    RN_TRY(const auto child, element(page, page.next++));
    if (!walk.last_key.empty() && child.key <= walk.last_key)
      return damaged("page {} has keys that are out of order", page.header.id);
    walk.lowest = child.key;
    if (path.size() >= max_depth) return damaged("its tree is too deep");
    const PageId next = child.page;
    path.emplace_back();
    RN_CHECK(read_page(next, walk, path.back()));
  }
  return {};
}

Result<void> Reader::read_buckets() {
  return walk_tree(meta_.root.root, 1, [this](const Entry& entry) -> Result<void> {
    if (entry.flags != bucket_entry) return damaged("it has an entry outside of buckets");
    if (entry.value.size() < sizeof(BucketHeader) || entry.value.size() > max_bucket_value ||
        entry.key.size() > max_key_size || buckets_.size() >= max_buckets)
      return damaged("its buckets are not etcd's");
    buckets_.emplace(entry.key, entry.value);
    return {};
  });
}

Result<void> Reader::walk(const std::string& bucket, const Visitor& visit) {
  const auto found = buckets_.find(bucket);
  if (found == buckets_.end()) return {};
  auto visit_entry = [&](const Entry& entry) -> Result<void> {
    if (entry.flags != 0) return damaged("bucket {} has another kind of entry inside", bucket);
    return visit(entry.key, entry.value);
  };
  const auto header = load<BucketHeader>(found->second, 0);
  const auto owner = static_cast<std::uint16_t>(2 + std::distance(buckets_.begin(), found));
  if (header.root != 0) return walk_tree(header.root, owner, visit_entry);
  // The bucket's only page is in its value.
  Page page;
  page.bytes = found->second.substr(sizeof(BucketHeader));
  if (page.bytes.size() < sizeof(PageHeader)) return damaged("bucket {} has no page", bucket);
  page.header = load<PageHeader>(page.bytes, 0);
  if (page.header.flags != leaf_page ||
      sizeof(PageHeader) + std::uint64_t{page.header.count} * sizeof(LeafElement) > page.bytes.size())
    return damaged("bucket {} has no page of entries", bucket);
  Walk walk;
  return walk_leaf(page, walk, visit_entry);
}

}  // namespace rusternetes::rhino::bolt
