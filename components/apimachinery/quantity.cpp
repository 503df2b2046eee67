#include "apimachinery/quantity.h"

#include <algorithm>
#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <charconv>
#include <cmath>
#include <limits>

#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {

using boost::multiprecision::cpp_int;

struct Quantity::Big {
  cpp_int number;
};

namespace {

__extension__ typedef __int128 Wide;

constexpr int kNano = -9;
constexpr int kMaxInt64Digits = 18;  // every number of so many digits fits into int64
constexpr int kMaxDigits = 1000;     // of big numbers, see parse()
constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

constexpr auto kPowersOfTen = [] {
  std::array<std::int64_t, 19> powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

constexpr std::string_view kFormatWrong =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr std::string_view kNumeric = "unable to parse numeric part of quantity";
constexpr std::string_view kSuffix = "unable to parse quantity's suffix";

Status bad_quantity(std::string_view message) { return Status(400, "BadRequest", std::string(message)); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Pieces {
  bool is_negative = false;
  std::string_view value;  // sign, digits and point as written
  std::string_view number = "0";
  std::string_view fraction;
  std::string_view suffix;
};

// False if the text does not have the form of a quantity.
bool split(std::string_view text, Pieces& out) {
  const std::size_t end = text.size();
  std::size_t at = 0;
  const auto skip_digits = [&] {
    const std::size_t start = at;
    while (at < end && is_digit(text[at])) ++at;
    return text.substr(start, at - start);
  };
  if (text[0] == '-' || text[0] == '+') {
    out.is_negative = text[0] == '-';
    ++at;
  }
  while (at < end && text[at] == '0') ++at;
  if (at == end) {
    out.value = "0";
    return true;
  }
  if (const auto digits = skip_digits(); !digits.empty()) out.number = digits;
  if (at < end && text[at] == '.') {
    ++at;
    out.fraction = skip_digits();
  }
  out.value = text.substr(0, at);
  const std::size_t suffix_start = at;
  while (at < end && std::string_view("eEinumkKMGTP").find(text[at]) != std::string_view::npos) ++at;
  if (at < end && (text[at] == '-' || text[at] == '+')) ++at;
  skip_digits();
  out.suffix = text.substr(suffix_start);
  return at == end;
}

struct Suffix {
  bool is_binary = false;
  int exponent = 0;
  QuantityFormat format = QuantityFormat::decimal_si;
};

constexpr std::string_view kDecimalSuffixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
constexpr std::string_view kBinarySuffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};

std::optional<Suffix> interpret(std::string_view text) {
  if (text.empty()) return Suffix{};
  for (int i = 0; i < 10; ++i)
    if (text == kDecimalSuffixes[i]) return Suffix{false, 3 * i + kNano, QuantityFormat::decimal_si};
  for (int i = 1; i < 7; ++i)
    if (text == kBinarySuffixes[i]) return Suffix{true, 10 * i, QuantityFormat::binary_si};
  if (text.size() < 2 || (text[0] != 'E' && text[0] != 'e')) return std::nullopt;
  text.remove_prefix(1);
  if (text[0] == '+') {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  std::int64_t exponent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  // Kubernetes keeps the lowest 32 bits.
  return Suffix{false, static_cast<std::int32_t>(exponent), QuantityFormat::decimal_exponent};
}

std::string_view decimal_suffix(int exponent) {
  const int index = (exponent - kNano) / 3;
  return index >= 0 && index < 10 ? kDecimalSuffixes[index] : std::string_view{};
}

void append_int(std::string& out, std::int64_t value) {
  char buffer[24];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, result.ptr);
}

cpp_int power_of_ten(int exponent) {
  return boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(exponent));
}

// The lowest 64 bits of the magnitude, with its sign: what a conversion that ignores overflow yields.
std::int64_t low_bits(const cpp_int& number) {
  const auto magnitude = static_cast<std::uint64_t>(cpp_int(abs(number) & cpp_int(UINT64_MAX)));
  return static_cast<std::int64_t>(number < 0 ? 0 - magnitude : magnitude);
}

// number * 10^-digits, rounded away from zero.
bool shift_right(cpp_int& number, int digits) {
  cpp_int quotient, remainder;
  divide_qr(number, power_of_ten(digits), quotient, remainder);
  if (remainder != 0) quotient += number < 0 ? -1 : 1;
  number = std::move(quotient);
  return remainder == 0;
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

Result<Quantity> Quantity::parse(std::string_view text) {
  Pieces pieces;
  if (text.empty() || !split(text, pieces)) return bad_quantity(kFormatWrong);
  const auto suffix = interpret(pieces.suffix);
  if (!suffix) return bad_quantity(kSuffix);

  const auto digits = static_cast<std::int64_t>(pieces.number.size() + pieces.fraction.size());
  // How many digits are left before int64 may be too small; below zero the number needs a big integer.
  std::int64_t precision = kMaxInt64Digits - digits;
  std::int64_t scale = std::int64_t{suffix->exponent} - static_cast<std::int64_t>(pieces.fraction.size());
  std::int64_t multiplier = 1;
  if (suffix->is_binary) {
    scale = 0;
    multiplier = std::int64_t{1} << suffix->exponent;
    precision = pieces.fraction.empty() ? 14 - digits - suffix->exponent * 3 / 10 : -1;
  }
  if (precision < 0 || scale < kNano)
    return parse_exact(pieces.value, suffix->is_binary, suffix->exponent, suffix->format);

  std::int64_t number = 0;
  for (const char c : pieces.number) number = number * 10 + (c - '0');
  for (const char c : pieces.fraction) number = number * 10 + (c - '0');
  std::int64_t product = 0;
  if (__builtin_mul_overflow(number, multiplier, &product))
    return parse_exact(pieces.value, suffix->is_binary, suffix->exponent, suffix->format);
  if (number == 0) scale = 0;
  if (scale > kMaxDigits) return bad_quantity(kNumeric);

  Quantity out(pieces.is_negative ? -product : product, suffix->format);
  out.scale_ = static_cast<std::int32_t>(scale);
  // Text that no canonical form is shorter than is kept as it is. The test on the leading digit is on the digits as
  // written, so that 0.500 is not kept.
  const bool is_canonical = suffix->is_binary ? (number & 7) != 0
                                              : scale % 3 == 0 && number % 1000 != 0 && pieces.number[0] != '0';
  if (is_canonical) out.text_ = text;
  return out;
}

// The way for numbers that int64 cannot hold exactly: as a big integer in units of 1n.
Result<Quantity> Quantity::parse_exact(std::string_view number, bool is_binary, int exponent,
                                       QuantityFormat format) {
  const bool is_negative = number.starts_with('-');
  if (is_negative || number.starts_with('+')) number.remove_prefix(1);
  const auto point = number.find('.');
  std::string digits(number.substr(0, point));
  std::int64_t scale = is_binary ? 0 : exponent;
  if (point != std::string_view::npos) {
    digits += number.substr(point + 1);
    scale -= static_cast<std::int64_t>(number.size() - point - 1);
  }
  if (digits.empty()) return bad_quantity(kNumeric);
  digits.erase(0, digits.find_first_not_of('0'));
  if (digits.empty()) return Quantity(0, format);
  const auto length = static_cast<std::int64_t>(digits.size());
  if (length > kMaxDigits || length + scale > kMaxDigits) return bad_quantity(kNumeric);

  cpp_int amount(digits);
  if (is_binary) amount <<= exponent;
  if (scale > kNano) {
    amount *= power_of_ten(static_cast<int>(scale - kNano));
  } else if (kNano - scale > length + (is_binary ? 19 : 0)) {  // 2^60 has 19 digits
    amount = 1;
  } else {
    shift_right(amount, static_cast<int>(kNano - scale));
  }
  int result_scale = kNano;
  if (format == QuantityFormat::binary_si) {
    const cpp_int one = power_of_ten(-kNano);
    if (amount > kInt64Max * one) {
      amount = kInt64Max;
      result_scale = 0;
    } else if (amount < one) {
      format = QuantityFormat::decimal_si;
    }
  }
  if (is_negative) amount = -amount;
  Quantity out(0, format);
  out.set_big(Big{std::move(amount)}, result_scale);
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
    if (shift <= 0) return shift_left(result, -shift) ? result : 0;
    shift_right(result, shift);
    return result;
  }
  const cpp_int& number = big_->number;
  const std::int64_t low = low_bits(number);
  if (shift == 0) return low;
  if (shift < 0) {
    const auto factor = static_cast<std::uint64_t>(-shift < 19 ? kPowersOfTen[-shift] : kInt64Min);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) * factor);
  }
  if (number < kInt64Max && shift < 19)
    return low / kPowersOfTen[shift] + (low % kPowersOfTen[shift] != 0 ? 1 : 0);
  cpp_int quotient, remainder;
  divide_qr(number, power_of_ten(shift), quotient, remainder);
  return low_bits(remainder > 0 ? cpp_int(quotient + 1) : quotient);
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
    return order(Wide{a.value_} * kPowersOfTen[a.scale_ - scale], Wide{b.value_} * kPowersOfTen[b.scale_ - scale]);
  const auto aligned = [scale](const Quantity& q) {
    return cpp_int((q.big_ ? q.big_->number : cpp_int(q.value_)) * power_of_ten(q.scale_ - scale));
  };
  return order(aligned(a), aligned(b));
}

namespace {

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string_view trim(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (!is_space(rune.value)) break;
    text.remove_prefix(rune.width);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (!is_space(decode_rune(text.substr(start)).value)) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

}  // namespace

Result<std::string> canonical_quantity(std::string_view text) {
  RN_TRY(const Quantity quantity, Quantity::parse(trim(text)));
  return quantity.to_string();
}

}  // namespace rusternetes::apimachinery
