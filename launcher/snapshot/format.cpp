#include "launcher/snapshot/format.h"

#include <algorithm>
#include <string_view>

namespace rusternetes::launcher::snapshot {
namespace {

constexpr std::string_view magic = "rusternetes.snap";
// Of the sixteen numbers that zstd's decoders pass over.
constexpr std::uint32_t header_frame = 0x184d2a57;
constexpr std::uint32_t trailer_frame = 0x184d2a58;
constexpr std::size_t frame_head = 8;

namespace at {
constexpr std::size_t magic = 8;
constexpr std::size_t format = 24;
constexpr std::size_t encryption = 26;
constexpr std::size_t cost = 27;
constexpr std::size_t chunk_log = 30;
constexpr std::size_t created = 32;
constexpr std::size_t salt = 40;
constexpr std::size_t proof = 72;
constexpr std::size_t sum = 104;
}  // namespace at
constexpr std::uint8_t chunk_log = 16;
static_assert(chunk_size == 1ULL << chunk_log);
// A newer format's header may be longer, but has its sum at its end and no more than this.
constexpr std::uint32_t longest_header = 4096;

template <class T>
void put(std::span<std::uint8_t> bytes, std::size_t where, T value) {
  for (std::size_t byte = 0; byte < sizeof value; ++byte)
    bytes[where + byte] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * byte));
}

template <class T>
T take(Bytes bytes, std::size_t where) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < sizeof(T); ++byte)
    value |= static_cast<std::uint64_t>(bytes[where + byte]) << (8 * byte);
  return static_cast<T>(value);
}

bool agrees(Bytes bytes, std::size_t where, Bytes wanted) {
  const std::size_t size = std::min(wanted.size(), bytes.size() > where ? bytes.size() - where : 0);
  return std::equal(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(size),
                    bytes.begin() + static_cast<std::ptrdiff_t>(std::min(where, bytes.size())));
}

}  // namespace

Bytes proven_part(const HeaderBytes& bytes) { return Bytes(bytes).first(at::proof); }

void sum_header(HeaderBytes& bytes) {
  const Sum sum = sha256(Bytes(bytes).first(at::sum));
  std::copy(sum.begin(), sum.end(), bytes.begin() + at::sum);
}

HeaderBytes write_header(const Header& header) {
  HeaderBytes bytes{};
  put(bytes, 0, header_frame);
  put(bytes, 4, static_cast<std::uint32_t>(header_size - frame_head));
  std::copy(magic.begin(), magic.end(), bytes.begin() + at::magic);
  put(bytes, at::format, static_cast<std::uint16_t>(header.format));
  put(bytes, at::created, header.created_at_s);
  if (header.is_encrypted) {
    bytes[at::encryption] = 1;
    bytes[at::cost] = header.cost.log_n;
    bytes[at::cost + 1] = header.cost.r;
    bytes[at::cost + 2] = header.cost.p;
    bytes[at::chunk_log] = chunk_log;
    std::copy(header.salt.begin(), header.salt.end(), bytes.begin() + at::salt);
  }
  std::copy(header.proof.begin(), header.proof.end(), bytes.begin() + at::proof);
  sum_header(bytes);
  return bytes;
}

std::variant<Header, BadHeader> read_header(Bytes start) {
  std::array<std::uint8_t, 4> frame;
  put(frame, 0, header_frame);
  if (!agrees(start, 0, frame) || !agrees(start, at::magic, bytes_of(magic)))
    return BadHeader{HeaderFault::foreign};
  if (start.size() < at::encryption) return BadHeader{HeaderFault::cut_short};
  const int format = take<std::uint16_t>(start, at::format);
  const auto length = take<std::uint32_t>(start, 4);
  // Only what a sum vouches for is believed, but of a header longer than what is at hand nothing can be told.
  if (format > newest_format && length != header_size - frame_head && length <= longest_header)
    return BadHeader{HeaderFault::newer, format};
  if (start.size() < header_size) return BadHeader{HeaderFault::cut_short};
  if (!agrees(start, at::sum, sha256(start.first(at::sum)))) return BadHeader{HeaderFault::damaged};
  if (format > newest_format) return BadHeader{HeaderFault::newer, format};
  Header header;
  header.format = format;
  header.is_encrypted = start[at::encryption] == 1;
  header.cost = {start[at::cost], start[at::cost + 1], start[at::cost + 2]};
  header.created_at_s = take<std::int64_t>(start, at::created);
  std::copy_n(start.begin() + at::salt, salt_size, header.salt.begin());
  std::copy_n(start.begin() + at::proof, header.proof.size(), header.proof.begin());
  const bool is_sound =
      length == header_size - frame_head && format == newest_format && start[at::encryption] <= 1 &&
      start[at::chunk_log + 1] == 0 &&
      (!header.is_encrypted || (start[at::chunk_log] == chunk_log && is_bearable(header.cost)));
  if (!is_sound) return BadHeader{HeaderFault::damaged};
  return header;
}

TrailerBytes begin_trailer(std::uint64_t file_size) {
  TrailerBytes bytes{};
  put(bytes, 0, trailer_frame);
  put(bytes, 4, static_cast<std::uint32_t>(trailer_size - frame_head));
  put(bytes, 8, file_size);
  return bytes;
}

}  // namespace rusternetes::launcher::snapshot
