#include "api-server/proxy/forward_headers.h"

#include <set>

#include "http/header_text.h"

namespace rusternetes::api_server {
namespace {

// A WebSocket client in a browser can send its token only as a protocol.
constexpr std::string_view kTokenProtocol = "base64url.bearer.authorization.k8s.io.";

std::string without_token(std::string_view protocols) {
  std::string out;
  for (const auto& word : http::comma_separated(protocols))
    if (!word.starts_with(kTokenProtocol)) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string address_of(const http::Peer& peer) {
  std::string_view address = peer.address;
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) return {};  // a unix socket
  address = address.substr(0, colon);
  if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
  return std::string(address);
}

}  // namespace

void remove_hop_by_hop(http::Headers& headers) {
  std::set<std::string> named;
  for (const auto& word : http::comma_separated(headers, "connection")) named.insert(http::lower_case(word));
  for (const auto& name : named) headers.remove(name);
  for (const char* name : {"connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
                           "transfer-encoding", "upgrade"})
    headers.remove(name);
}

http::Headers request_headers(const http::RequestHead& head, const http::Peer& peer, bool without_hop_by_hop) {
  http::Headers out, given = head.headers;
  std::string forwarded;
  if (without_hop_by_hop) remove_hop_by_hop(given);
  for (const auto& [name, value] : given.fields()) {
    if (name == "authorization" || name.starts_with("impersonate-")) continue;
    if (name == "host" || name == "content-length" || name == "transfer-encoding" || name == "expect") continue;
    if (name == "x-forwarded-for") {
      forwarded += (forwarded.empty() ? "" : ", ") + value;
    } else if (name == "sec-websocket-protocol") {
      if (auto left = without_token(value); !left.empty()) out.add(name, std::move(left));
    } else {
      out.add(name, value);
    }
  }
  if (auto address = address_of(peer); !address.empty()) forwarded += (forwarded.empty() ? "" : ", ") + address;
  if (!forwarded.empty()) out.set("x-forwarded-for", std::move(forwarded));
  if (!head.authority.empty()) out.set("host", head.authority);
  return out;
}

void remove_cors(http::Headers& headers) {
  for (const char* name : {"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin"})
    headers.remove(name);
}

}  // namespace rusternetes::api_server
