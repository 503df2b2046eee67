#pragma once
// The certificates that the process serves and acts with, as PEM.

#include <string>

#include "base/status.h"
#include "rusternetes/options.h"

namespace rusternetes {

struct ProcessPki {
  std::string folder;
  std::string ca_pem;
  std::string api_server_certificate_pem, api_server_key_pem;
  std::string kubelet_client_certificate_pem, kubelet_client_key_pem;  // the api-server's, for kubelets
  std::string kubelet_certificate_pem, kubelet_key_pem;                // the kubelet's serving one
  std::string service_account_key_pem;
  std::string service_account_public_pem;  // every key whose tokens are good: several while one is replaced
};

// Makes what is missing in the folder and reads it.
Result<ProcessPki> load_pki(const ProcessOptions& options);
// "https://127.0.0.1:6443", as this host reaches it.
std::string server_url(const ProcessOptions& options, std::uint16_t port);
// DATA_DIR/kubeconfig of the administrator; its path. Without TLS it holds the token.
Result<std::string> write_admin_kubeconfig(const ProcessOptions& options, const ProcessPki& pki,
                                           std::uint16_t port);

// Without TLS no certificate can be shown: the administrator's token, made once and kept with mode 0600.
struct AdminToken {
  std::string token_path;  // DATA_DIR/admin.token: the token alone
  std::string table_path;  // DATA_DIR/tokens.csv, as --token-auth-file takes it
};
Result<AdminToken> ensure_admin_token(const ProcessOptions& options);

}  // namespace rusternetes
