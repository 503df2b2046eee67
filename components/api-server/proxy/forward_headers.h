#pragma once
// Header fields on their way through a proxy (RFC 9110, 7.6.1; net/http/httputil ReverseProxy).

#include <string>
#include <string_view>

#include "http/message.h"
#include "http/server.h"

namespace rusternetes::api_server {

// What belongs to one connection: the fields that `connection` names, and those that RFC 9110 lists.
void remove_hop_by_hop(http::Headers& headers);

// The request's fields for the backend: without who the client says it is (its token, impersonation) and without the framing of
// its body, and with its address in x-forwarded-for, which (as `host`) no `connection` field can name away. With
// `without_hop_by_hop` what remove_hop_by_hop() removes is gone.
http::Headers request_headers(const http::RequestHead& head, const http::Peer& peer, bool without_hop_by_hop = false);

// A backend does not speak for the api-server's origin.
void remove_cors(http::Headers& headers);

}  // namespace rusternetes::api_server
