// The durations of time.h.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apimachinery/quote.h"
#include "apimachinery/time.h"

namespace rusternetes::apimachinery {
namespace {

bool is_digit(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

struct Unit {
  std::string_view name;
  std::uint64_t duration_ns;
};
constexpr std::uint64_t kMinute_ns = 60'000'000'000;
constexpr Unit kUnits[] = {{"ns", 1},
                           {"us", 1'000},
                           {"\xC2\xB5s", 1'000},  // micro sign
                           {"\xCE\xBCs", 1'000},  // Greek letter mu
                           {"ms", 1'000'000},
                           {"s", 1'000'000'000},
                           {"m", kMinute_ns},
                           {"h", 60 * kMinute_ns}};
constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;

// The digits at the start of `text`, which they are taken off; nullopt above 2^63.
std::optional<std::uint64_t> take_integer(std::string_view& text) {
  std::uint64_t value = 0;
  while (is_digit(text, 0)) {
    if (value > kLimit / 10) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(text[0] - '0');
    if (value > kLimit) return std::nullopt;
    text.remove_prefix(1);
  }
  return value;
}

struct Fraction {
  std::uint64_t digits = 0;
  double scale = 1;
};

// Digits that do not fit any more are dropped.
Fraction take_fraction(std::string_view& text) {
  Fraction out;
  bool is_full = false;
  for (; is_digit(text, 0); text.remove_prefix(1)) {
    if (is_full || out.digits > (kLimit - 1) / 10) {
      is_full = true;
      continue;
    }
    const std::uint64_t next = out.digits * 10 + static_cast<std::uint64_t>(text[0] - '0');
    if (next > kLimit) {
      is_full = true;
      continue;
    }
    out.digits = next;
    out.scale *= 10;
  }
  return out;
}

// One number with its unit, in nanoseconds; an empty message means "invalid duration".
boost::system::result<std::uint64_t, std::string> take_term(std::string_view& text) {
  if (!is_digit(text, 0) && text[0] != '.') return std::string();
  const std::size_t before = text.size();
  const auto whole = take_integer(text);
  if (!whole) return std::string();
  bool has_digits = text.size() != before;
  Fraction fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::size_t after_point = text.size();
    fraction = take_fraction(text);
    has_digits |= text.size() != after_point;
  }
  if (!has_digits) return std::string();
  const std::string_view name = text.substr(0, text.find_first_of(".0123456789"));
  if (name.empty()) return std::string("missing unit in duration");
  text.remove_prefix(name.size());
  const auto* unit = std::ranges::find(kUnits, name, &Unit::name);
  if (unit == std::end(kUnits)) return fmt::format("unknown unit {} in duration", quote_ascii(name));
  if (*whole > kLimit / unit->duration_ns) return std::string();
  std::uint64_t value = *whole * unit->duration_ns;
  if (fraction.digits > 0) {
    const double part =
        static_cast<double>(fraction.digits) * (static_cast<double>(unit->duration_ns) / fraction.scale);
    value += static_cast<std::uint64_t>(part);
    if (value > kLimit) return std::string();
  }
  return value;
}

// value / 10^digits without trailing zeros.
void append_decimal(std::string& out, std::uint64_t value, int digits) {
  std::uint64_t unit = 1;
  for (int i = 0; i < digits; ++i) unit *= 10;
  out += std::to_string(value / unit);
  std::uint64_t rest = value % unit;
  if (rest == 0) return;
  out += '.';
  for (; rest != 0; rest %= unit) {
    unit /= 10;
    out += static_cast<char>('0' + rest / unit);
  }
}

constexpr std::int64_t kSecond_ns = 1'000'000'000;
constexpr std::int64_t kDay = 86'400;  // in seconds

// "1d2h", or "1d" if the second is nothing.
std::string two_units(std::int64_t first, char first_unit, std::int64_t second, char second_unit) {
  std::string out = std::to_string(first) + first_unit;
  if (second != 0) out += std::to_string(second) + second_unit;
  return out;
}

}  // namespace

Result<std::int64_t> parse_duration(std::string_view text) {
  const auto fail = [text](std::string_view message) {
    return Status(
        400, "BadRequest",
        fmt::format("time: {} {}", message.empty() ? "invalid duration" : message, quote_ascii(text)));
  };
  std::string_view rest = text;
  const bool is_negative = rest.starts_with('-');
  if (is_negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  if (rest.empty()) return fail("");
  std::uint64_t total = 0;
  while (!rest.empty()) {
    const auto term = take_term(rest);
    if (!term) return fail(term.error());
    total += *term;
    if (total > kLimit) return fail("");
  }
  if (is_negative) return static_cast<std::int64_t>(0 - total);
  if (total == kLimit) return fail("");
  return static_cast<std::int64_t>(total);
}

std::string format_duration(std::int64_t duration_ns) {
  auto rest = static_cast<std::uint64_t>(duration_ns);
  std::string out;
  if (duration_ns < 0) {
    out += '-';
    rest = 0 - rest;
  }
  if (rest == 0) return "0s";
  if (rest < 1'000'000'000) {
    const int digits = rest < 1'000 ? 0 : rest < 1'000'000 ? 3 : 6;
    append_decimal(out, rest, digits);
    return out + (digits == 0 ? "ns" : digits == 3 ? "\xC2\xB5s" : "ms");
  }
  const std::uint64_t minutes = rest / kMinute_ns;
  if (minutes >= 60) out += std::to_string(minutes / 60) + 'h';
  if (minutes > 0) out += std::to_string(minutes % 60) + 'm';
  append_decimal(out, rest % kMinute_ns, 9);
  return out + 's';
}

std::string human_duration(std::int64_t duration_ns) {
  const std::int64_t seconds = duration_ns / kSecond_ns;
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return std::to_string(seconds) + 's';
  const std::int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (minutes < 10) return two_units(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return std::to_string(minutes) + 'm';
  if (hours < 8) return two_units(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return std::to_string(hours) + 'h';
  if (hours < 24 * 8) return two_units(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return std::to_string(days) + 'd';
  if (days < 365 * 8) return two_units(days / 365, 'y', days % 365, 'd');
  return std::to_string(days / 365) + 'y';
}

std::string short_human_duration(std::int64_t duration_ns) {
  const std::int64_t seconds = duration_ns / kSecond_ns;
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60) return std::to_string(seconds) + 's';
  if (seconds < 3600) return std::to_string(seconds / 60) + 'm';
  if (seconds < kDay) return std::to_string(seconds / 3600) + 'h';
  const std::int64_t days = seconds / kDay;
  return days < 365 ? std::to_string(days) + 'd' : std::to_string(days / 365) + 'y';
}

}  // namespace rusternetes::apimachinery
