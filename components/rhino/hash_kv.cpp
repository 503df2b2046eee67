#include "rhino/hash_kv.h"

#include <array>
#include <set>
#include <string>

#include "etcd/kv.pb.h"
#include "storage/sqlite/dump.h"

namespace rusternetes::rhino {
namespace {

using storage::Revision;
using storage::sqlite::LogRow;
using storage::sqlite::revision_of;

// CRC-32C (Castagnoli), as hash/crc32 of Go makes it.
class Crc32c {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) state_ = table()[(state_ ^ static_cast<unsigned char>(c)) & 0xff] ^ state_ >> 8;
  }
  std::uint32_t value() const { return ~state_; }

 private:
  static const std::array<std::uint32_t, 256>& table() {
    static const auto made = [] {
      std::array<std::uint32_t, 256> out{};
      for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0x82f63b78u ^ c >> 1 : c >> 1;
        out[i] = c;
      }
      return out;
    }();
    return made;
  }
  std::uint32_t state_ = ~0u;
};

std::string file_key(const LogRow& row) {
  std::string key;
  auto number = [&](std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(value >> shift);
  };
  number(static_cast<std::uint64_t>(revision_of(row.id)));
  key += '_';
  number(static_cast<std::uint64_t>(row.id) & ((1u << storage::sqlite::sub_bits) - 1));
  if (row.is_removal) key += 't';
  return key;
}

void to_message(const LogRow& row, mvccpb::KeyValue& kv) {
  kv.Clear();
  kv.set_key(std::string(row.key));
  if (row.is_removal) return;
  kv.set_create_revision(row.create_revision);
  kv.set_mod_revision(revision_of(row.id));
  kv.set_version(row.version);
  kv.set_value(std::string(row.value));
  kv.set_lease(row.lease);
}

}  // namespace

Result<KvHash> hash_kv(storage::sqlite::SqliteStore& store, Revision revision) {
  KvHash out;
  Crc32c crc;
  crc.add("key");
  auto hash = [&](storage::sqlite::Dump& dump) -> Result<void> {
    out.compact_revision = dump.compact_revision() > 0 ? dump.compact_revision() : -1;
    out.current_revision = dump.revision();
    if (revision > 0 && revision < out.compact_revision) return Status{410, storage::reason_compacted, ""};
    if (revision > out.current_revision) return Status{400, storage::reason_future_revision, ""};
    out.hash_revision = revision ? revision : out.current_revision;  // nothing is as old as a negative one
    // Of what stood before the compaction only what still stands at the revision counts; all of it if nothing stands.
    std::set<std::string, std::less<>> changed;
    std::int64_t live = 0;
    auto look = [&](const LogRow& row) -> Result<void> {
      const Revision at = revision_of(row.id);
      if (at > out.hash_revision) return {};
      if (at <= out.compact_revision) {
        live += row.is_removal ? 0 : 1;
      } else {
        live += row.is_removal ? -1 : row.create_revision == at ? 1 : 0;
        changed.emplace(row.key);
      }
      return {};
    };
    RN_CHECK(dump.log(look));
    mvccpb::KeyValue kv;
    std::string bytes;
    auto add = [&](const LogRow& row) -> Result<void> {
      const Revision at = revision_of(row.id);
      if (at > out.hash_revision) return {};
      if (at <= out.compact_revision && (row.is_removal || (live > 0 && changed.contains(row.key)))) return {};
      to_message(row, kv);
      kv.SerializeToString(&bytes);
      crc.add(file_key(row));
      crc.add(bytes);
      return {};
    };
    return dump.log(add);
  };
  RN_CHECK(store.dump(hash));
  out.hash = crc.value();
  return out;
}

}  // namespace rusternetes::rhino
