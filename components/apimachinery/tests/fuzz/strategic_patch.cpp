// A document and a strategic merge patch of a Pod, one behind the other with a zero byte between: inputs stay
// as they were, and what results prints.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/json.h"
#include "apimachinery/strategic_patch.h"

using namespace rusternetes::apimachinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto middle = input.find('\0');
  if (middle == std::string_view::npos) return 0;
  const std::pair halves(input.substr(0, middle), input.substr(middle + 1));
  Arena arena;
  const auto document = decode_json_any(arena, halves.first);
  const auto patch = decode_json_any(arena, halves.second);
  if (!document || !patch) return 0;
  const Value before = deep_copy(arena, *document), asked = deep_copy(arena, *patch);
  const auto result = apply_strategic_patch(arena, *document, *patch, core_v1::Pod::schema_type());
  if (!equal(before, *document) || !equal(asked, *patch)) std::abort();
  std::string text;
  if (result) encode_json_any(text, *result);
  return 0;
}
