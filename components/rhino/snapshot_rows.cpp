#include "rhino/snapshot_rows.h"

#include "etcd/kv.pb.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::rhino {
namespace {

using storage::sqlite::revision_of;

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string big_endian(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 7; i >= 0; --i, value >>= 8) bytes[static_cast<std::size_t>(i)] = static_cast<char>(value);
  return bytes;
}

RowKey row_key(const storage::sqlite::LogRow& row) {
  return {revision_of(row.id), row.id & ((std::int64_t{1} << storage::sqlite::sub_bits) - 1), row.is_removal};
}

std::string row_key_bytes(const RowKey& key) {
  std::string bytes = big_endian(static_cast<std::uint64_t>(key.revision));
  bytes += '_';
  bytes += big_endian(static_cast<std::uint64_t>(key.sub));
  if (key.is_removal) bytes += 't';
  return bytes;
}

Result<RowKey> parse_row_key(std::string_view bytes) {
  RowKey key;
  if ((bytes.size() != 17 && bytes.size() != 18) || bytes[8] != '_' ||
      (bytes.size() == 18 && bytes[17] != 't'))
    return Status{400, "Damaged", "its keys have an entry that is no revision"};
  key.revision = static_cast<std::int64_t>(from_big_endian(bytes.substr(0, 8)));
  key.sub = static_cast<std::int64_t>(from_big_endian(bytes.substr(9, 8)));
  key.is_removal = bytes.size() == 18;
  if (key.revision < 0 || key.sub < 0) return Status{400, "Damaged", "its keys have a negative revision"};
  return key;
}

void to_message(const storage::sqlite::LogRow& row, mvccpb::KeyValue& kv) {
  kv.Clear();
  kv.set_key(row.key.data(), row.key.size());
  if (row.is_removal) return;
  kv.set_create_revision(row.create_revision);
  kv.set_mod_revision(revision_of(row.id));
  kv.set_version(row.version);
  kv.set_value(row.value.data(), row.value.size());
  kv.set_lease(row.lease);
}

}  // namespace rusternetes::rhino
