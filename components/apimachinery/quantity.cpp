#include "apimachinery/quantity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "apimachinery/quantity_parts.h"

namespace rusternetes::apimachinery {

using namespace quantity_parts;

namespace {

__extension__ typedef __int128 Wide;

constexpr auto kPowersOfTen = [] {
  std::array<std::int64_t, 19> powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

std::string_view decimal_suffix(int exponent) {
  const int index = (exponent - kNano) / 3;
  return index >= 0 && index < 10 ? kDecimalSuffixes[index] : std::string_view{};
}

void append_int(std::string& out, std::int64_t value) {
  char buffer[24];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, result.ptr);
}

// value * 10^-digits, rounded away from zero.
bool shift_right(std::int64_t& value, int digits) {
  const std::int64_t quotient = digits < 19 ? value / kPowersOfTen[digits] : 0;
  const bool is_exact = digits < 19 ? value % kPowersOfTen[digits] == 0 : value == 0;
  const std::int64_t away = value < 0 ? -1 : 1;
  value = is_exact ? quotient : quotient + away;
  return is_exact;
}

bool shift_left(std::int64_t& value, int digits) {
  if (value == 0) return true;
  return digits < 19 && !__builtin_mul_overflow(value, kPowersOfTen[digits], &value);
}

// Moves factors of `base` out of the number; returns how many there were.
template <class Number>
int remove_factors(Number& number, int base) {
  int times = 0;
  while (number != 0 && number % base == 0) {
    number /= base;
    ++times;
  }
  return times;
}

}  // namespace

Quantity Quantity::scaled(std::int64_t value, int scale, QuantityFormat format) {
  RN_ASSERT(scale >= kNano && scale <= kMaxInt64Digits, "scale of a quantity out of range");
  Quantity out(value, format);
  out.scale_ = scale;
  return out;
}

void Quantity::set_big(Big big, int scale) {
  big_ = std::make_shared<const Big>(std::move(big));
  value_ = 0;
  scale_ = scale;
}

int Quantity::sign() const {
  if (big_) return big_->number.sign();
  return (value_ > 0) - (value_ < 0);
}

std::string Quantity::to_string() const {
  if (!text_.empty()) return text_;
  std::string out;
  append_to(out);
  return out;
}

void Quantity::append_to(std::string& out) const {
  if (!text_.empty()) {
    out += text_;
  } else if (is_zero()) {
    out += '0';
  } else if (format_ != QuantityFormat::binary_si) {
    append_decimal(out, format_);
  } else {
    // Small numbers and fractions are not written in powers of two: that would round them.
    Quantity rounded = *this;
    const bool is_small = *this > Quantity(-1024) && *this < Quantity(1024);
    if (is_small || !rounded.round_up(0))
      append_decimal(out, QuantityFormat::decimal_si);
    else
      rounded.append_binary(out);
  }
}

void Quantity::append_decimal(std::string& out, QuantityFormat format) const {
  int exponent = scale_;
  const auto adjust = [&exponent](auto& number) {
    exponent += remove_factors(number, 10);
    for (; exponent % 3 != 0; --exponent) number *= 10;
  };
  if (big_) {
    cpp_int number = big_->number;
    adjust(number);
    out += number.str();
  } else {
    Wide number = value_;
    adjust(number);
    if (number >= kInt64Min && number <= kInt64Max)
      append_int(out, static_cast<std::int64_t>(number));
    else
      out += cpp_int(number).str();
  }
  if (format == QuantityFormat::decimal_si) {
    // Beyond the last suffix Kubernetes writes none, which changes the number; so must we.
    out += decimal_suffix(exponent);
  } else if (exponent != 0) {
    out += 'e';
    append_int(out, exponent);
  }
}

// Of a whole number, whose scale is not negative. Beyond "Ei", as above, there is no suffix.
void Quantity::append_binary(std::string& out) const {
  std::int64_t small = value_;
  int exponent = 0;
  if (!big_ && shift_left(small, scale_)) {
    exponent = remove_factors(small, 1024);
    append_int(out, small);
  } else {
    cpp_int number = (big_ ? big_->number : cpp_int(value_)) * power_of_ten(scale_);
    exponent = remove_factors(number, 1024);
    out += number.str();
  }
  if (exponent < 7) out += kBinarySuffixes[exponent];
}

std::int64_t Quantity::scaled_value(int scale) const {
  const int shift = scale - scale_;
  if (!big_) {
    std::int64_t result = value_;
    if (shift > 0)
      shift_right(result, shift);
    else if (!shift_left(result, -shift))
      return value_ < 0 ? kInt64Min : kInt64Max;
    return result;
  }
  cpp_int number = big_->number;
  if (shift > 0)
    shift_right(number, shift);
  else
    number *= power_of_ten(-shift);
  if (number > kInt64Max) return kInt64Max;
  return number < kInt64Min ? kInt64Min : static_cast<std::int64_t>(number);
}

std::optional<std::int64_t> Quantity::as_int64() const {
  std::int64_t result = value_;
  if (big_ || scale_ < 0 || !shift_left(result, scale_)) return std::nullopt;
  return result;
}

double Quantity::approximate() const {
  const double base = big_ ? big_->number.convert_to<double>() : static_cast<double>(value_);
  return scale_ == 0 ? base : base * std::pow(10.0, scale_);
}

// False, and nothing changed, if the sum does not fit.
bool Quantity::add_small(std::int64_t value, int scale) {
  if (value == 0) return true;
  if (value_ == 0) {
    value_ = value;
    scale_ = scale;
    return true;
  }
  std::int64_t own = value_;
  if (!shift_left(scale_ > scale ? own : value, std::abs(scale_ - scale))) return false;
  if (__builtin_add_overflow(own, value, &own)) return false;
  value_ = own;
  scale_ = std::min<int>(scale_, scale);
  return true;
}

void Quantity::add_big(const Quantity& other, bool is_subtraction) {
  const int scale = std::min(scale_, other.scale_);
  const auto aligned = [scale](const Quantity& q) {
    return cpp_int((q.big_ ? q.big_->number : cpp_int(q.value_)) * power_of_ten(q.scale_ - scale));
  };
  cpp_int result = aligned(*this);
  if (is_subtraction)
    result -= aligned(other);
  else
    result += aligned(other);
  set_big(Big{std::move(result)}, scale);
}

void Quantity::add(const Quantity& other) {
  text_.clear();
  if (is_zero()) format_ = other.format_;
  if (!big_ && !other.big_ && add_small(other.value_, other.scale_)) return;
  add_big(other, false);
}

void Quantity::sub(const Quantity& other) {
  text_.clear();
  if (is_zero()) format_ = other.format_;
  if (!big_ && !other.big_ && other.value_ != kInt64Min && add_small(-other.value_, other.scale_)) return;
  add_big(other, true);
}

void Quantity::mul(std::int64_t factor) {
  text_.clear();
  std::int64_t product = 0;
  if (!big_ && !__builtin_mul_overflow(value_, factor, &product))
    value_ = product;
  else
    set_big(Big{(big_ ? big_->number : cpp_int(value_)) * factor}, scale_);
}

void Quantity::neg() {
  text_.clear();
  if (big_)
    set_big(Big{-big_->number}, scale_);
  else if (value_ == kInt64Min)
    set_big(Big{-cpp_int(value_)}, scale_);
  else
    value_ = -value_;
}

bool Quantity::round_up(int scale) {
  if (scale_ >= scale) return true;
  text_.clear();
  bool is_exact = false;
  if (big_) {
    cpp_int number = big_->number;
    is_exact = shift_right(number, scale - scale_);
    set_big(Big{std::move(number)}, scale);
  } else {
    is_exact = shift_right(value_, scale - scale_);
    scale_ = scale;
  }
  return is_exact;
}

int Quantity::compare(const Quantity& a, const Quantity& b) {
  const auto order = [](const auto& x, const auto& y) { return (x > y) - (x < y); };
  if (const int a_sign = a.sign(), b_sign = b.sign(); a_sign != b_sign || a_sign == 0)
    return order(a_sign, b_sign);
  const int scale = std::min(a.scale_, b.scale_);
  if (!a.big_ && !b.big_ && a.scale_ - scale < 19 && b.scale_ - scale < 19)
    return order(Wide{a.value_} * kPowersOfTen[a.scale_ - scale],
                 Wide{b.value_} * kPowersOfTen[b.scale_ - scale]);
  const auto aligned = [scale](const Quantity& q) {
    return cpp_int((q.big_ ? q.big_->number : cpp_int(q.value_)) * power_of_ten(q.scale_ - scale));
  };
  return order(aligned(a), aligned(b));
}

}  // namespace rusternetes::apimachinery
