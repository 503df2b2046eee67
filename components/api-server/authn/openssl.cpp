#include "api-server/authn/openssl.h"

#include <openssl/err.h>
#include <openssl/sha.h>

namespace rusternetes::api_server {

std::string sha256(std::string_view bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(openssl_bytes(bytes), bytes.size(), reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

Status openssl_error(std::string_view what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  return internal_error(std::string(what) + ": " + (reason ? reason : "unknown error"));
}

}  // namespace rusternetes::api_server
