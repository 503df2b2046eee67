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
};

// Makes what is missing in the folder and reads it.
Result<ProcessPki> load_pki(const ProcessOptions& options);
// DATA_DIR/kubeconfig of the administrator; its path.
Result<std::string> write_admin_kubeconfig(const ProcessOptions& options, const ProcessPki& pki, std::uint16_t port);

}  // namespace rusternetes
