#pragma once
// What the tests of this folder share.

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "certs/certificate.h"
#include "certs/openssl.h"

namespace rusternetes::certs {

namespace fs = std::filesystem;

inline const SystemTime now = std::chrono::system_clock::from_time_t(1'770'000'000);

struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "certs-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path); }
};

inline unsigned mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

// OpenSSL's own chain verification, as a TLS peer does it that trusts every certificate of the authority's
// file.
inline int chain_error(const KeyPair& authority, const KeyPair& leaf, int purpose, const char* host,
                       const char* address, SystemTime at) {
  auto subject = read_certificate(leaf.certificate_pem);
  X509_STORE* store = X509_STORE_new();
  for (const std::string& block : pem_blocks(authority.certificate_pem)) {
    auto ca = read_certificate(block);
    X509_STORE_add_cert(store, ca->get());
  }
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  STACK_OF(X509)* sent = sk_X509_new_null();  // behind the leaf
  const auto chain = pem_blocks(leaf.certificate_pem);
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(sent, read_certificate(chain[i])->release());
  X509_STORE_CTX_init(context, store, subject->get(), sent);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(at));
  X509_VERIFY_PARAM_set_purpose(parameters, purpose);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  if (host != nullptr) X509_VERIFY_PARAM_set1_host(parameters, host, 0);
  if (address != nullptr) X509_VERIFY_PARAM_set1_ip_asc(parameters, address);
  X509_verify_cert(context);
  const int error = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  sk_X509_pop_free(sent, X509_free);
  return error;
}

}  // namespace rusternetes::certs
