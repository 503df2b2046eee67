#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "api-server/authn/jwt.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

namespace {

constexpr std::size_t jwt_key_file_limit_bytes = 1 << 20;

const EVP_MD* digest_of(std::string_view algorithm) {
  if (algorithm.ends_with("384")) return EVP_sha384();
  if (algorithm.ends_with("512")) return EVP_sha512();
  return EVP_sha256();
}

std::string curve_name(const EVP_PKEY* key) {
  char name[64] = {};
  std::size_t length = 0;
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof(name), &length) != 1)
    return {};
  return std::string(name, length);
}

std::string big_endian(const BIGNUM* number, int width) {
  std::string out(static_cast<std::size_t>(width), '\0');
  if (BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), width) != width) out.clear();
  return out;
}

std::string parameter(const EVP_PKEY* key, const char* name, int width) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
  const BignumPtr number(raw);
  return big_endian(number.get(), width > 0 ? width : BN_num_bytes(number.get()));
}

// ECDSA signatures are ASN.1 in OpenSSL, and r and s side by side in a JWS.
std::string fixed_width_signature(std::string_view der, int width) {
  const unsigned char* at = openssl_bytes(der);
  const EcdsaSigPtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!signature) return {};
  return big_endian(ECDSA_SIG_get0_r(signature.get()), width) +
         big_endian(ECDSA_SIG_get0_s(signature.get()), width);
}

