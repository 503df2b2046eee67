#include "rhino/snapshot_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "etcd/kv.pb.h"
#include "etcd/lease.pb.h"
#include "rhino/snapshot_read.h"
#include "rhino/snapshot_rows.h"
#include "storage/sqlite/dump.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::rhino {
namespace {

using storage::sqlite::sub_bits;

Status damaged(std::string how) { return Status{400, "Damaged", std::move(how)}; }

class Import {
 public:
  Import(bolt::Reader& reader, const ImportOptions& options) : reader_(reader), options_(options) {}
  Result<void> read_facts();
  Result<void> choose_rows(storage::sqlite::Loader& loader);
  Result<ImportSummary> load(storage::sqlite::Loader& loader);

 private:
  struct Row {
    RowKey at;
    mvccpb::KeyValue kv;
    bool is_marker = false;  // says only how far revisions are
  };
  Result<void> walk(const std::function<Result<void>(const Row&)>& visit);
  static storage::sqlite::LogRow to_change(const Row& row);
  Result<void> load_leases(storage::sqlite::Loader& loader);

  bolt::Reader& reader_;
  const ImportOptions& options_;
  storage::Revision compacted_ = 0, newest_ = 1;
  storage::Revision filtered_to_ = 0;  // of changes up to here only the newest of each key is needed
  ImportSummary summary_;
};

Result<void> Import::read_facts() {
  bool has_auth = false;
  RN_CHECK(reader_.walk("auth", [&](std::string_view key, std::string_view value) -> Result<void> {
    has_auth |= key == "authEnabled" && value == "\x01";
    return {};
  }));
  if (has_auth)
    return Status{400, "AuthEnabled", "it has authentication enabled, which a store of ours does not have: "
                                      "run `etcdctl auth disable` and save another snapshot"};
  return reader_.walk("meta", [&](std::string_view key, std::string_view value) -> Result<void> {
    // Once a compaction is scheduled, its revision is not readable any more.
    if (key != "scheduledCompactRev" && key != "finishedCompactRev") return {};
    RN_TRY(const auto at, parse_row_key(value));
    compacted_ = std::max(compacted_, at.revision);
    return {};
  });
}

Result<void> Import::walk(const std::function<Result<void>(const Row&)>& visit) {
  Row row;
  return reader_.walk("key", [&](std::string_view key, std::string_view value) -> Result<void> {
    RN_TRY(row.at, parse_row_key(key));
    const auto revision = row.at.revision;
    if (value.size() > std::numeric_limits<int>::max() ||
        !row.kv.ParseFromArray(value.data(), static_cast<int>(value.size())))
      return damaged(fmt::format("the change at revision {} cannot be decoded", revision));
    if (revision < 1 || revision >= max_revision || row.at.sub >= std::int64_t{1} << sub_bits)
      return damaged(fmt::format("revision {}_{} is out of bounds", revision, row.at.sub));
    row.is_marker = row.kv.key().empty();
    const auto& kv = row.kv;
    const bool is_plausible =
        row.is_marker || row.at.is_removal ||
        (kv.mod_revision() == revision && kv.create_revision() >= 1 && kv.create_revision() <= revision &&
         kv.version() >= 1 && kv.version() <= std::numeric_limits<std::int32_t>::max());
    if (!is_plausible) return damaged(fmt::format("the change at revision {} contradicts itself", revision));
    return visit(row);
  });
}

storage::sqlite::LogRow Import::to_change(const Row& row) {
  storage::sqlite::LogRow change;
  change.id = row.at.revision << sub_bits | row.at.sub;
  change.key = row.kv.key();
  change.value = row.kv.value();
  change.is_removal = row.at.is_removal;
  change.create_revision = row.kv.create_revision();
  change.version = row.kv.version();
  change.lease = row.kv.lease();
  return change;
}

Result<void> Import::choose_rows(storage::sqlite::Loader& loader) {
  filtered_to_ = options_.bump_revision > 0 ? max_revision : compacted_;
  RN_CHECK(walk([&](const Row& row) -> Result<void> {
    newest_ = std::max(newest_, row.at.revision);
    if (row.is_marker || row.at.revision > filtered_to_) return {};
    return loader.thin(to_change(row));
  }));
  summary_.snapshot_revision = std::max(newest_, compacted_);
  if (options_.bump_revision < 0 || options_.bump_revision >= max_revision - summary_.snapshot_revision)
    return Status{
        400, "BadBump",
        fmt::format("revisions cannot rise by {} from {}: choose a --bump-revision between 0 and {}",
                    options_.bump_revision, summary_.snapshot_revision,
                    max_revision - summary_.snapshot_revision - 1)};
  summary_.revision = summary_.snapshot_revision + options_.bump_revision;
  summary_.compact_revision = options_.bump_revision > 0 ? summary_.revision : compacted_;
  return {};
}

Result<void> Import::load_leases(storage::sqlite::Loader& loader) {
  return reader_.walk("lease", [&](std::string_view, std::string_view value) -> Result<void> {
    leasepb::Lease lease;
    if (!lease.ParseFromArray(value.data(), static_cast<int>(value.size())) || lease.id() == 0 ||
        lease.ttl() < 0)
      return damaged("a lease cannot be decoded");
    ++summary_.leases;
    return loader.add_lease(lease.id(), lease.ttl());
  });
}

Result<ImportSummary> Import::load(storage::sqlite::Loader& loader) {
  RN_CHECK(walk([&](const Row& row) -> Result<void> {
    // The removals at the compacted revision can still be watched, earlier ones cannot.
    const bool is_gone =
        row.at.is_removal && row.at.revision <= filtered_to_ && row.at.revision != filtered_to_;
    if (row.is_marker || is_gone) return {};
    return loader.add(to_change(row));
  }));
  RN_CHECK(load_leases(loader));
  RN_TRY(summary_.keys, loader.finish(summary_.revision, summary_.compact_revision));
  return summary_;
}

}  // namespace

Result<ImportSummary> import_snapshot(const std::string& snapshot, const std::string& store_file,
                                      const ImportOptions& options) {
  RN_TRY(const auto reader, open_snapshot(snapshot, options.skips_hash_check ? Sum::ignored : Sum::required));
  Import import(*reader, options);
  if (auto read = import.read_facts(); !read) return about_snapshot(snapshot, read.error());
  RN_TRY(auto loader, storage::sqlite::Loader::create(store_file));
  auto imported = [&]() -> Result<ImportSummary> {
    RN_CHECK(import.choose_rows(*loader));
    return import.load(*loader);
  }();
  if (!imported) return about_snapshot(snapshot, imported.error());
  return imported;
}

}  // namespace rusternetes::rhino
