// Two FieldsV1 texts with a zero byte between: what parses prints and parses to the same set (once invalid
// UTF-8 has been replaced), and the operations keep the laws of sets.
#include "apimachinery/field_set.h"

#include <cstdint>
#include <cstdlib>
#include <string>

using namespace rusternetes::apimachinery;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto middle = input.find('\0');
  Arena arena;
  const auto a = parse_fields_v1(arena, input.substr(0, middle));
  if (!a) return 0;
  std::string first, second, third;
  append_fields_v1(first, *a);
  const auto back = parse_fields_v1(arena, first);
  if (!back) std::abort();
  append_fields_v1(second, *back);
  const auto again = parse_fields_v1(arena, second);
  if (!again || !equal(*back, *again)) std::abort();
  append_fields_v1(third, *again);
  if (second != third) std::abort();

  if (middle == std::string_view::npos) return 0;
  const auto b = parse_fields_v1(arena, input.substr(middle + 1));
  if (!b) return 0;
  const FieldSet common = intersect(arena, *a, *b), rest = subtract(arena, *a, *b);
  if (common.count() + rest.count() != a->count()) std::abort();
  if (!equal(unite(arena, common, rest), *a)) std::abort();
  if (unite(arena, *a, *b).count() != rest.count() + b->count()) std::abort();
  if (subtract_recursive(arena, *a, *b).count() > rest.count()) std::abort();
  if (leaves(arena, *a).count() > a->count()) std::abort();
  return 0;
}
