// Reads: the present from the index and the log, the past by undoing what came after.

#include <algorithm>
#include <map>

#include "storage/sqlite/format.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::storage::sqlite {
namespace {

struct Bounds {
  std::string from, to;
};
Bounds bounds(const RangeRequest& request) {
  if (request.range_end.empty()) return {request.key, request.key + '\0'};
  if (request.range_end == std::string_view("\0", 1)) return {request.key, {}};
  return {request.key, request.range_end};
}

// Between its statements the database stays as it was at the first one; and each is spared to find out that
// it did.
class Snapshot {
 public:
  Snapshot(Statement& begin, Statement& end) : begin_(begin), end_(end) {}
  ~Snapshot() {
    if (is_open_) (void)end_.run();
  }
  Result<void> open() {
    RN_CHECK(begin_.run());
    is_open_ = true;
    return {};
  }

 private:
  Statement& begin_;
  Statement& end_;
  bool is_open_ = false;
};

// Rows that are wanted may have others between them: up to so many revisions it is cheaper to step over those
// than to look for the next from the top of the tree.
constexpr Revision most_stepped_over = 8;

}  // namespace

// The rows of keys, in whatever order they lie in the file: so each of its pages is read once. False: one is
// not there.
Result<bool> SqliteStore::read_rows(Reader& reader, const std::vector<std::int64_t>& ids, bool keys_only,
                                    std::vector<KeyValue>& kvs, const RowVisitor& show) {
  std::vector<std::pair<std::int64_t, std::size_t>> order;
  order.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) order.emplace_back(ids[i], i);
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i + 1;
    while (end < order.size() &&
           revision_of(order[end].first) - revision_of(order[end - 1].first) <= most_stepped_over)
      ++end;
    // One row is looked for, several are read from the first to the last.
    const bool is_scan = end - i > 1;
    Statement& rows = is_scan ? reader.scan : reader.read;
    rows.bind(1, order[i].first);
    if (is_scan) rows.bind(2, order[end - 1].first);
    while (i < end) {
      RN_TRY(const bool has_row, rows.step());
      const std::int64_t id = has_row ? rows.integer(0) : 0;
      if (has_row && id < order[i].first) continue;
      if (!has_row || id != order[i].first) {
        rows.reset();
        return false;
      }
      const std::size_t place = order[i++].second;
      KeyValue& kv = kvs[place];
      kv.create_revision = rows.integer(2);
      kv.version = rows.integer(3);
      kv.lease = rows.integer(4);
      if (!keys_only) show(place, kv, rows.bytes(1));
    }
    rows.reset();
  }
  return true;
}

Result<std::unique_ptr<SqliteStore::Reader>> SqliteStore::open_reader() {
  RN_TRY(auto database, Database::open(options_.path, true, options_.vfs));
  auto reader = std::make_unique<Reader>(std::move(database));
  RN_CHECK(configure(*reader, false));
  RN_TRY(reader->read,
         reader->prepare("SELECT id, value, create_revision, version, lease FROM log WHERE id=?"));
  RN_TRY(reader->scan, reader->prepare("SELECT id, value, create_revision, version, lease FROM log"
                                       " WHERE id BETWEEN ? AND ? ORDER BY id"));
  RN_TRY(reader->begin, reader->prepare("BEGIN"));
  RN_TRY(reader->end, reader->prepare("COMMIT"));
  return reader;
}

std::unique_ptr<SqliteStore::Reader> SqliteStore::take_reader(Status& error) {
  {
    std::unique_lock lock(readers_mutex_);
    readers_wake_.wait(lock, [&] { return !is_reopening_; });
    ++readers_out_;
    if (!readers_.empty()) {
      auto reader = std::move(readers_.back());
      readers_.pop_back();
      return reader;
    }
  }
  auto opened = open_reader();
  if (opened) return std::move(*opened);
  error = opened.error();
  give_up_reader();
  return nullptr;
}

void SqliteStore::give_reader(std::unique_ptr<Reader> reader) {
  {
    std::lock_guard lock(readers_mutex_);
    if (readers_.size() < 8) readers_.push_back(std::move(reader));
  }
  reader.reset();
  give_up_reader();
}

