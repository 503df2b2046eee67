#include "apimachinery/uid.h"

#include <sys/random.h>

#include <array>
#include <cerrno>

#include "apimachinery/hash.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

void fill_random(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t count = getrandom(out.data(), out.size(), 0);
    RN_ASSERT(count > 0 || errno == EINTR, "the kernel gives no random bytes");
    if (count > 0) out = out.subspan(static_cast<std::size_t>(count));
  }
}

std::string new_uid() {
  constexpr char hex[] = "0123456789abcdef";
  std::array<std::uint8_t, 16> bytes;
  fill_random(bytes);
  bytes[6] = (bytes[6] & 0x0F) | 0x40;  // version 4
  bytes[8] = (bytes[8] & 0x3F) | 0x80;  // variant of RFC 9562
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += hex[bytes[i] >> 4];
    out += hex[bytes[i] & 0xF];
  }
  return out;
}

std::string random_suffix(std::size_t length) {
  std::string out;
  out.reserve(length);
  std::array<std::uint8_t, 16> bytes;
  while (out.size() < length) {
    fill_random(bytes);
    for (const std::uint8_t byte : bytes) {
      // Five bits; those beyond the alphabet are dropped, so that none is more likely.
      const std::size_t index = byte & 31;
      if (index < kSafeAlphabet.size() && out.size() < length) out += kSafeAlphabet[index];
    }
  }
  return out;
}

}  // namespace rusternetes::apimachinery
