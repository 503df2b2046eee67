#include "apimachinery/time.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {
std::string error_of(const Result<std::int64_t>& result) { return result ? "" : result.error().message; }
constexpr std::int64_t kSecond = 1'000'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute,
                       kDay = 24 * kHour;
}  // namespace

TEST_CASE("RFC 3339 times are read to microseconds") {
  CHECK(parse_time("1970-01-01T00:00:00Z").value() == 0);
  CHECK(parse_time("2006-01-02T15:04:05Z").value() == 1136214245000000);
  CHECK(parse_time("2006-01-02T15:04:05.123456789Z").value() == 1136214245123456);
  CHECK(parse_time("2006-01-02T15:04:05,5Z").value() == 1136214245500000);
  CHECK(parse_time("2024-02-29T23:59:59+05:30").value() == 1709231399000000);
  CHECK(parse_time("1969-12-31T23:59:59.999999-00:00").value() == -1);
  CHECK(parse_time("2006-01-02T3:04:05Z").value() == 1136171045000000);
  CHECK(parse_time("2006-01-02T15:04:05-24:60").value() == 1136304245000000);
  CHECK(parse_time("0001-01-01T00:00:00Z").value() == kZeroTime_us);
  CHECK(parse_time("9999-12-31T23:59:59Z").value() == 253402300799000000);
}

TEST_CASE("a bad time is refused with Go's text") {
  const auto as = [](std::string_view value, std::string_view rest, std::string_view element) {
    return "parsing time \"" + std::string(value) + "\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"" +
           std::string(rest) + "\" as \"" + std::string(element) + "\"";
  };
  CHECK(error_of(parse_time("x")) == as("x", "x", "2006"));
  CHECK(error_of(parse_time("")) == as("", "", "2006"));
  CHECK(error_of(parse_time("2006-1-02T15:04:05Z")) == as("2006-1-02T15:04:05Z", "1-02T15:04:05Z", "01"));
  CHECK(error_of(parse_time("2006-01-02 15:04:05Z")) == as("2006-01-02 15:04:05Z", " 15:04:05Z", "T"));
  CHECK(error_of(parse_time("2006-01-02T15:04:05")) == as("2006-01-02T15:04:05", "", "Z07:00"));
  CHECK(error_of(parse_time("\xC3\xA9\"")) == as("\\xc3\\xa9\\\"", "\\xc3\\xa9\\\"", "2006"));
  CHECK(error_of(parse_time("2006-13-02T15:04:05Z")) ==
        "parsing time \"2006-13-02T15:04:05Z\": month out of range");
  CHECK(error_of(parse_time("2023-02-29T00:00:00Z")) ==
        "parsing time \"2023-02-29T00:00:00Z\": day out of range");
  CHECK(error_of(parse_time("2006-01-02T24:04:05Z")) ==
        "parsing time \"2006-01-02T24:04:05Z\": hour out of range");
  CHECK(error_of(parse_time("2006-01-02T15:04:05+25:00")) ==
        "parsing time \"2006-01-02T15:04:05+25:00\": time zone offset hour out of range");
  CHECK(error_of(parse_time("2006-01-02T15:04:05Zx")) ==
        "parsing time \"2006-01-02T15:04:05Zx\": extra text: \"x\"");
}

TEST_CASE("a MicroTime has exactly six digits of fraction") {
  CHECK(parse_micro_time("2006-01-02T15:04:05.123456Z").value() == 1136214245123456);
  CHECK(
      error_of(parse_micro_time("2006-01-02T15:04:05Z")) ==
      "parsing time \"2006-01-02T15:04:05Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as "
      "\".000000\"");
  CHECK(!parse_micro_time("2006-01-02T15:04:05.12345Z"));
  CHECK(!parse_micro_time("2006-01-02T15:04:05.1234567Z"));
}

