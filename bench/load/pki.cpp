#include "load/pki.h"

#include <filesystem>

#include "base/clock.h"
#include "certs/certificate.h"
#include "certs/file.h"
#include "certs/key.h"
#include "certs/kubeconfig.h"

namespace rusternetes::bench {

Result<void> write_pki(const std::string& folder, const std::string& server) {
  const std::filesystem::path to = folder;
  const auto now = Clock::system().now();
  auto write_secret = [&](const char* name, std::string_view text) {
    return certs::write_atomically(to / name, text, certs::private_mode);
  };
  auto write_public = [&](const char* name, std::string_view text) {
    return certs::write_atomically(to / name, text, certs::public_mode);
  };
  RN_TRY(const auto authority, certs::make_authority({.common_name = "bench"}, now));
  RN_CHECK(write_public("ca.crt", authority.certificate_pem));
  RN_CHECK(write_secret("ca.key", authority.key_pem));

  certs::LeafRequest serving;
  serving.common_name = "kube-apiserver";
  serving.dns_names = {"localhost"};
  serving.ip_addresses = {"127.0.0.1", "10.96.0.1"};
  serving.is_server = true;
  RN_TRY(const auto server_pair, certs::issue(authority, serving, now));
  RN_CHECK(write_public("server.crt", server_pair.certificate_pem));
  RN_CHECK(write_secret("server.key", server_pair.key_pem));

  RN_TRY(const auto signing_key, certs::generate_key(certs::KeyAlgorithm::ecdsa_p256));
  RN_TRY(const auto verifying_key, certs::public_key_of(signing_key));
  RN_CHECK(write_secret("sa.key", signing_key));
  RN_CHECK(write_public("sa.pub", verifying_key));

  struct User {
    const char *file, *name;
    std::vector<std::string> groups;
  };
  const User users[] = {{"admin.kubeconfig", "admin", {"system:masters"}},
                        {"scheduler.kubeconfig", "system:kube-scheduler", {}},
                        {"controller-manager.kubeconfig", "system:kube-controller-manager", {}}};
  for (const auto& user : users) {
    certs::LeafRequest leaf;
    leaf.common_name = user.name;
    leaf.organizations = user.groups;
    leaf.is_client = true;
    RN_TRY(const auto pair, certs::issue(authority, leaf, now));
    const auto text = certs::render_kubeconfig({.cluster = "bench",
                                                .user = user.name,
                                                .context = "bench",
                                                .server = server,
                                                .authority_pem = authority.certificate_pem,
                                                .client = pair});
    RN_CHECK(write_secret(user.file, text));
  }
  return {};
}

}  // namespace rusternetes::bench