void SqliteStore::give_up_reader() {
  std::lock_guard lock(readers_mutex_);
  --readers_out_;
  readers_wake_.notify_all();
}

Result<RangeResponse> SqliteStore::range(const RangeRequest& request) {
  std::vector<std::shared_ptr<const std::string>> values;
  RN_TRY(auto response, range(request, [&](std::size_t place, const KeyValue&, std::string_view value) {
           if (values.size() <= place) values.resize(std::max(place + 1, values.size() * 2));
           values[place] = std::make_shared<const std::string>(value);
         }));
  if (!request.keys_only)
    for (std::size_t i = 0; i < response.kvs.size(); ++i) response.kvs[i].value = std::move(values[i]);
  return response;
}

Result<RangeResponse> SqliteStore::range(const RangeRequest& request, const RowVisitor& show) {
  const Revision now = current_revision();
  if (request.revision > now)
    return Status{400, reason_future_revision, "required revision is a future revision"};
  if (request.revision > 0 && request.revision < compact_revision())
    return Status{410, reason_compacted, "required revision has been compacted"};
  Status error;
  auto reader = take_reader(error);
  if (!reader) return error;
  auto response = request.revision > 0 ? range_at(request, show, *reader) : range_now(request, show, *reader);
  // Asked for what was the newest revision a moment ago, and somebody wrote since.
  if (response && request.revision > 0 && response->revision > now)
    response = range_at(request, show, *reader);
  give_reader(std::move(reader));
  return response;
}

Result<RangeResponse> SqliteStore::range_now(const RangeRequest& request, const RowVisitor& show,
                                             Reader& reader) {
  const auto [from, to] = bounds(request);
  // A row that compaction took between the index and the read was replaced meanwhile: look again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    RangeResponse response;
    std::vector<std::int64_t> ids;
    bool needs_rows = !request.keys_only;
    {
      std::shared_lock lock(index_mutex_);
      response.revision = revision_.load(std::memory_order_acquire);
      response.count = static_cast<std::int64_t>(index_.count(from, to));
      if (!request.count_only) {
        const std::int64_t shown =
            request.limit > 0 ? std::min(request.limit, response.count) : response.count;
        response.kvs.reserve(static_cast<std::size_t>(shown));
        ids.reserve(static_cast<std::size_t>(shown));
        index_.visit(from, to, [&](std::string_view key, const IndexEntry& entry) {
          if (request.limit > 0 && static_cast<std::int64_t>(response.kvs.size()) >= request.limit) {
            response.more = true;
            return false;
          }
          response.kvs.push_back({std::string(key), nullptr, entry.create_revision, revision_of(entry.log_id),
                                  entry.version, 0});
          ids.push_back(entry.log_id);
          needs_rows |= entry.has_lease;
          return true;
        });
      }
    }
    if (!needs_rows || ids.empty()) return response;
    Snapshot snapshot(reader.begin, reader.end);
    if (ids.size() > 1) RN_CHECK(snapshot.open());
    RN_TRY(const bool is_whole, read_rows(reader, ids, request.keys_only, response.kvs, show));
    if (is_whole) return response;
  }
  return Status{500, "Damaged", "the store's file is damaged: live keys have no log rows"};
}

// What happened to the keys of a range between two revisions.
struct SqliteStore::Past {
  struct Change {
    std::int64_t before = 0;  // the log's row before the first change; 0: the key was not there
    bool is_live = false;     // after the last one
  };
  Revision known = 0;  // every change up to here is there
  std::map<std::string, Change, std::less<>> changes;

  Result<void> read_up_to(Revision revision, std::string_view from, std::string_view to, Database& reader) {
    if (revision <= known) return {};
    RN_TRY(
        auto select,
        reader.prepare("SELECT key, previous, value IS NULL FROM log WHERE id >= ? AND id < ? ORDER BY id"));
    select.bind(1, (known + 1) << sub_bits).bind(2, (revision + 1) << sub_bits);
    for (;;) {
      RN_TRY(const bool has_row, select.step());
      if (!has_row) break;
      const std::string_view key = select.bytes(0);
      if (key < from || (!to.empty() && key >= to)) continue;
      auto it = changes.find(key);
      if (it == changes.end()) it = changes.emplace(key, Change{select.integer(1), false}).first;
      it->second.is_live = select.integer(2) == 0;
    }
    known = revision;
    return {};
  }
};

