#include "api-server/authn/jwt.h"

#include <array>
#include <cstdint>

#include "apimachinery/errors.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> make_reverse_alphabet() {
  std::array<std::int8_t, 256> out{};
  for (auto& entry : out) entry = -1;
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    out[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  return out;
}
constexpr auto reverse_alphabet = make_reverse_alphabet();

Status malformed() { return apimachinery::bad_request("the token is no JSON Web Token in compact form"); }

}  // namespace

std::string base64url_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) out += alphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) out += alphabet[bits << (6 - count) & 63];
  return out;
}

Result<std::string> base64url_decode(std::string_view text) {
  if (text.size() % 4 == 1) return malformed();
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = reverse_alphabet[static_cast<unsigned char>(c)];
    if (digit < 0) return malformed();
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 255);
  }
  // Left-over bits would let one token be written in several ways.
  if ((bits & ((1U << count) - 1)) != 0) return malformed();
  return out;
}

Result<Jwt> parse_jwt(std::string_view token) {
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return malformed();
  RN_TRY(const std::string header, base64url_decode(token.substr(0, first)));
  Jwt jwt;
  RN_TRY(jwt.payload, base64url_decode(token.substr(first + 1, second - first - 1)));
  RN_TRY(jwt.signature, base64url_decode(token.substr(second + 1)));
  jwt.signed_text = token.substr(0, second);

  apimachinery::Arena arena;
  const auto parsed = apimachinery::decode_json_any(arena, header);
  if (!parsed || parsed->kind != ValueKind::map) return malformed();
  // Extensions that must be understood (RFC 7515 section 4.1.11) are not.
  if (parsed->lookup("crit")) return malformed();
  for (const auto& [name, to] : {std::pair{"alg", &jwt.algorithm}, std::pair{"kid", &jwt.key_id}})
    if (const Value* value = parsed->lookup(name)) {
      if (value->kind != ValueKind::string) return malformed();
      *to = value->str();
    }
  return jwt;
}

Result<std::string> sign_jwt(const JwtKey& key, std::string_view payload) {
  const std::string header = "{\"alg\":\"" + key.algorithm() + "\",\"kid\":\"" + key.id() + "\"}";
  std::string token = base64url_encode(header) + "." + base64url_encode(payload);
  RN_TRY(const std::string signature, key.sign(token));
  token += '.';
  return token += base64url_encode(signature);
}

Result<> verify_jwt(const Jwt& jwt, std::span<const JwtKey> keys) {
  bool has_key = false;
  for (const JwtKey& key : keys) {
    if (!jwt.key_id.empty() && key.id() != jwt.key_id) continue;
    has_key = true;
    // The key decides upon the algorithm, never the token.
    if (key.algorithm() == jwt.algorithm && key.verify(jwt.signed_text, jwt.signature)) return {};
  }
  return apimachinery::bad_request(has_key ? "invalid signature" : "invalid signature, no keys found");
}

}  // namespace rusternetes::api_server
