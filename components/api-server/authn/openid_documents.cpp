#include "api-server/authn/openid_documents.h"

#include <set>

#include "apimachinery/errors.h"
#include "apimachinery/json_text.h"

namespace rusternetes::api_server {

using apimachinery::append_json_string;
using apimachinery::bad_request;

Result<OpenIdDocuments> openid_documents(std::string_view issuer, std::string_view jwks_uri,
                                         std::string_view external_address, std::span<const JwtKey> keys) {
  constexpr std::string_view https = "https://";
  if (issuer.empty()) return bad_request("empty issuer URL");
  if (!issuer.starts_with(https))
    return bad_request("issuer URL must use https scheme, got: " + std::string(issuer));
  if (issuer.find('#') != std::string_view::npos)
    return bad_request("issuer URL may not include a fragment, got: " + std::string(issuer));
  if (issuer.find('?') != std::string_view::npos)
    return bad_request("issuer URL may not include a query, got: " + std::string(issuer));
  if (jwks_uri.empty() && external_address.empty())
    return bad_request("either the JWKS URI or the default external address, or both, must be set");
  if (!jwks_uri.empty() && !jwks_uri.starts_with(https))
    return bad_request("jwksURI requires https scheme, parsed as: " + std::string(jwks_uri));
  if (keys.empty()) return bad_request("no keys provided for validating keyset");

  std::string uri(jwks_uri);
  if (uri.empty()) uri.append(https).append(external_address).append(openid_keys_path);
  OpenIdDocuments out;
  out.configuration = "{\"issuer\":";
  append_json_string(out.configuration, issuer);
  out.configuration += ",\"jwks_uri\":";
  append_json_string(out.configuration, uri);
  out.configuration +=
      ",\"response_types_supported\":[\"id_token\"],\"subject_types_supported\":[\"public\"],"
      "\"id_token_signing_alg_values_supported\":[";
  std::set<std::string_view> algorithms;
  for (const JwtKey& key : keys) algorithms.insert(key.algorithm());
  for (bool is_first = true; const std::string_view algorithm : algorithms) {
    if (!is_first) out.configuration += ',';
    is_first = false;
    append_json_string(out.configuration, algorithm);
  }
  out.configuration += "]}";

  out.keys = "{\"keys\":[";
  for (const JwtKey& key : keys) {
    if (out.keys.back() != '[') out.keys += ',';
    out.keys += key.public_jwk();
  }
  out.keys += "]}";
  return out;
}

}  // namespace rusternetes::api_server
