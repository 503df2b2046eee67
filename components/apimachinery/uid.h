#pragma once
// Randomness that objects are told apart by: metadata.uid and the suffixes of generated names.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace rusternetes::apimachinery {

// From the kernel's generator; thread-safe.
void fill_random(std::span<std::uint8_t> out);

// A random UUID (RFC 9562, version 4) in lower case: "0b29b1f5-...". Thread-safe.
std::string new_uid();

// `length` characters of kSafeAlphabet, each equally likely. Thread-safe.
std::string random_suffix(std::size_t length = 5);

}  // namespace rusternetes::apimachinery
