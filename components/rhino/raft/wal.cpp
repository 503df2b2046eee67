#include "rhino/raft/wal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace rusternetes::rhino::raft {
namespace {

constexpr std::int64_t segment_bytes = 64'000'000;  // etcd's own; it appends to what is laid out already
constexpr std::size_t sector_bytes = 512, frame_bytes = 8;
constexpr std::uint64_t most_record_bytes = 1 << 30;  // etcd's requests are far from it
constexpr std::uint64_t size_mask = (std::uint64_t{1} << 56) - 1;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0x82F63B78U : 0);
    table[i] = value;
  }
  return table;
}

Status damaged(const std::string& segment, std::string_view how) {
  return Status{400, "Damaged", fmt::format("the write-ahead log is damaged ({}: {})", segment, how)};
}

// Names that etcd gives: SEQUENCE-INDEX.wal, the index being that of the first entry.
struct Segment {
  std::string name;
  std::uint64_t first_index = 0;
};

Result<std::vector<Segment>> segments_of(const std::string& folder) {
  std::error_code error;
  std::vector<Segment> segments;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.size() != 37 || name[16] != '-' || !name.ends_with(".wal")) continue;
    segments.push_back({name, std::strtoull(name.substr(17, 16).c_str(), nullptr, 16)});
  }
  if (error) return Status{500, "InternalError", fmt::format("cannot read {}: {}", folder, error.message())};
  if (segments.empty()) return Status{404, "NotFound", fmt::format("{} has no write-ahead log", folder)};
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return segments;
}

Result<std::string> read_segment(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  if (!in) return errno_error(fmt::format("cannot read {}", path), errno ? errno : EIO);
  return bytes;
}

// As etcd's isTornEntry: a sector of it never reached the disk.
bool is_torn(std::string_view data, std::size_t offset) {
  while (!data.empty()) {
    const auto piece = data.substr(0, sector_bytes - offset % sector_bytes);
    if (piece.find_first_not_of('\0') == piece.npos) return true;
    data.remove_prefix(piece.size());
    offset += piece.size();
  }
  return false;
}

class WalReader {
 public:
  explicit WalReader(std::uint64_t after) : after_(after) {}
  Result<void> read(const std::string& name, std::string_view bytes, bool is_last);
  WalTail take() { return std::move(tail_); }

 private:
  Result<void> take_record(const memberpb::Record& record, const std::string& name);
  Result<void> take_entry(const std::string& data, const std::string& name);

  std::uint64_t after_;
  std::uint32_t crc_ = 0;
  WalTail tail_;
};

Result<void> WalReader::read(const std::string& name, std::string_view bytes, bool is_last) {
  memberpb::Record record;
  for (std::size_t at = 0; at + frame_bytes <= bytes.size();) {
    std::uint64_t field = 0;
    std::memcpy(&field, bytes.data() + at, sizeof field);
    if (field == 0) return {};  // laid out, and not written
    at += frame_bytes;
    const std::uint64_t size = field & size_mask, padding = field >> 63 ? field >> 56 & 7 : 0;
    const auto left = bytes.size() - at;
    if (size > left || padding > left - size)
      return is_last ? Result<void>{} : damaged(name, "a record goes beyond its end");
    const auto data = bytes.substr(at, size + padding);
    const bool is_whole =
        size <= most_record_bytes && record.ParseFromArray(data.data(), static_cast<int>(size));
    const bool is_crc = record.type() == static_cast<int>(RecordType::crc);
    if (is_whole && !is_crc) crc_ = crc32c(crc_, record.data());
    if (!is_whole || (!is_crc && record.crc() != crc_)) {
      if (is_last && is_torn(data, at)) return {};
      return damaged(name, "the checksum of a record is another one");
    }
    RN_CHECK(take_record(record, name));
    at += data.size();
  }
  return {};
}

Result<void> WalReader::take_record(const memberpb::Record& record, const std::string& name) {
  switch (static_cast<RecordType>(record.type())) {
    case RecordType::crc:
      if (crc_ != 0 && crc_ != record.crc()) return damaged(name, "it does not follow the one before");
      crc_ = record.crc();
      return {};
    case RecordType::entry:
      return take_entry(record.data(), name);
    case RecordType::state: {
      memberpb::HardState state;
      if (!state.ParseFromString(record.data())) return damaged(name, "a state cannot be decoded");
      tail_.commit = state.commit();
      return {};
    }
    default:
      return {};
  }
}

Result<void> WalReader::take_entry(const std::string& data, const std::string& name) {
  memberpb::Entry entry;
  if (!entry.ParseFromString(data)) return damaged(name, "an entry cannot be decoded");
  if (entry.index() <= after_) {  // and what followed it was given up
    tail_.entries.clear();
    return {};
  }
  const std::uint64_t place = entry.index() - after_ - 1;
  if (place > tail_.entries.size())
    return damaged(name, fmt::format("the entries before {} are missing", entry.index()));
  tail_.entries.resize(place);
  tail_.entries.push_back(std::move(entry));
  return {};
}

}  // namespace

std::uint32_t crc32c(std::uint32_t before, std::string_view bytes) {
  static constexpr auto table = make_table();
  std::uint32_t crc = ~before;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  return ~crc;
}

void WalWriter::append(RecordType type, const std::string& data) {
  crc_ = crc32c(crc_, data);
  memberpb::Record record;
  record.set_type(static_cast<int>(type));
  record.set_crc(crc_);
  if (type != RecordType::crc) record.set_data(data);
  std::string encoded = record.SerializeAsString();
  std::uint64_t field = encoded.size();
  const std::uint64_t padding = (8 - encoded.size() % 8) % 8;
  if (padding) field |= (0x80 | padding) << 56;
  encoded.append(padding, '\0');
  bytes_.append(reinterpret_cast<const char*>(&field), sizeof field).append(encoded);
}

Result<void> WalWriter::save(const std::string& folder) const {
  const std::string path = fmt::format("{0}/{1:016x}-{1:016x}.wal", folder, 0);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(fmt::format("cannot make {}", path), errno);
  auto saved = [&]() -> Result<void> {
    // Where the disk cannot lay files out, etcd's log grows as it is written.
    if (::fallocate(fd, 0, 0, segment_bytes) != 0 && errno == ENOSPC)
      return errno_error(fmt::format("cannot write {}", path), errno);
    errno = 0;
    if (::write(fd, bytes_.data(), bytes_.size()) != static_cast<ssize_t>(bytes_.size()) || ::fsync(fd) != 0)
      return errno_error(fmt::format("cannot write {}", path), errno ? errno : ENOSPC);
    return {};
  }();
  ::close(fd);
  return saved;
}

Result<WalTail> read_wal(const std::string& folder, std::uint64_t after) {
  RN_TRY(const auto segments, segments_of(folder));
  // Begins in the last segment that can have the next entry.
  std::size_t first = 0;
  for (std::size_t i = 0; i < segments.size(); ++i)
    if (segments[i].first_index <= after + 1) first = i;
  WalReader reader(after);
  for (std::size_t i = first; i < segments.size(); ++i) {
    RN_TRY(const auto bytes, read_segment(folder + "/" + segments[i].name));
    RN_CHECK(reader.read(segments[i].name, bytes, i + 1 == segments.size()));
  }
  return reader.take();
}

}  // namespace rusternetes::rhino::raft
