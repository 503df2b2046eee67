#pragma once
// Keys of the tests, made once a process.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <map>
#include <string>

#include "api-server/authn/jwt.h"
#include "api-server/authn/openssl.h"

namespace rusternetes::api_server {

// "RSA", "ED25519", or a curve.
inline EVP_PKEY* test_evp_key(const std::string& kind) {
  static std::map<std::string, EvpKeyPtr> made;
  EvpKeyPtr& key = made[kind];
  if (!key && kind == "RSA") key.reset(EVP_RSA_gen(2048));
  if (!key && kind == "ED25519") key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) key.reset(EVP_EC_gen(kind.c_str()));
  REQUIRE(key);
  return key.get();
}

inline std::string test_pem(const std::string& kind, bool is_private) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  EVP_PKEY* key = test_evp_key(kind);
  if (is_private)
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  else
    PEM_write_bio_PUBKEY(bio.get(), key);
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(length));
}

inline JwtKey test_key(const std::string& kind, bool is_private = true) {
  auto key = JwtKey::from_pem(test_pem(kind, is_private));
  REQUIRE(key);
  return *std::move(key);
}

}  // namespace rusternetes::api_server
