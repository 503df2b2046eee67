// Bearer tokens come from anybody: parsing one, its claims and its signature must end in an error at worst.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api-server/authn/jwt.h"
#include "api-server/authn/service_account_claims.h"

using namespace rusternetes::api_server;

namespace {

constexpr std::string_view public_key =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcD7bbEJIU40gXsMOWuj9rnP+stLu\n"
    "/p3TxBV+VNLVJrouKP1FMpX7krgdYmEyCUZxiz038hAiekal2vDyX3ir8g==\n"
    "-----END PUBLIC KEY-----\n";

const JwtKey& key() {
  static const JwtKey parsed = [] {
    auto made = JwtKey::from_pem(public_key);
    if (!made) abort();
    return *std::move(made);
  }();
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto jwt = parse_jwt(text)) {
    (void)peek_issuer(jwt->payload);
    // Nobody holds the private half: nothing may verify.
    jwt->algorithm = key().algorithm();
    jwt->key_id.clear();
    if (verify_jwt(*jwt, std::span(&key(), 1))) abort();
  }
  // Claims by themselves, so that the fuzzer need not speak base64.
  if (const auto claims = parse_claims(text)) {
    // Bytes that are no UTF-8 become another character when they are printed; after that, nothing changes any
    // more.
    const auto printed = parse_claims(claims_json(*claims));
    if (!printed) abort();
    const auto again = parse_claims(claims_json(*printed));
    if (!again || claims_json(*again) != claims_json(*printed)) abort();
  }
  // What decodes is canonical.
  if (auto decoded = base64url_decode(text))
    if (base64url_encode(*decoded) != text) abort();
  return 0;
}
