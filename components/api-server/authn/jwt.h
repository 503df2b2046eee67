#pragma once
// JSON Web Tokens as service account tokens are: compact JWS (RFC 7515) with RS256 or ES256/384/512 (RFC
// 7518), chosen by the key. Nothing else is signed or accepted; `none` least of all.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/authn/openssl.h"
#include "base/status.h"

namespace rusternetes::api_server {

std::string base64url_encode(std::string_view bytes);
// Without padding; anything that is not canonical is refused.
Result<std::string> base64url_decode(std::string_view text);

// A key that verifies, and signs if it holds the private half. Shared between threads.
class JwtKey {
 public:
  // A PEM block: PKCS #8, PKCS #1 or SEC 1 private key, SPKI or PKCS #1 public key, or a certificate's public
  // key. RSA, or ECDSA on P-256, P-384 or P-521.
  static Result<JwtKey> from_pem(std::string_view pem);
  // Every key of a file of several blocks, public or private, in order; at least one.
  static Result<std::vector<JwtKey>> all_from_pem(std::string_view pem);

  // base64url(SHA-256(SubjectPublicKeyInfo)), as Kubernetes names its keys.
  const std::string& id() const { return id_; }
  // "RS256", "ES256", ...
  const std::string& algorithm() const { return algorithm_; }
  bool is_private() const { return is_private_; }

  // The JWK members of the public half (RFC 7517): {"use":"sig","kty":...}.
  std::string public_jwk() const;

  // The raw JWS signature of `input`; only with a private key.
  Result<std::string> sign(std::string_view input) const;
  bool verify(std::string_view input, std::string_view signature) const;

 private:
  static Result<JwtKey> adopt(EvpKeyPtr key, bool is_private);
  std::shared_ptr<EVP_PKEY> key_;
  std::string id_, algorithm_;
  int coordinate_bytes_ = 0;  // of an elliptic curve
  bool is_private_ = false;
};

// A compact JWS taken apart; not verified.
struct Jwt {
  std::string algorithm, key_id;  // of the protected header
  std::string payload;            // decoded: JSON text
  std::string signature;          // decoded
  std::string signed_text;        // "header.payload" as received
};
// Error: not three parts, bad base64url, a header that is no object, or one with `crit`.
Result<Jwt> parse_jwt(std::string_view token);

// `payload` is a JSON object.
Result<std::string> sign_jwt(const JwtKey& key, std::string_view payload);
// Whether one of the keys signed it with the key's own algorithm: the one of the header's `kid` if it names
// one, else any.
Result<> verify_jwt(const Jwt& jwt, std::span<const JwtKey> keys);

}  // namespace rusternetes::api_server
