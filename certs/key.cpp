#include "certs/key.h"

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "certs/openssl.h"

namespace rusternetes::certs {

Result<KeyAlgorithm> parse_key_algorithm(std::string_view word) {
  if (word == "ecdsa") return KeyAlgorithm::ecdsa_p256;
  if (word == "rsa") return KeyAlgorithm::rsa_2048;
  return Status(400, "BadRequest", fmt::format("key algorithm \"{}\" is not one of ecdsa, rsa", word));
}

Result<std::string> generate_key(KeyAlgorithm algorithm) {
  Key key(algorithm == KeyAlgorithm::rsa_2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  if (!key) return openssl_error("generating a private key");
  Bio bio = memory_bio();
  if (PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("encoding a private key");
  return take_text(std::move(bio), true);
}

Result<std::string> public_key_of(std::string_view key_pem) {
  RN_TRY(Key key, read_private_key(key_pem));
  Bio bio = memory_bio();
  if (PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1) return openssl_error("encoding a public key");
  return take_text(std::move(bio));
}

Result<bool> public_key_matches(std::string_view public_pem, std::string_view key_pem) {
  RN_TRY(Key key, read_private_key(key_pem));
  Bio bio = bio_over(public_pem);
  const Key found(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (!found) return openssl_error("not a public key in PEM");
  return EVP_PKEY_eq(found.get(), key.get()) == 1;
}

Result<KeyAlgorithm> key_algorithm_of(std::string_view key_pem) {
  RN_TRY(Key key, read_private_key(key_pem));
  if (EVP_PKEY_is_a(key.get(), "EC") == 1 && EVP_PKEY_get_bits(key.get()) == 256)
    return KeyAlgorithm::ecdsa_p256;
  if (EVP_PKEY_is_a(key.get(), "RSA") == 1) return KeyAlgorithm::rsa_2048;
  return Status(400, "BadRequest", "the private key is neither ECDSA P-256 nor RSA");
}

}  // namespace rusternetes::certs
