// Any bytes as the JSON of a Pod: what decodes must print and decode to the same again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/json.h"

using namespace rusternetes::apimachinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Type& type = core_v1::Pod::schema_type();
  Arena arena;
  DecodeIssues issues;
  const auto first = decode_json(arena, {reinterpret_cast<const char*>(data), size}, type, &issues);
  if (!first) return 0;
  std::string text, again;
  encode_json(text, *first, type);
  const auto second = decode_json(arena, text, type);
  if (!second) std::abort();
  encode_json(again, *second, type);
  if (text != again) std::abort();
  return 0;
}
