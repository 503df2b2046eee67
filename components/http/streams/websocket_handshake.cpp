#include "http/streams/websocket_handshake.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>

#include "http/header_text.h"
#include "http/streams/upgrade.h"

namespace rusternetes::http {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

std::string base64(const unsigned char* bytes, std::size_t size) {
  std::string text((size + 2) / 3 * 4 + 1, '\0');
  const int length =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace

bool is_websocket_request(const RequestHead& head) {
  const auto upgrade = head.headers.get("upgrade");
  return upgrade && lower_case(*upgrade) == "websocket" && is_upgrade(head.headers);
}

std::vector<std::string> websocket_protocols(const RequestHead& head) {
  return comma_separated(head.headers, "sec-websocket-protocol");
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key).append(kGuid);
  unsigned char digest[SHA_DIGEST_LENGTH];
  ::SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return base64(digest, sizeof digest);
}

std::string websocket_key() {
  unsigned char bytes[16];
  RN_ASSERT(::RAND_bytes(bytes, sizeof bytes) == 1, "random bytes");
  return base64(bytes, sizeof bytes);
}

std::optional<std::string> choose_websocket_protocol(const std::vector<std::string>& offered,
                                                     const std::vector<std::string>& known) {
  const auto is_known = [&](std::string_view name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  if (offered.empty()) return is_known("") ? std::optional<std::string>("") : std::nullopt;
  const auto first = std::find_if(offered.begin(), offered.end(), is_known);
  return first == offered.end() ? std::nullopt : std::optional<std::string>(*first);
}

Task<Result<std::unique_ptr<ByteStream>>> accept_websocket(std::shared_ptr<Exchange> exchange,
                                                           std::string protocol) {
  const RequestHead& request = exchange->head();
  Status fault;
  const std::string key(request.headers.get("sec-websocket-key").value_or(""));
  if (request.method != "GET")
    fault = Status{405, "MethodNotAllowed", "bad method"};
  else if (!is_websocket_request(request))
    fault = Status{400, "BadRequest", "not websocket protocol"};
  else if (key.empty())
    fault = Status{400, "BadRequest", "mismatch challenge/response"};
  else if (request.headers.get("sec-websocket-version") != "13")
    fault = Status{400, "BadRequest", "missing or bad WebSocket Version"};
  if (!fault.message.empty()) {
    Headers fields;
    if (fault.message.ends_with("Version")) fields.add("sec-websocket-version", "13");
    co_await refuse_upgrade(exchange, fault, std::move(fields));
    co_return fault;
  }
  ResponseHead head{101, {}};
  head.headers.add("upgrade", "websocket");
  head.headers.add("connection", "Upgrade");
  head.headers.add("sec-websocket-accept", websocket_accept(key));
  if (!protocol.empty()) head.headers.add("sec-websocket-protocol", protocol);
  auto stream = co_await exchange->upgrade(std::move(head));
  co_return stream;
}

}  // namespace rusternetes::http
