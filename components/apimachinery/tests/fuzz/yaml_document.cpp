// Any bytes as the YAML of a Pod: what decodes must print as JSON that decodes to the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/json.h"
#include "apimachinery/yaml.h"

using namespace rusternetes::apimachinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Type& type = core_v1::Pod::schema_type();
  Arena arena;
  DecodeIssues issues;
  const auto first = decode_yaml(arena, {reinterpret_cast<const char*>(data), size}, type, &issues);
  if (!first) return 0;
  std::string text, second_text, third_text;
  encode_json(text, *first, type);
  const auto second = decode_json(arena, text, type);
  if (!second) std::abort();
  encode_json(second_text, *second, type);
  const auto third = decode_json(arena, second_text, type);
  if (!third) std::abort();
  encode_json(third_text, *third, type);
  if (second_text != third_text) std::abort();
  return 0;
}