TEST_CASE("times are printed in UTC, also before the epoch and beyond four digits of years") {
  CHECK(format_time(1136214245999999) == "2006-01-02T15:04:05Z");
  CHECK(format_micro_time(1136214245000042) == "2006-01-02T15:04:05.000042Z");
  CHECK(format_time(-1) == "1969-12-31T23:59:59Z");
  CHECK(format_micro_time(-1) == "1969-12-31T23:59:59.999999Z");
  CHECK(format_time(kZeroTime_us) == "0001-01-01T00:00:00Z");
  CHECK(format_time(951782400000000) == "2000-02-29T00:00:00Z");
  CHECK(format_time(INT64_MAX) == "294247-01-10T04:00:54Z");
  CHECK(format_micro_time(INT64_MIN) == "-290308-12-21T19:59:05.224192Z");
}

TEST_CASE("every day of eight centuries is printed as it is read") {
  for (std::int64_t day = -146'097; day < 146'097; ++day) {
    const std::int64_t time_us = day * 86'400'000'000;
    if (parse_time(format_time(time_us)).value() != time_us) FAIL_CHECK(format_time(time_us));
  }
}

TEST_CASE("durations are read and printed as Go does") {
  CHECK(parse_duration("1h0m0s").value() == kHour);
  CHECK(parse_duration("-1.5h").value() == -90 * kMinute);
  CHECK(parse_duration("1.5s").value() == 1'500'000'000);
  CHECK(parse_duration("+0").value() == 0);
  CHECK(parse_duration("1\xC2\xB5s").value() == 1000);
  CHECK(parse_duration(".5m1.5ms").value() == 30'001'500'000);
  CHECK(parse_duration("-9223372036854775808ns").value() == INT64_MIN);
  CHECK(error_of(parse_duration("9223372036854775808ns")) ==
        "time: invalid duration \"9223372036854775808ns\"");
  CHECK(error_of(parse_duration("")) == "time: invalid duration \"\"");
  CHECK(error_of(parse_duration("5")) == "time: missing unit in duration \"5\"");
  CHECK(error_of(parse_duration("5d")) == "time: unknown unit \"d\" in duration \"5d\"");
  CHECK(error_of(parse_duration(".s")) == "time: invalid duration \".s\"");

  CHECK(format_duration(0) == "0s");
  CHECK(format_duration(kHour) == "1h0m0s");
  CHECK(format_duration(100 * kHour + 1) == "100h0m0.000000001s");
  CHECK(format_duration(-1'500'000'000) == "-1.5s");
  CHECK(format_duration(5) == "5ns");
  CHECK(format_duration(1'100) == "1.1\xC2\xB5s");
  CHECK(format_duration(300'000'000) == "300ms");
  CHECK(format_duration(INT64_MIN) == "-2562047h47m16.854775808s");
}

TEST_CASE("ages are printed as in kubectl's tables") {
  const std::tuple<std::int64_t, const char*, const char*> cases[] = {
      {-2 * kSecond, "<invalid>", "<invalid>"},
      {-kSecond, "0s", "0s"},
      {0, "0s", "0s"},
      {119 * kSecond, "119s", "1m"},
      {120 * kSecond, "2m", "2m"},
      {125 * kSecond, "2m5s", "2m"},
      {10 * kMinute + kSecond, "10m", "10m"},
      {179 * kMinute, "179m", "2h"},
      {3 * kHour, "3h", "3h"},
      {3 * kHour + kMinute, "3h1m", "3h"},
      {8 * kHour + kMinute, "8h", "8h"},
      {47 * kHour, "47h", "1d"},
      {48 * kHour, "2d", "2d"},
      {76 * kHour, "3d4h", "3d"},
      {8 * kDay + kHour, "8d", "8d"},
      {729 * kDay, "729d", "1y"},
      {730 * kDay, "2y", "2y"},
      {731 * kDay, "2y1d", "2y"},
      {2920 * kDay, "8y", "8y"}};
  for (const auto& [duration, human, brief] : cases) {
    INFO(duration);
    CHECK(human_duration(duration) == human);
    CHECK(short_human_duration(duration) == brief);
  }
}
