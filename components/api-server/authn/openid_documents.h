#pragma once
// What lets others check service account tokens by themselves (OpenID Connect Discovery 1.0): who issues
// them, and with which keys. Made once at start.

#include <span>
#include <string>
#include <string_view>

#include "api-server/authn/jwt.h"
#include "base/status.h"

namespace rusternetes::api_server {

inline constexpr std::string_view openid_configuration_path = "/.well-known/openid-configuration";
inline constexpr std::string_view openid_keys_path = "/openid/v1/jwks";
inline constexpr std::string_view openid_configuration_media_type = "application/json";
inline constexpr std::string_view openid_keys_media_type = "application/jwk-set+json";
inline constexpr std::string_view openid_cache_control = "public, max-age=3600";

struct OpenIdDocuments {
  std::string configuration;  // the body of openid_configuration_path
  std::string keys;           // of openid_keys_path
};

// `jwks_uri` is --service-account-jwks-uri; when empty, it is made of `external_address` ("10.0.0.1:6443").
// BadRequest if the issuer is no https URL without query and fragment, or the URI none with https: then both
// paths are not served.
Result<OpenIdDocuments> openid_documents(std::string_view issuer, std::string_view jwks_uri,
                                         std::string_view external_address, std::span<const JwtKey> keys);

}  // namespace rusternetes::api_server
