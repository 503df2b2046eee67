// The text form of quantities.

#include <charconv>

#include "apimachinery/quantity_parts.h"
#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {

using namespace quantity_parts;

namespace {

constexpr int kMaxDigits = 1000;  // of a number that is not rounded, see parse()

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

}  // namespace

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
  if (scale > 0 && digits + scale > kMaxDigits) return bad_quantity(kNumeric);

  Quantity out(pieces.is_negative ? -product : product, suffix->format);
  out.scale_ = static_cast<std::int32_t>(scale);
  // Text that no canonical form is shorter than is kept as it is. The test on the leading digit is on the
  // digits as written, so that 0.500 is not kept.
  const bool is_canonical =
      suffix->is_binary ? (number & 7) != 0 : scale % 3 == 0 && number % 1000 != 0 && pieces.number[0] != '0';
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
  const std::size_t significant = digits.find_last_not_of('0') + 1;
  scale += static_cast<std::int64_t>(digits.size() - significant);
  digits.resize(significant);
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

namespace {

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
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
