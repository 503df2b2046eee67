#pragma once
// One change of the store as etcd keeps it in its bucket "key": what its snapshots hold, and what its hashes
// are made of.

#include <boost/crc.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "storage/sqlite/dump.h"

namespace mvccpb {
class KeyValue;
}

namespace rusternetes::rhino {

// CRC-32C (Castagnoli), as hash/crc32 of Go makes it.
using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

// A row's key: revision, '_', number within it, and 't' for a removal.
struct RowKey {
  std::int64_t revision = 0, sub = 0;
  bool is_removal = false;
};
RowKey row_key(const storage::sqlite::LogRow& row);
Result<RowKey> parse_row_key(std::string_view bytes);
std::string row_key_bytes(const RowKey& key);
std::string big_endian(std::uint64_t value);

// A row's value, before it is encoded. Of a removal it has the key alone.
void to_message(const storage::sqlite::LogRow& row, mvccpb::KeyValue& kv);

}  // namespace rusternetes::rhino
