// A document and a merge patch, one behind the other with a zero byte between: inputs stay as they were, and
// what results prints.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "apimachinery/any_patch.h"
#include "apimachinery/json.h"

using namespace rusternetes::apimachinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto middle = input.find('\0');
  if (middle == std::string_view::npos) return 0;
  const std::pair halves(input.substr(0, middle), input.substr(middle + 1));
  Arena arena;
  const auto document = decode_json_any(arena, halves.first);
  if (!document) return 0;
  const Value before = deep_copy(arena, *document);
  DecodeIssues issues;
  const auto result = apply_merge_patch_text(arena, *document, halves.second, &issues);
  if (!equal(before, *document)) std::abort();
  std::string text;
  if (result) encode_json_any(text, *result);
  return 0;
}
