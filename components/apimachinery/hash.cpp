#include "apimachinery/hash.h"

namespace rusternetes::apimachinery {

std::string safe_encode(std::string_view ascii) {
  std::string out;
  out.reserve(ascii.size());
  for (const char c : ascii) out += kSafeAlphabet[static_cast<unsigned char>(c) % kSafeAlphabet.size()];
  return out;
}

std::string safe_encode(std::uint32_t hash) { return safe_encode(std::to_string(hash)); }

}  // namespace rusternetes::apimachinery
