#pragma once
// Private keys as PEM text. Pure: nothing is read or written but OpenSSL's random generator.

#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::certs {

enum class KeyAlgorithm { ecdsa_p256, rsa_2048 };

// "ecdsa" or "rsa", as `--key-algorithm` takes them; anything else is a BadRequest.
Result<KeyAlgorithm> parse_key_algorithm(std::string_view word);

// PEM in the form that kubeadm writes: `EC PRIVATE KEY` or `RSA PRIVATE KEY`. RSA takes up to a second.
Result<std::string> generate_key(KeyAlgorithm algorithm);

// The `PUBLIC KEY` (SubjectPublicKeyInfo) that belongs to a private key, as sa.pub holds it.
Result<std::string> public_key_of(std::string_view key_pem);

// True when the `PUBLIC KEY` is that of the private key.
Result<bool> public_key_matches(std::string_view public_pem, std::string_view key_pem);

// What kind of key it is; other kinds than our two are refused.
Result<KeyAlgorithm> key_algorithm_of(std::string_view key_pem);

}  // namespace rusternetes::certs
