#pragma once
// What parsing and arithmetic of quantities share; included by quantity*.cpp alone.

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <limits>
#include <string_view>

#include "apimachinery/quantity.h"

namespace rusternetes::apimachinery {

using boost::multiprecision::cpp_int;

struct Quantity::Big {
  cpp_int number;
};

namespace quantity_parts {

inline constexpr int kNano = -9;
inline constexpr int kMaxInt64Digits = 18;  // every number of so many digits fits into int64
inline constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

inline constexpr std::string_view kDecimalSuffixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
inline constexpr std::string_view kBinarySuffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};

inline cpp_int power_of_ten(int exponent) {
  return boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(exponent));
}

// number * 10^-digits, rounded away from zero.
inline bool shift_right(cpp_int& number, int digits) {
  cpp_int quotient, remainder;
  divide_qr(number, power_of_ten(digits), quotient, remainder);
  if (remainder != 0) quotient += number < 0 ? -1 : 1;
  number = std::move(quotient);
  return remainder == 0;
}

}  // namespace quantity_parts
}  // namespace rusternetes::apimachinery
