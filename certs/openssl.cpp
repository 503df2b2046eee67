#include "certs/openssl.h"

#include <fmt/format.h>
#include <openssl/buffer.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace rusternetes::certs {

Status openssl_error(std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return internal_error(fmt::format("{}: {}", what, reason != nullptr ? reason : "OpenSSL gave no reason"));
}

Bio bio_over(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Bio memory_bio() { return Bio(BIO_new(BIO_s_mem())); }

std::string take_text(Bio bio, bool secret) {
  BUF_MEM* memory = nullptr;
  BIO_get_mem_ptr(bio.get(), &memory);
  std::string text(memory->data, memory->length);
  if (secret) OPENSSL_cleanse(memory->data, memory->length);
  return text;
}

namespace {
// Without it OpenSSL would ask the terminal for the passphrase of an encrypted key.
int no_passphrase(char*, int, int, void*) { return 0; }
}  // namespace

Result<Key> read_private_key(std::string_view pem) {
  Bio bio = bio_over(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_error("not a private key in PEM");
  return key;
}

Result<Certificate> read_certificate(std::string_view pem) {
  Bio bio = bio_over(pem);
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!certificate) return openssl_error("not a certificate in PEM");
  return certificate;
}

}  // namespace rusternetes::certs
