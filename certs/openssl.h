#pragma once
// Owners for OpenSSL's objects and its error text. Only sources of this folder include it.

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::certs {

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Free<BN_free>>;

// "WHAT: reason of OpenSSL's newest error"; empties its queue, so that no later call finds it.
Status openssl_error(std::string_view what);

// A read-only memory BIO over text that must outlive it.
Bio bio_over(std::string_view text);
Bio memory_bio();
// What a memory BIO holds; its memory is wiped when `secret`.
std::string take_text(Bio bio, bool secret = false);

Result<Key> read_private_key(std::string_view pem);
Result<Certificate> read_certificate(std::string_view pem);

}  // namespace rusternetes::certs
