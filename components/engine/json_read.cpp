#include "engine/json_read.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <limits>

namespace rusternetes::engine {
namespace json = boost::json;

Result<json::value> parse_json(std::string_view text) {
  json::error_code ec;
  json::parse_options options;
  options.max_depth = 64;
  auto value = json::parse(json::string_view(text.data(), text.size()), ec, {}, options);
  if (ec) return internal_error("the engine's answer is not JSON: " + ec.message());
  return value;
}

const json::value& json_at(const json::value& value, std::string_view key) {
  static const json::value null;
  if (!value.is_object()) return null;
  auto* found = value.get_object().if_contains(key);
  return found ? *found : null;
}

std::string json_string(const json::value& value, std::string_view key) {
  const auto& member = json_at(value, key);
  return member.is_string() ? std::string(member.get_string()) : std::string();
}

std::int64_t json_int(const json::value& value, std::string_view key) {
  const auto& member = json_at(value, key);
  if (member.is_int64()) return member.get_int64();
  if (member.is_uint64()) return std::numeric_limits<std::int64_t>::max();
  if (member.is_double()) return static_cast<std::int64_t>(member.get_double());
  return 0;
}

bool json_bool(const json::value& value, std::string_view key) {
  const auto& member = json_at(value, key);
  return member.is_bool() && member.get_bool();
}

std::map<std::string, std::string> json_map(const json::value& value, std::string_view key) {
  std::map<std::string, std::string> out;
  const auto& member = json_at(value, key);
  if (!member.is_object()) return out;
  for (const auto& [name, text] : member.get_object())
    if (text.is_string()) out.emplace(std::string(name), std::string(text.get_string()));
  return out;
}

std::vector<std::string> json_strings(const json::value& value, std::string_view key) {
  std::vector<std::string> out;
  const auto& member = json_at(value, key);
  if (member.is_array()) {
    for (const auto& text : member.get_array())
      if (text.is_string()) out.emplace_back(text.get_string());
  } else if (member.is_string() && !member.get_string().empty()) {
    out.emplace_back(member.get_string());
  }
  return out;
}

json::array to_json(const std::vector<std::string>& values) {
  return json::array(values.begin(), values.end());
}

json::object to_json(const std::map<std::string, std::string>& values) {
  json::object out;
  for (const auto& [key, value] : values) out[key] = value;
  return out;
}

namespace {
// `count` digits at `at`, or -1.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}
}  // namespace

std::int64_t parse_time_ns(std::string_view text) {
  using namespace std::chrono;
  int y = digits(text, 0, 4), mo = digits(text, 5, 2), d = digits(text, 8, 2);
  int h = digits(text, 11, 2), mi = digits(text, 14, 2), s = digits(text, 17, 2);
  // Before 1970 is only ever Go's zero time (year 1) here; after 2262 ns do not fit.
  if (y < 1970 || y > 2261 || mo < 1 || mo > 12 || d < 1 || d > 31 || h < 0 || h > 23 || mi < 0 || mi > 59 ||
      s < 0 || s > 60)
    return 0;
  auto days = sys_days{year{y} / month{static_cast<unsigned>(mo)} / day{static_cast<unsigned>(d)}};
  std::int64_t seconds_total =
      duration_cast<seconds>(days.time_since_epoch()).count() + h * 3600 + mi * 60 + s;
  std::size_t at = 19;
  std::int64_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t scale = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      fraction += (text[at] - '0') * scale;
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    int oh = digits(text, at + 1, 2), om = digits(text, at + 4, 2);
    if (oh < 0 || om < 0) return 0;
    std::int64_t offset = oh * 3600 + om * 60;
    seconds_total += text[at] == '+' ? -offset : offset;
  }
  return seconds_total * 1'000'000'000 + fraction;
}

}  // namespace rusternetes::engine
