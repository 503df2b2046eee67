// Reads: the present from the index and the log, the past by undoing what came after.

#include <algorithm>

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

constexpr const char* read_sql = "SELECT value, create_revision, version, lease FROM log WHERE id=?";

}  // namespace

Result<Database> SqliteStore::open_reader() {
  RN_TRY(auto reader, Database::open(options_.path, true, options_.vfs));
  RN_CHECK(configure(reader, false));
  return reader;
}

std::unique_ptr<Database> SqliteStore::take_reader(Status& error) {
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
  if (!opened) {
    error = opened.error();
    give_up_reader();
    return nullptr;
  }
  return std::make_unique<Database>(std::move(*opened));
}

void SqliteStore::give_reader(std::unique_ptr<Database> reader) {
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
  const Revision now = current_revision();
  if (request.revision > now)
    return Status{400, reason_future_revision, "required revision is a future revision"};
  if (request.revision > 0 && request.revision < compact_revision())
    return Status{410, reason_compacted, "required revision has been compacted"};
  Status error;
  auto reader = take_reader(error);
  if (!reader) return error;
  auto response = request.revision > 0 && request.revision < now ? range_at(request, *reader) : range_now(request, *reader);
  give_reader(std::move(reader));
  return response;
}

Result<RangeResponse> SqliteStore::range_now(const RangeRequest& request, Database& reader) {
  const auto [from, to] = bounds(request);
  RN_TRY(auto read, reader.prepare(read_sql));
  // A row that compaction took between the index and the read was replaced meanwhile: look again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    RangeResponse response;
    std::vector<std::int64_t> ids;
    bool needs_rows = !request.keys_only;
    {
      std::shared_lock lock(index_mutex_);
      response.revision = revision_.load(std::memory_order_acquire);
      response.count = static_cast<std::int64_t>(index_.count(from, to));
      if (!request.count_only)
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
    bool is_whole = true;
    for (std::size_t i = 0; needs_rows && i < ids.size(); ++i) {
      RN_TRY(const bool found, read.bind(1, ids[i]).step());
      if (!found) {
        is_whole = false;
        read.reset();
        break;
      }
      if (!request.keys_only) response.kvs[i].value = std::make_shared<const std::string>(read.bytes(0));
      response.kvs[i].lease = read.integer(3);
      read.reset();
    }
    if (is_whole) return response;
  }
  return Status{500, "Damaged", "the store's file is damaged: live keys have no log rows"};
}

// The state at an older revision: what each key that changed since was before its first change; all others as now.
Result<RangeResponse> SqliteStore::range_at(const RangeRequest& request, Database& reader) {
  const auto [from, to] = bounds(request);
  auto in_range = [&, &from = from, &to = to](std::string_view key) { return key >= from && (to.empty() || key < to); };
  // One snapshot for everything: the tables `current` and `log` agree with each other inside it.
  RN_CHECK(reader.exec("BEGIN"));
  auto result = [&, &from = from, &to = to]() -> Result<RangeResponse> {
    RN_TRY(auto changes, reader.prepare("SELECT key, previous FROM log WHERE id >= ? ORDER BY id"));
    changes.bind(1, (request.revision + 1) << sub_bits);
    std::map<std::string, std::int64_t> before;  // 0: the key was not there
    for (;;) {
      RN_TRY(const bool has_row, changes.step());
      if (!has_row) break;
      if (in_range(changes.bytes(0))) before.emplace(changes.bytes(0), changes.integer(1));
    }
    changes.reset();
    RN_TRY(auto current, reader.prepare(to.empty() ? "SELECT key, id FROM current WHERE key >= ? ORDER BY key"
                                                   : "SELECT key, id FROM current WHERE key >= ? AND key < ? ORDER BY key"));
    current.bind(1, from);
    if (!to.empty()) current.bind(2, to);
    RangeResponse response;
    std::vector<std::int64_t> ids;
    auto add = [&](std::string_view key, std::int64_t id) {
      ++response.count;
      if (request.count_only) return;
      if (request.limit > 0 && static_cast<std::int64_t>(ids.size()) >= request.limit) {
        response.more = true;
        return;
      }
      response.kvs.push_back({std::string(key), nullptr, 0, revision_of(id), 0, 0});
      ids.push_back(id);
    };
    auto it = before.begin();
    for (;;) {
      RN_TRY(const bool has_row, current.step());
      const std::string_view key = has_row ? current.bytes(0) : std::string_view{};
      for (; it != before.end() && (!has_row || it->first < key); ++it)
        if (it->second) add(it->first, it->second);
      if (!has_row) break;
      if (it != before.end() && it->first == key) {
        if (it->second) add(key, it->second);
        ++it;
      } else {
        add(key, current.integer(1));
      }
    }
    current.reset();
    RN_TRY(auto read, reader.prepare(read_sql));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      RN_TRY(const bool found, read.bind(1, ids[i]).step());
      if (!found) return Status{410, reason_compacted, "required revision has been compacted"};
      auto& kv = response.kvs[i];
      if (!request.keys_only) kv.value = std::make_shared<const std::string>(read.bytes(0));
      kv.create_revision = read.integer(1);
      kv.version = read.integer(2);
      kv.lease = read.integer(3);
      read.reset();
    }
    response.revision = current_revision();
    return response;
  }();
  (void)reader.exec("COMMIT");
  // Compaction that was declared meanwhile may have taken rows before this snapshot began.
  if (result && request.revision < compact_revision())
    return Status{410, reason_compacted, "required revision has been compacted"};
  return result;
}

}  // namespace rusternetes::storage::sqlite
