#pragma once
// The hashes that end up in object names and labels (pod-template-hash, controller revisions).

#include <cstdint>
#include <string>
#include <string_view>

namespace rusternetes::apimachinery {

inline constexpr std::uint32_t kFnv32Basis = 2166136261U;

// FNV-1a and FNV-1 of 32 bits (draft-eastlake-fnv). Pass an earlier result to continue it.
constexpr std::uint32_t fnv1a_32(std::string_view bytes, std::uint32_t hash = kFnv32Basis) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}
constexpr std::uint32_t fnv1_32(std::string_view bytes, std::uint32_t hash = kFnv32Basis) {
  for (const char c : bytes) hash = (hash * 16777619U) ^ static_cast<unsigned char>(c);
  return hash;
}

// Letters and digits that form no words: what random suffixes and encoded hashes consist of.
inline constexpr std::string_view kSafeAlphabet = "bcdfghjklmnpqrstvwxz2456789";

// Each character of ASCII text (a hash in decimal) becomes one of kSafeAlphabet.
std::string safe_encode(std::string_view ascii);
// The label value of a hash: safe_encode of its decimal digits.
std::string safe_encode(std::uint32_t hash);

}  // namespace rusternetes::apimachinery
