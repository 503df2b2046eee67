#pragma once
// Points in time and durations as the API writes them: RFC 3339 text, microseconds since the epoch inside;
// Go's duration text, nanoseconds inside; and the short durations of kubectl's tables. Parsing accepts and
// refuses what Go's time package does, with its texts, since clients see both.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::apimachinery {

// The zero of Go's time, 0001-01-01T00:00:00Z: a Time that is not set.
inline constexpr std::int64_t kZeroTime_us = -62'135'596'800'000'000;

// metav1.Time: any fraction of a second, finer than microseconds is cut. BadRequest on bad text.
Result<std::int64_t> parse_time(std::string_view text);
// metav1.MicroTime: exactly six digits of fraction.
Result<std::int64_t> parse_micro_time(std::string_view text);

// "2006-01-02T15:04:05Z"; microseconds are cut.
std::string format_time(std::int64_t time_us);
void append_time(std::string& out, std::int64_t time_us);
// "2006-01-02T15:04:05.000000Z"
std::string format_micro_time(std::int64_t time_us);
void append_micro_time(std::string& out, std::int64_t time_us);

inline std::int64_t to_microseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

// "1h0m0s", "-1.5s"; in nanoseconds. BadRequest on bad text or overflow.
Result<std::int64_t> parse_duration(std::string_view text);
std::string format_duration(std::int64_t duration_ns);

// The AGE of kubectl's tables: two units at most ("3d4h"), fewer the longer it is; "<invalid>" below -1 s.
std::string human_duration(std::int64_t duration_ns);
// One unit ("3d").
std::string short_human_duration(std::int64_t duration_ns);

}  // namespace rusternetes::apimachinery
