#pragma once
// Requests that ask for another protocol on their connection: SPDY/3.1 with Kubernetes' negotiation of what
// is spoken inside (X-Stream-Protocol-Version), and how a request is refused. Texts and codes are those that
// client-go reads (k8s.io/apimachinery/pkg/util/httpstream).

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"

namespace rusternetes::http {

struct SpdyUpgrade {
  std::string protocol;  // one of those that the server knows
  std::unique_ptr<ByteStream> stream;
};

// Chooses the first of the client's protocols that is among `known`, answers with 101 and hands the
// connection over; or answers with what is wrong (400; 403 naming the known ones when none fits), and returns
// that.
Task<Result<SpdyUpgrade>> accept_spdy(std::shared_ptr<Exchange> exchange, std::vector<std::string> known);

// Answers with the status' code and message as plain text.
Task<> refuse_upgrade(std::shared_ptr<Exchange> exchange, Status status, Headers fields = {});

}  // namespace rusternetes::http