// The beginning of a range as the index has it at `revision`.
struct SqliteStore::Excerpt {
  Revision revision = 0;
  std::int64_t count = 0;  // of the whole range
  std::vector<std::pair<std::string, std::int64_t>> keys;  // with their rows
  bool is_whole = true;    // no key of the range comes after those
};

// As much as a page needs whose keys may have changed as `past` says, and `spare` keys, since more may have
// come.
SqliteStore::Excerpt SqliteStore::excerpt(const RangeRequest& request, const Past& past,
                                          std::int64_t spare) const {
  const auto [from, to] = bounds(request);
  Excerpt out;
  std::shared_lock lock(index_mutex_);
  out.revision = revision_.load(std::memory_order_acquire);
  out.count = static_cast<std::int64_t>(index_.count(from, to));
  if (request.count_only) return out;
  std::int64_t unchanged = 0;
  auto it = past.changes.begin();
  index_.visit(from, to, [&](std::string_view key, const IndexEntry& entry) {
    if (request.limit > 0 && unchanged > request.limit + spare) return out.is_whole = false;
    while (it != past.changes.end() && it->first < key) ++it;
    if (it == past.changes.end() || it->first != key) ++unchanged;
    out.keys.emplace_back(key, entry.log_id);
    return true;
  });
  return out;
}

// The state at an older revision: what each key that changed since was before its first change; all others as
// now.
Result<RangeResponse> SqliteStore::range_at(const RangeRequest& request, const RowVisitor& show,
                                            Reader& reader) {
  const auto [from, to] = bounds(request);
  Past past;
  past.known = request.revision;
  for (std::int64_t spare = 256;; spare *= 2) {
    RN_CHECK(past.read_up_to(current_revision(), from, to, reader));
    const Excerpt present = excerpt(request, past, spare);
    RN_CHECK(past.read_up_to(present.revision, from, to, reader));

    RangeResponse response;
    response.revision = present.revision;
    response.count = present.count;
    for (const auto& [_, change] : past.changes)
      response.count += static_cast<int>(change.before != 0) - static_cast<int>(change.is_live);
    const Status compacted{410, reason_compacted, "required revision has been compacted"};
    if (request.count_only) {
      if (request.revision < compact_revision()) return compacted;
      return response;
    }

    std::vector<std::int64_t> ids;
    auto add = [&](const std::string& key, std::int64_t id) {
      if (id == 0) return true;
      if (request.limit > 0 && static_cast<std::int64_t>(ids.size()) >= request.limit) {
        response.more = true;
        return false;
      }
      response.kvs.push_back({key, nullptr, 0, revision_of(id), 0, 0});
      ids.push_back(id);
      return true;
    };
    bool goes_on = true;
    auto it = past.changes.begin();
    for (const auto& [key, id] : present.keys) {
      for (; goes_on && it != past.changes.end() && it->first < key; ++it)
        goes_on = add(it->first, it->second.before);
      if (!goes_on) break;
      if (it != past.changes.end() && it->first == key)
        goes_on = add(key, (it++)->second.before);
      else
        goes_on = add(key, id);
      if (!goes_on) break;
    }
    if (goes_on && !present.is_whole) continue;  // so much was written meanwhile that the page is not full
    for (; goes_on && it != past.changes.end(); ++it) goes_on = add(it->first, it->second.before);

    Snapshot snapshot(reader.begin, reader.end);
    RN_CHECK(snapshot.open());
    RN_TRY(const bool is_whole, read_rows(reader, ids, request.keys_only, response.kvs, show));
    // Compaction that was declared meanwhile may have taken rows.
    if (!is_whole || request.revision < compact_revision()) return compacted;
    return response;
  }
}

}  // namespace rusternetes::storage::sqlite
