#pragma once
// Values of flags as Go's `flag` package and etcd's own types read them: clients' manifests are full of them.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::rhino {

// time.ParseDuration: "300ms", "-1.5h", "2h45m", "0"; units ns, us, µs, ms, s, m, h. Nothing: not a duration,
// or beyond 292 years.
std::optional<std::chrono::nanoseconds> parse_go_duration(std::string_view text);
// strconv.ParseBool.
std::optional<bool> parse_go_bool(std::string_view text);
// strconv.ParseInt(text, 0, 64) and ParseUint: also 0x1f, 0o17, 0b11 and 017.
std::optional<std::int64_t> parse_go_int(std::string_view text);
std::optional<std::uint64_t> parse_go_uint(std::string_view text);
// "a" with Go's quotes, for messages.
std::string quoted(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// http://HOST:PORT, https://HOST:PORT, unix://[HOST][PATH], unixs://...
struct Url {
  std::string scheme;
  std::string host;  // "127.0.0.1:2379", "[::1]:2379"; of unix sockets whatever stands before the first slash
  std::string path;  // of unix sockets
  bool is_unix() const { return scheme == "unix" || scheme == "unixs"; }
  bool is_secure() const { return scheme == "https" || scheme == "unixs"; }
  std::string socket_path() const { return host + path; }
  std::string text() const { return scheme + "://" + host + path; }
  // Without brackets; both empty when `host` is not HOST:PORT.
  std::string host_name() const;
  std::string port() const;
};

struct HostPort {
  std::string host, port;
};
// net.SplitHostPort.
std::optional<HostPort> split_host_port(std::string_view text);

// A list of URLs as etcd takes them: separated by commas, sorted, each once. `error` is etcd's sentence,
// empty if all is well.
struct Urls {
  std::vector<Url> urls;
  std::string error;
};
Urls parse_urls(std::string_view text);
std::vector<std::string> texts(const std::vector<Url>& urls);

}  // namespace rusternetes::rhino