std::string der_signature(std::string_view raw, int width) {
  const unsigned char* bytes = openssl_bytes(raw);
  BignumPtr r(BN_bin2bn(bytes, width, nullptr)), s(BN_bin2bn(bytes + width, width, nullptr));
  const EcdsaSigPtr signature(ECDSA_SIG_new());
  if (!r || !s || !signature || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return {};
  r.release();
  s.release();
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

// No passphrase is ever asked for.
int no_passphrase(char*, int, int, void*) { return -1; }

bool is_private_block(std::string_view type) { return type.ends_with("PRIVATE KEY"); }

EvpKeyPtr read_block(std::string_view type, std::string_view block) {
  const auto bio = [block] { return BioPtr(BIO_new_mem_buf(block.data(), static_cast<int>(block.size()))); };
  if (is_private_block(type))
    return EvpKeyPtr(PEM_read_bio_PrivateKey(bio().get(), nullptr, no_passphrase, nullptr));
  if (type == "CERTIFICATE") {
    const X509Ptr certificate(PEM_read_bio_X509(bio().get(), nullptr, no_passphrase, nullptr));
    return EvpKeyPtr(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
  }
  return EvpKeyPtr(PEM_read_bio_PUBKEY(bio().get(), nullptr, no_passphrase, nullptr));
}

}  // namespace

Result<JwtKey> JwtKey::adopt(EvpKeyPtr key, bool is_private) {
  JwtKey out;
  if (EVP_PKEY_is_a(key.get(), "RSA")) {
    out.algorithm_ = "RS256";
  } else if (EVP_PKEY_is_a(key.get(), "EC")) {
    const std::string curve = curve_name(key.get());
    if (curve == "prime256v1") {
      out.algorithm_ = "ES256";
      out.coordinate_bytes_ = 32;
    } else if (curve == "secp384r1") {
      out.algorithm_ = "ES384";
      out.coordinate_bytes_ = 48;
    } else if (curve == "secp521r1") {
      out.algorithm_ = "ES512";
      out.coordinate_bytes_ = 66;
    } else {
      return apimachinery::bad_request("unknown private key curve, must be 256, 384, or 521");
    }
  } else {
    return apimachinery::bad_request("the key is neither RSA nor ECDSA");
  }
  unsigned char* spki = nullptr;
  const int length = i2d_PUBKEY(key.get(), &spki);
  if (length <= 0) return openssl_error("serializing the public key");
  out.id_ = base64url_encode(sha256({reinterpret_cast<const char*>(spki), static_cast<std::size_t>(length)}));
  OPENSSL_free(spki);
  out.is_private_ = is_private;
  out.key_ = std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free);
  return out;
}

Result<std::vector<JwtKey>> JwtKey::all_from_pem(std::string_view pem) {
  if (pem.size() > jwt_key_file_limit_bytes)
    return apimachinery::bad_request("the key file is larger than 1 MiB");
  constexpr std::string_view begin = "-----BEGIN ", dashes = "-----";
  std::vector<JwtKey> keys;
  for (std::size_t at = pem.find(begin); at != std::string_view::npos; at = pem.find(begin, at)) {
    const std::size_t type_start = at + begin.size(), type_end = pem.find(dashes, type_start);
    if (type_end == std::string_view::npos) break;
    const std::string_view type = pem.substr(type_start, type_end - type_start);
    const std::string end = "-----END " + std::string(type) + "-----";
    const std::size_t end_at = pem.find(end, type_end);
    if (end_at == std::string_view::npos) break;
    const std::string_view block = pem.substr(at, end_at + end.size() - at);
    at = end_at + end.size();
    // `openssl ecparam` writes the curve in front of the key.
    if (type == "EC PARAMETERS") continue;
    EvpKeyPtr key = read_block(type, std::string(block) + "\n");
    if (!key) return openssl_error("reading the " + std::string(type) + " block");
    RN_TRY(JwtKey adopted, adopt(std::move(key), is_private_block(type)));
    keys.push_back(std::move(adopted));
  }
  if (keys.empty()) return apimachinery::bad_request("the data holds no valid RSA or ECDSA key");
  return keys;
}

Result<JwtKey> JwtKey::from_pem(std::string_view pem) {
  RN_TRY(std::vector<JwtKey> keys, all_from_pem(pem));
  return std::move(keys.front());
}

std::string JwtKey::public_jwk() const {
  std::string out = "{\"use\":\"sig\",\"kty\":";
  if (coordinate_bytes_ == 0) {
    out += "\"RSA\",\"kid\":\"" + id_ + "\",\"alg\":\"" + algorithm_ + "\",\"n\":\"" +
           base64url_encode(parameter(key_.get(), OSSL_PKEY_PARAM_RSA_N, 0)) + "\",\"e\":\"" +
           base64url_encode(parameter(key_.get(), OSSL_PKEY_PARAM_RSA_E, 0)) + "\"}";
    return out;
  }
  const std::string curve = coordinate_bytes_ == 32 ? "P-256" : coordinate_bytes_ == 48 ? "P-384" : "P-521";
  return out + "\"EC\",\"kid\":\"" + id_ + "\",\"crv\":\"" + curve + "\",\"alg\":\"" + algorithm_ +
         "\",\"x\":\"" +
         base64url_encode(parameter(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, coordinate_bytes_)) +
         "\",\"y\":\"" +
         base64url_encode(parameter(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_bytes_)) + "\"}";
}

Result<std::string> JwtKey::sign(std::string_view input) const {
  if (!is_private_) return internal_error("a public key cannot sign");
  const DigestContextPtr context(EVP_MD_CTX_new());
  std::size_t length = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm_), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &length, openssl_bytes(input), input.size()) != 1)
    return openssl_error("signing a token");
  std::string signature(length, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                     openssl_bytes(input), input.size()) != 1)
    return openssl_error("signing a token");
  signature.resize(length);
  if (coordinate_bytes_ > 0) signature = fixed_width_signature(signature, coordinate_bytes_);
  if (signature.empty()) return openssl_error("encoding a signature");
  return signature;
}

bool JwtKey::verify(std::string_view input, std::string_view signature) const {
  std::string der;
  if (coordinate_bytes_ > 0) {
    if (signature.size() != 2 * static_cast<std::size_t>(coordinate_bytes_)) return false;
    der = der_signature(signature, coordinate_bytes_);
    signature = der;
  }
  if (signature.empty()) return false;
  const DigestContextPtr context(EVP_MD_CTX_new());
  const bool is_valid =
      EVP_DigestVerifyInit(context.get(), nullptr, digest_of(algorithm_), nullptr, key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), openssl_bytes(signature), signature.size(), openssl_bytes(input),
                       input.size()) == 1;
  if (!is_valid) (void)openssl_error("");  // leaves nothing in the thread's queue
  return is_valid;
}

}  // namespace rusternetes::api_server
