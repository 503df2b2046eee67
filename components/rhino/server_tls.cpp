#include "rhino/server_tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/conf.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/clock.h"
#include "base/log.h"
#include "certs/certificate.h"
#include "certs/file.h"
#include "http/tls.h"

namespace rusternetes::rhino {
namespace {

constexpr unsigned grpc_refresh_s = 1;

// OpenSSL's names, as it wants them.
std::string openssl_suites(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const auto& name : names) {
    const std::string converted = ::OPENSSL_cipher_name(name.c_str());
    if (!name.starts_with("TLS_AES_") && !name.starts_with("TLS_CHACHA20_")) all.push_back(converted);
  }
  return join(all, ":");
}

}  // namespace

ServerCertificates::Stamps ServerCertificates::stamps() const {
  Stamps all;
  const std::string* paths[] = {&flags_.cert_file, &flags_.key_file, &flags_.trusted_ca_file};
  for (std::size_t i = 0; i < all.size(); ++i) {
    struct stat file {};
    if (paths[i]->empty() || ::stat(paths[i]->c_str(), &file) != 0) continue;
    all[i] = {static_cast<std::int64_t>(file.st_ino), file.st_size,
              file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec};
  }
  return all;
}

Result<std::shared_ptr<ssl_ctx_st>> ServerCertificates::make_context() const {
  http::ServerTls tls;
  RN_TRY(tls.certificate_chain_pem, certs::read_text(flags_.cert_file));
  RN_TRY(tls.private_key_pem, certs::read_text(flags_.key_file));
  if (!flags_.trusted_ca_file.empty()) {
    RN_TRY(tls.client_ca_pem, certs::read_text(flags_.trusted_ca_file));
  }
  RN_TRY(auto context, http::make_server_context(tls));
  if (flags_.requires_client_certificate())
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  ::SSL_CTX_set_min_proto_version(context.get(), flags_.allows_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  ::SSL_CTX_set_max_proto_version(context.get(), flags_.allows_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  const auto suites = openssl_suites(flags_.cipher_suites);
  if (!suites.empty() && ::SSL_CTX_set_cipher_list(context.get(), suites.c_str()) != 1)
    return internal_error(fmt::format("--cipher-suites: {}", http::openssl_errors()));
  return context;
}

Result<std::unique_ptr<ServerCertificates>> ServerCertificates::load(const TlsFlags& flags) {
  std::unique_ptr<ServerCertificates> made(new ServerCertificates(flags));
  made->stamps_ = made->stamps();
  RN_TRY(made->context_, made->make_context());
  return made;
}

std::shared_ptr<ssl_ctx_st> ServerCertificates::http_context() {
  const Stamps now = stamps();
  if (now == stamps_) return context_;
  auto made = make_context();
  if (!made) {
    log::warn("rhino", "the changed certificates cannot be used, the old ones stay: {}",
              made.error().message);
    return context_;
  }
  log::info("rhino", "the certificates have changed");
  stamps_ = now;
  context_ = std::move(*made);
  return context_;
}

std::shared_ptr<grpc::ServerCredentials> ServerCertificates::grpc_credentials() const {
  namespace ge = grpc::experimental;
  auto provider = std::make_shared<ge::FileWatcherCertificateProvider>(flags_.key_file, flags_.cert_file,
                                                                       flags_.trusted_ca_file,
                                                                           grpc_refresh_s);
  ge::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (flags_.requires_client_certificate()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  } else {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  }
  options.set_check_call_host(false);
  return ge::TlsServerCredentials(options);
}

Result<void> ensure_self_signed(Flags& flags) {
  if (!flags.tls.auto_tls) return {};
  if (!flags.tls.is_empty()) {
    log::warn("rhino", "--auto-tls is not looked at, as certificates are named");
    return {};
  }
  const auto folder = std::filesystem::absolute(flags.data_dir) / "fixtures" / "client";
  flags.tls.cert_file = folder / "cert.pem";
  flags.tls.key_file = folder / "key.pem";
  if (std::filesystem::exists(flags.tls.cert_file) && std::filesystem::exists(flags.tls.key_file)) return {};
  RN_CHECK(certs::make_folder(folder, 0700));
  const auto now = Clock::system().now();
  const std::chrono::hours validity(24 * 365 * flags.tls.self_signed_validity_years);
  RN_TRY(const auto authority,
         certs::make_authority({.common_name = "rhino-auto-tls", .validity = validity}, now));
  certs::LeafRequest request;
  request.common_name = flags.name;
  request.organizations = {"etcd"};
  request.is_server = true;
  request.validity = validity;
  for (const auto* urls : {&flags.listen_client_urls, &flags.listen_client_http_urls})
    for (const auto& url : *urls) {
      const auto host = url.host_name();
      unsigned char bytes[16];
      const bool is_ip = ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
          ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
      if (!host.empty()) (is_ip ? request.ip_addresses : request.dns_names).push_back(host);
    }
  RN_TRY(const auto leaf, certs::issue(authority, request, now));
  RN_CHECK(certs::write_atomically(flags.tls.key_file, leaf.key_pem, 0600));
  log::info("rhino", "made a self-signed certificate: {}", flags.tls.cert_file);
  return certs::write_atomically(flags.tls.cert_file, leaf.certificate_pem + authority.certificate_pem, 0644);
}

Result<void> restrict_tls(const TlsFlags& flags) {
  if (const auto suites = openssl_suites(flags.cipher_suites); !suites.empty())
    ::setenv("GRPC_SSL_CIPHER_SUITES", suites.c_str(), 1);
  if (flags.allows_tls12 && flags.allows_tls13) return {};
  // Every context of the process is made with OpenSSL's system defaults first; what they forbid stays
  // forbidden.
  const std::string text = fmt::format(
      "openssl_conf = init\n[init]\nssl_conf = modules\n"
      "[modules]\nsystem_default = limits\n[limits]\nProtocol = {}\n",
      flags.allows_tls13 ? "-TLSv1.2" : "-TLSv1.3");
  ::OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);
  std::unique_ptr<BIO,
      decltype(&::BIO_free)> bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &::BIO_free);
  std::unique_ptr<CONF, decltype(&::NCONF_free)> conf(::NCONF_new(nullptr), &::NCONF_free);
  long line = 0;
  if (!bio || !conf || ::NCONF_load_bio(conf.get(), bio.get(), &line) <= 0 ||
      ::CONF_modules_load(conf.get(), nullptr, 0) <= 0)
    return internal_error(fmt::format("cannot restrict the versions of TLS: {}", http::openssl_errors()));
  return {};
}

}  // namespace rusternetes::rhino
