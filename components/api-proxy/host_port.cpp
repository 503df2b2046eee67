#include "api-proxy/host_port.h"

#include <fmt/format.h>

#include <charconv>

namespace rusternetes::api_proxy {

std::string HostPort::text() const {
  return host.find(':') == host.npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<HostPort> parse_host_port(const std::string& text) {
  const auto bad = [&] {
    return Status(400, "BadRequest", fmt::format("\"{}\" is no HOST:PORT such as 10.0.0.1:6443", text));
  };
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return bad();
  HostPort out;
  out.host = text.substr(0, colon);
  if (out.host.front() == '[') {
    if (out.host.size() < 3 || out.host.back() != ']') return bad();
    out.host = out.host.substr(1, out.host.size() - 2);
  } else if (out.host.find(':') != out.host.npos) {
    return bad();  // which of the colons ends the address nobody knows
  }
  if (out.host.find_first_of("/[]@ \t\n") != out.host.npos) return bad();
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, out.port);
  if (error != std::errc() || stop != end) return bad();
  return out;
}

}  // namespace rusternetes::api_proxy
