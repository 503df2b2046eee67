#include "http/tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace rusternetes::http {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&::BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&::X509_free)>;

BioPtr reader(const std::string& pem) {
  return BioPtr(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &::BIO_free);
}

Status tls_error(std::string_view what) {
  return internal_error(fmt::format("{}: {}", what, openssl_errors()));
}

Result<std::vector<X509Ptr>> read_certificates(const std::string& pem) {
  std::vector<X509Ptr> certificates;
  auto bio = reader(pem);
  while (X509* certificate = ::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(certificate, &::X509_free);
  if (certificates.empty()) return tls_error("no certificate in the PEM text");
  ::ERR_clear_error();  // the end of the text is an error to OpenSSL
  return certificates;
}

// A key that asks for a passphrase is refused instead of prompting on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<void> use_certificate(SSL_CTX* context, const std::string& chain_pem, const std::string& key_pem) {
  RN_TRY(auto chain, read_certificates(chain_pem));
  if (::SSL_CTX_use_certificate(context, chain.front().get()) != 1) return tls_error("certificate");
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (::SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return tls_error("certificate chain");
  auto bio = reader(key_pem);
  std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key(
      ::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr), &::EVP_PKEY_free);
  if (!key) return tls_error("private key");
  if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1) return tls_error("private key");
  if (::SSL_CTX_check_private_key(context) != 1)
    return tls_error("private key does not match the certificate");
  return {};
}

Result<void> trust(SSL_CTX* context, const std::string& ca_pem, bool announce) {
  RN_TRY(auto authorities, read_certificates(ca_pem));
  X509_STORE* store = ::SSL_CTX_get_cert_store(context);
  for (const auto& authority : authorities) {
    if (::X509_STORE_add_cert(store, authority.get()) != 1) return tls_error("certificate authority");
    if (announce && ::SSL_CTX_add_client_CA(context, authority.get()) != 1)
      return tls_error("certificate authority");
  }
  // As Go does it: every certificate of the bundle is an anchor, self-signed or not.
  ::X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return {};
}

Result<SslContext> make_context(const SSL_METHOD* method) {
  SslContext context(::SSL_CTX_new(method), &::SSL_CTX_free);
  if (!context) return tls_error("TLS");
  SSL_CTX* raw = context.get();
  ::SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  ::SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Idle connections hold no record buffers; a read takes what the socket has, not a header and then a
  // record.
  ::SSL_CTX_set_mode(
      raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ::SSL_CTX_set_read_ahead(raw, 1);
  ::SSL_CTX_set_default_read_buffer_len(raw, 64 * 1024);
  // The 128-bit suite first: the cheapest on machines with AES instructions. TLS 1.2: those RFC 9113 appendix
  // A allows.
  if (::SSL_CTX_set_ciphersuites(
          raw, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1 ||
      ::SSL_CTX_set_cipher_list(raw, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
      ::SSL_CTX_set1_groups_list(raw, "X25519:P-256:P-384") != 1)
    return tls_error("TLS ciphers");
  return context;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                unsigned in_length, void*) {
  static constexpr unsigned char ours[] = "\x02h2\x08http/1.1";
  const int found = ::SSL_select_next_proto(const_cast<unsigned char**>(out), out_length, ours,
                                            sizeof(ours) - 1, in, in_length);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

int make_ticket(SSL*, void*) { return 1; }

// A ticket carries the leaf only and would skip the verification, so clients with a certificate shake hands
// in full.
SSL_TICKET_RETURN take_ticket(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                              SSL_TICKET_STATUS status, void*) {
  const bool is_good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
  if (!is_good || !session || ::SSL_SESSION_get0_peer(session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

}  // namespace

Result<SslContext> make_server_context(const ServerTls& tls) {
  RN_TRY(auto context, make_context(::TLS_server_method()));
  SSL_CTX* raw = context.get();
  RN_CHECK(use_certificate(raw, tls.certificate_chain_pem, tls.private_key_pem));
  if (!tls.client_ca_pem.empty()) {
    RN_CHECK(trust(raw, tls.client_ca_pem, true));
    ::SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  }
  static constexpr unsigned char id[] = "rusternetes";
  ::SSL_CTX_set_session_id_context(raw, id, sizeof(id) - 1);
  ::SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(raw, 1);
  ::SSL_CTX_set_session_ticket_cb(raw, make_ticket, take_ticket, nullptr);
  ::SSL_CTX_set_alpn_select_cb(raw, select_alpn, nullptr);
  return context;
}

Result<SslContext> make_client_context(const ClientTls& tls) {
  RN_TRY(auto context, make_context(::TLS_client_method()));
  SSL_CTX* raw = context.get();
  if (tls.ca_pem.empty() && tls.insecure_skip_verify) {
    // Nothing is checked against them.
  } else if (tls.ca_pem.empty()) {
    if (::SSL_CTX_set_default_verify_paths(raw) != 1) return tls_error("the host's certificate authorities");
  } else {
    RN_CHECK(trust(raw, tls.ca_pem, false));
  }
  if (!tls.certificate_chain_pem.empty())
    RN_CHECK(use_certificate(raw, tls.certificate_chain_pem, tls.private_key_pem));
  ::SSL_CTX_set_verify(raw, tls.insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  return context;
}

Result<void> expect_server_name(SSL* ssl, const std::string& server_name) {
  unsigned char address[16];
  const bool is_address = ::inet_pton(AF_INET, server_name.c_str(), address) == 1 ||
                          ::inet_pton(AF_INET6, server_name.c_str(), address) == 1;
  X509_VERIFY_PARAM* param = ::SSL_get0_param(ssl);
  if (is_address) {
    if (::X509_VERIFY_PARAM_set1_ip_asc(param, server_name.c_str()) != 1) return tls_error(server_name);
    return {};
  }
  ::X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (::X509_VERIFY_PARAM_set1_host(param, server_name.data(), server_name.size()) != 1 ||
      ::SSL_set_tlsext_host_name(ssl, server_name.c_str()) != 1)
    return tls_error(server_name);
  return {};
}

std::vector<std::string> verified_chain(SSL* ssl) {
  std::vector<std::string> chain;
  if (::SSL_get_verify_result(ssl) != X509_V_OK) return chain;
  const STACK_OF(X509)* certificates = ::SSL_get0_verified_chain(ssl);
  for (int i = 0; certificates && i < sk_X509_num(certificates); ++i) {
    unsigned char* der = nullptr;
    const int length = ::i2d_X509(sk_X509_value(certificates, i), &der);
    if (length <= 0) return {};
    chain.emplace_back(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
    ::OPENSSL_free(der);
  }
  return chain;
}

std::string openssl_errors() {
  std::string text;
  while (unsigned long code = ::ERR_get_error()) {
    const char* reason = ::ERR_reason_error_string(code);
    if (!text.empty()) text += "; ";
    text += reason ? reason : fmt::format("error {:x}", code);
  }
  return text.empty() ? "unknown TLS error" : text;
}

}  // namespace rusternetes::http
