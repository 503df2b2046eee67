#include "rhino/flags_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

namespace rusternetes::rhino {

std::optional<std::chrono::nanoseconds> parse_go_duration(std::string_view text) {
  // Micro is written with a u, with the micro sign or with a Greek mu.
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 8> units{
      {{"ns", 1},
       {"us", 1'000},
       {"\xc2\xb5s", 1'000},
       {"\xce\xbcs", 1'000},
       {"ms", 1'000'000},
       {"s", 1'000'000'000},
       {"m", 60'000'000'000},
       {"h", 3'600'000'000'000}}};
  bool is_negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    is_negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  long double total = 0;
  while (!text.empty()) {
    const auto number_length = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string number(text.substr(0, number_length));
    if (number.empty() || number == "." || std::count(number.begin(), number.end(), '.') > 1)
      return std::nullopt;
    text.remove_prefix(number_length);
    std::int64_t unit = 0;
    for (const auto& [name, nanoseconds] : units)
      if (text.starts_with(name)) {
        unit = nanoseconds;
        text.remove_prefix(name.size());
        break;
      }
    if (unit == 0) return std::nullopt;
    total += std::stold(number) * static_cast<long double>(unit);
    if (total > static_cast<long double>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  }
  const auto whole = static_cast<std::int64_t>(total);
  return std::chrono::nanoseconds(is_negative ? -whole : whole);
}

std::optional<bool> parse_go_bool(std::string_view text) {
  for (const auto yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (text == yes) return true;
  for (const auto no : {"0", "f", "F", "false", "FALSE", "False"})
    if (text == no) return false;
  return std::nullopt;
}

std::optional<std::uint64_t> parse_go_uint(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text.front() == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> parse_go_int(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  const auto number = parse_go_uint(text);
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!number || *number > most) return std::nullopt;
  return is_negative ? -static_cast<std::int64_t>(*number) : static_cast<std::int64_t>(*number);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out += '"';
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::optional<HostPort> split_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  HostPort result{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  if (result.host.starts_with('[')) {
    if (!result.host.ends_with(']')) return std::nullopt;
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return std::nullopt;  // an address of IPv6 needs its brackets
  }
  if (result.host.find_first_of("[]") != std::string::npos) return std::nullopt;
  return result;
}

std::string Url::host_name() const {
  const auto parts = split_host_port(host);
  return parts ? parts->host : "";
}

std::string Url::port() const {
  const auto parts = split_host_port(host);
  return parts ? parts->port : "";
}

namespace {

std::string parse_url(std::string_view text, Url& url) {
  const auto first = text.find_first_not_of(" \t");
  const auto last = text.find_last_not_of(" \t");
  text = first == text.npos ? std::string_view() : text.substr(first, last - first + 1);
  const auto mark = text.find("://");
  if (mark != text.npos) {
    url.scheme = text.substr(0, mark);
    std::transform(url.scheme.begin(), url.scheme.end(), url.scheme.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  if (url.scheme != "http" && url.scheme != "https" && !url.is_unix())
    return fmt::format("URL scheme must be http, https, unix, or unixs: {}", text);
  const auto rest = text.substr(mark + 3);
  const auto slash = std::min(rest.find('/'), rest.size());
  url.host = rest.substr(0, slash);
  url.path = rest.substr(slash);
  if (url.is_unix()) {
    if (url.socket_path().empty()) return fmt::format("URL of a unix socket without a path: {}", text);
    return {};
  }
  const auto parts = split_host_port(url.host);
  if (!parts) return fmt::format("URL address does not have the form \"host:port\": {}", text);
  if (!url.path.empty()) return fmt::format("URL must not contain a path: {}", text);
  const auto port = parse_go_uint(parts->port.empty() ? "0" : parts->port);
  if (!port || *port > 65535) return fmt::format("URL with an invalid port: {}", text);
  return {};
}

}  // namespace

Urls parse_urls(std::string_view text) {
  Urls result;
  for (const auto& part : split(text, ',')) {
    Url url;
    result.error = parse_url(part, url);
    if (!result.error.empty()) return result;
    result.urls.push_back(std::move(url));
  }
  const auto by_text = [](const Url& a, const Url& b) { return a.text() < b.text(); };
  std::sort(result.urls.begin(), result.urls.end(), by_text);
  const auto same = [](const Url& a, const Url& b) { return a.text() == b.text(); };
  result.urls.erase(std::unique(result.urls.begin(), result.urls.end(), same), result.urls.end());
  return result;
}

std::vector<std::string> texts(const std::vector<Url>& urls) {
  std::vector<std::string> all;
  for (const auto& url : urls) all.push_back(url.text());
  return all;
}

}  // namespace rusternetes::rhino
