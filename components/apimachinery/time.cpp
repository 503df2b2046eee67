#include "apimachinery/time.h"

#include <fmt/format.h>

#include <optional>

#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

constexpr std::int64_t kSecond_us = 1'000'000;
constexpr std::int64_t kDay_s = 86'400;

bool is_digit(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

Status bad_text(std::string message) { return Status(400, "BadRequest", std::move(message)); }

bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int days_in(int month, int year) {
  constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

// Days since 1970-01-01 in the proleptic Gregorian calendar. The year starts in March, so that the leap day
// is last.
std::int64_t days_from_civil(std::int64_t year, int month, int day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

struct Civil {
  std::int64_t year;
  int month, day;
};

Civil civil_from_days(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t day_of_era = days - era * 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int shifted_month = static_cast<int>((5 * day_of_year + 2) / 153);
  const int day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  const int month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {year_of_era + era * 400 + (month <= 2), month, day};
}

// Reads a time element by element, and remembers where and why it failed.
class TimeParser {
 public:
  TimeParser(std::string_view text, bool is_micro) : text_(text), rest_(text), is_micro_(is_micro) {}

  Result<std::int64_t> parse() {
    const bool ok = year() && literal("-") && field(month_, "01", true, 1, 12, "month") && literal("-") &&
                    field(day_, "02", true, 0, 99, "") && literal("T") &&
                    field(hour_, "15", false, 0, 23, "hour") && literal(":") &&
                    field(minute_, "04", true, 0, 59, "minute") && literal(":") &&
                    field(second_, "05", true, 0, 59, "second") && fraction() && zone();
    if (!ok) return bad_text(std::move(error_));
    if (!rest_.empty()) return out_of_range("extra text: " + quote_ascii(rest_));
    if (day_ < 1 || day_ > days_in(month_, year_)) return out_of_range("day out of range");
    const std::int64_t days = days_from_civil(year_, month_, day_);
    const std::int64_t seconds = days * kDay_s + hour_ * 3600 + minute_ * 60 + second_ - offset_s_;
    return seconds * kSecond_us + fraction_us_;
  }

 private:
  Status out_of_range(std::string_view what) {
    return bad_text(fmt::format("parsing time {}: {}", quote_ascii(text_), what));
  }
  bool fail_range(std::string_view what) {
    error_ = out_of_range(fmt::format("{} out of range", what)).message;
    return false;
  }
  bool fail(std::string_view element) {
    error_ =
        fmt::format("parsing time {} as \"2006-01-02T15:04:05{}Z07:00\": cannot parse {} as {}",
                    quote_ascii(text_), is_micro_ ? ".000000" : "", quote_ascii(rest_), quote_ascii(element));
    return false;
  }

  bool literal(std::string_view expected) {
    if (!rest_.starts_with(expected)) return fail(expected);
    rest_.remove_prefix(expected.size());
    return true;
  }

  bool year() {
    for (std::size_t i = 0; i < 4; ++i) {
      if (!is_digit(rest_, i)) return fail("2006");
      year_ = year_ * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(4);
    return true;
  }

  // Two digits; or one, unless `is_fixed`.
  bool field(int& value, std::string_view element, bool is_fixed, int low, int high, std::string_view name) {
    if (!is_digit(rest_, 0) || (is_fixed && !is_digit(rest_, 1))) return fail(element);
    value = rest_[0] - '0';
    const bool is_double = is_digit(rest_, 1);
    if (is_double) value = value * 10 + (rest_[1] - '0');
    rest_.remove_prefix(is_double ? 2 : 1);
    return (value >= low && value <= high) || fail_range(name);
  }

  bool fraction() {
    const bool is_present = !rest_.empty() && (rest_[0] == '.' || rest_[0] == ',') && is_digit(rest_, 1);
    if (!is_present) return !is_micro_ || fail(".000000");
    std::size_t end = 1;
    for (int digits = 0; is_micro_ ? digits < 6 : is_digit(rest_, end); ++end, ++digits) {
      if (!is_digit(rest_, end)) return fail(".000000");
      if (digits < 6) fraction_us_ = fraction_us_ * 10 + (rest_[end] - '0');
    }
    for (std::size_t digits = end - 1; digits < 6; ++digits) fraction_us_ *= 10;
    rest_.remove_prefix(end);
    return true;
  }

  bool zone() {
    if (rest_.starts_with('Z')) {
      rest_.remove_prefix(1);
      return true;
    }
    if (rest_.size() < 6 || rest_[3] != ':') return fail("Z07:00");
    const auto number = [this](std::size_t at) {
      return is_digit(rest_, at) && is_digit(rest_, at + 1)
                 ? std::optional((rest_[at] - '0') * 10 + (rest_[at + 1] - '0'))
                 : std::nullopt;
    };
    const auto hours = number(1);
    const auto minutes = hours ? number(4) : std::nullopt;
    // 24 hours and 60 minutes are accepted, as some write them.
    if (minutes.value_or(0) > 60) return fail_range("time zone offset minute");
    if (hours.value_or(0) > 24) return fail_range("time zone offset hour");
    if (!minutes || (rest_[0] != '+' && rest_[0] != '-')) return fail("Z07:00");
    offset_s_ = (*hours * 60 + *minutes) * 60;
    if (rest_[0] == '-') offset_s_ = -offset_s_;
    rest_.remove_prefix(6);
    return true;
  }

  std::string_view text_;
  std::string_view rest_;
  bool is_micro_;
  std::string error_;
  int year_ = 0, month_ = 0, day_ = 0, hour_ = 0, minute_ = 0, second_ = 0, offset_s_ = 0;
  std::int64_t fraction_us_ = 0;
};

void append_digits(std::string& out, std::int64_t value, int width) {
  char digits[20];
  int length = 0;
  do {
    digits[length++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value > 0);
  while (length < width) digits[length++] = '0';
  while (length > 0) out += digits[--length];
}

void append_seconds(std::string& out, std::int64_t seconds) {
  const std::int64_t days = (seconds >= 0 ? seconds : seconds - kDay_s + 1) / kDay_s;
  const std::int64_t of_day = seconds - days * kDay_s;
  const Civil civil = civil_from_days(days);
  if (civil.year < 0) out += '-';
  append_digits(out, civil.year < 0 ? -civil.year : civil.year, 4);
  const std::int64_t fields[] = {civil.month, civil.day, of_day / 3600, of_day / 60 % 60, of_day % 60};
  for (int i = 0; i < 5; ++i) {
    out += "--T::"[i];
    append_digits(out, fields[i], 2);
  }
}

std::int64_t floor_seconds(std::int64_t time_us) {
  return time_us / kSecond_us - (time_us % kSecond_us < 0 ? 1 : 0);
}

}  // namespace

Result<std::int64_t> parse_time(std::string_view text) { return TimeParser(text, false).parse(); }
Result<std::int64_t> parse_micro_time(std::string_view text) { return TimeParser(text, true).parse(); }

void append_time(std::string& out, std::int64_t time_us) {
  append_seconds(out, floor_seconds(time_us));
  out += 'Z';
}

void append_micro_time(std::string& out, std::int64_t time_us) {
  const std::int64_t seconds = floor_seconds(time_us);
  append_seconds(out, seconds);
  out += '.';
  append_digits(out, (time_us % kSecond_us + kSecond_us) % kSecond_us, 6);  // seconds * kSecond_us may not fit
  out += 'Z';
}

std::string format_time(std::int64_t time_us) {
  std::string out;
  out.reserve(20);
  append_time(out, time_us);
  return out;
}

std::string format_micro_time(std::int64_t time_us) {
  std::string out;
  out.reserve(27);
  append_micro_time(out, time_us);
  return out;
}

}  // namespace rusternetes::apimachinery
