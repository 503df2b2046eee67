#pragma once
// The write-ahead log of a member (etcd: server/storage/wal): segments of framed records, each with a CRC-32C
// of all data before it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "etcd/member.pb.h"

namespace rusternetes::rhino::raft {

enum class RecordType { metadata = 1, entry, state, crc, snapshot };

// crc32.Update of Go, Castagnoli's polynomial.
std::uint32_t crc32c(std::uint32_t before, std::string_view bytes);

class WalWriter {
 public:
  WalWriter() { append(RecordType::crc, {}); }
  void append(RecordType type, const std::string& data);
  // The first segment of a log; its folder must exist.
  Result<void> save(const std::string& folder) const;

 private:
  std::string bytes_;
  std::uint32_t crc_ = 0;
};

struct WalTail {
  std::vector<memberpb::Entry> entries;
  std::uint64_t commit = 0;  // up to which, as far as was noted, the members agreed
};

// The entries with a higher index than `after`, without holes ("Damaged"). A record that was being written
// when the power failed ends the log.
Result<WalTail> read_wal(const std::string& folder, std::uint64_t after);

}  // namespace rusternetes::rhino::raft
