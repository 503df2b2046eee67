#include "certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>

#include "base/status.h"

namespace rusternetes::http::testing {
namespace {

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long length = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<std::size_t>(length));
  ::BIO_free(bio);
  return text;
}

std::string pem_of(X509* certificate) {
  BIO* bio = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509(bio, certificate);
  return text_of(bio);
}

std::string pem_of(EVP_PKEY* key) {
  BIO* bio = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio);
}

void extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  RN_ASSERT(extension, "bad extension");
  ::X509_add_ext(certificate, extension, -1);
  ::X509_EXTENSION_free(extension);
}

X509* make_certificate(const std::string& name, EVP_PKEY* key) {
  static std::atomic<long> serial{1};
  X509* certificate = ::X509_new();
  ::X509_set_version(certificate, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), serial++);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -60);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 3600);
  ::X509_set_pubkey(certificate, key);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) {
  EVP_PKEY* key = ::EVP_EC_gen("P-256");
  X509* certificate = make_certificate(name, key);
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(certificate));
  extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate, certificate, NID_key_usage, "critical,keyCertSign,digitalSignature");
  ::X509_sign(certificate, key, ::EVP_sha256());
  own_ = {pem_of(certificate), pem_of(key)};
  key_ = key;
  certificate_ = certificate;
}

TestAuthority::~TestAuthority() {
  ::X509_free(static_cast<X509*>(certificate_));
  ::EVP_PKEY_free(static_cast<EVP_PKEY*>(key_));
}

Identity TestAuthority::issue(const std::string& name, const char* usage, const char* addresses) const {
  auto* issuer = static_cast<X509*>(certificate_);
  EVP_PKEY* key = ::EVP_EC_gen("P-256");
  X509* certificate = make_certificate(name, key);
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(issuer));
  extend(certificate, issuer, NID_ext_key_usage, usage);
  if (addresses) extend(certificate, issuer, NID_subject_alt_name, addresses);
  ::X509_sign(certificate, static_cast<EVP_PKEY*>(key_), ::EVP_sha256());
  Identity identity{pem_of(certificate), pem_of(key)};
  ::X509_free(certificate);
  ::EVP_PKEY_free(key);
  return identity;
}

Identity TestAuthority::issue_server(const std::string& name) const {
  return issue(name, "serverAuth", "IP:127.0.0.1,IP:::1,DNS:localhost");
}
Identity TestAuthority::issue_client(const std::string& name) const {
  return issue(name, "clientAuth", nullptr);
}

}  // namespace rusternetes::http::testing
