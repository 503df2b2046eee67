// What is accepted prints a text that is accepted and prints itself; arithmetic on it neither crashes nor
// hangs.

#include "apimachinery/quantity.h"

#include <cstddef>

using rusternetes::apimachinery::Quantity;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto quantity = Quantity::parse(text);
  if (!quantity) return 0;
  const std::string canonical = quantity->to_string();
  const auto again = Quantity::parse(canonical);
  RN_ASSERT(again && again->to_string() == canonical, "canonical text is not stable");

  Quantity sum = *quantity;
  sum.add(*again);
  sum.sub(*again);
  RN_ASSERT(sum == *quantity, "subtraction does not undo addition");
  Quantity rounded = *quantity;
  rounded.round_up(0);
  RN_ASSERT(quantity->sign() < 0 ? rounded <= *quantity : rounded >= *quantity, "rounded towards zero");
  rounded.mul(quantity->value());
  rounded.neg();
  (void)rounded.to_string();
  (void)quantity->milli_value();
  return 0;
}
