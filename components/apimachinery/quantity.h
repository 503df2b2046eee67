#pragma once
// Amounts of resources ("100m", "1.5Gi", "12e6") with Kubernetes' exact arithmetic and canonical text, which
// kubectl and every controller compare as strings (resource.Quantity in the API reference).

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::apimachinery {

enum class QuantityFormat : std::uint8_t { decimal_si, binary_si, decimal_exponent };

// An exact decimal number and the notation it is written in. Usual values are an int64 and a power of ten and
// never allocate; larger or finer ones hold a shared immutable big integer. The smallest step is 1n: finer
// ones are rounded away from zero when parsed.
class Quantity {
 public:
  Quantity() = default;  // 0
  explicit Quantity(std::int64_t value, QuantityFormat format = QuantityFormat::decimal_si)
      : value_(value), format_(format) {}
  // value * 10^scale; `scale` is between -9 and 18.
  static Quantity scaled(std::int64_t value, int scale, QuantityFormat format = QuantityFormat::decimal_si);
  static Quantity milli(std::int64_t value, QuantityFormat format = QuantityFormat::decimal_si) {
    return scaled(value, -3, format);
  }

  // BadRequest with Kubernetes' texts. Unlike Kubernetes, numbers that need more than about 1,000 digits are
  // refused: arithmetic on them would take unbounded time.
  static Result<Quantity> parse(std::string_view text);

  // The text that Kubernetes stores and sends; parsed text that it takes as canonical ("+5", "1.500") is
  // kept.
  std::string to_string() const;
  void append_to(std::string& out) const;
  QuantityFormat format() const { return format_; }

  bool is_zero() const { return sign() == 0; }
  int sign() const;
  // In units and in thousandths, rounded away from zero. Unlike Kubernetes, whose result is then arbitrary,
  // what int64 cannot hold becomes its nearest end: a request for too much must not look like one for
  // nothing.
  std::int64_t value() const { return scaled_value(0); }
  std::int64_t milli_value() const { return scaled_value(-3); }
  std::int64_t scaled_value(int scale) const;
  // The whole number, if it is one written without a fraction and fits.
  std::optional<std::int64_t> as_int64() const;
  double approximate() const;

  // A zero takes the other's format.
  void add(const Quantity& other);
  void sub(const Quantity& other);
  void mul(std::int64_t factor);
  void neg();
  // Rounds away from zero to a multiple of 10^scale; true if nothing was lost.
  bool round_up(int scale);

  // By value: 1Ki equals 1024.
  friend std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) {
    return compare(a, b) <=> 0;
  }
  friend bool operator==(const Quantity& a, const Quantity& b) { return compare(a, b) == 0; }

 private:
  struct Big;
  static int compare(const Quantity& a, const Quantity& b);
  static Result<Quantity> parse_exact(std::string_view number, bool is_binary, int exponent,
                                      QuantityFormat format);
  bool add_small(std::int64_t value, int scale);
  void add_big(const Quantity& other, bool is_subtraction);
  void set_big(Big big, int scale);
  void append_decimal(std::string& out, QuantityFormat format) const;
  void append_binary(std::string& out) const;

  std::int64_t value_ = 0;          // unless big_ is set
  std::shared_ptr<const Big> big_;  // the number is (big_ or value_) * 10^scale_
  std::string text_;                // as parsed, if that counts as canonical
  std::int32_t scale_ = 0;
  QuantityFormat format_ = QuantityFormat::decimal_si;
};

// What a decoder stores for the text of a quantity field: white space around it is dropped.
Result<std::string> canonical_quantity(std::string_view text);

}  // namespace rusternetes::apimachinery
