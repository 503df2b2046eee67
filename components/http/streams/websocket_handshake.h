#pragma once
// The opening handshake of RFC 6455, section 4, as golang.org/x/net/websocket answers it, which is what
// serves WebSockets in Kubernetes.

#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"

namespace rusternetes::http {

// `Upgrade: websocket` and a Connection field that says upgrade.
bool is_websocket_request(const RequestHead& head);
// Sec-WebSocket-Protocol, in the client's order.
std::vector<std::string> websocket_protocols(const RequestHead& head);
// Sec-WebSocket-Accept for a key.
std::string websocket_accept(std::string_view key);
// A fresh Sec-WebSocket-Key.
std::string websocket_key();

// Of `offered` the first that is in `known` ("": also a client that asks for none). Nothing when there is
// none.
std::optional<std::string> choose_websocket_protocol(const std::vector<std::string>& offered,
                                                     const std::vector<std::string>& known);

// Answers with 101, choosing `protocol` (empty: none is named), and hands the connection over; or with what
// is wrong with the request (400, 405), and returns that.
Task<Result<std::unique_ptr<ByteStream>>> accept_websocket(std::shared_ptr<Exchange> exchange,
                                                           std::string protocol);

}  // namespace rusternetes::http
