#pragma once
// The text of a kubeconfig with one cluster, one user and one context, everything embedded.

#include <string>
#include <string_view>

#include "base/status.h"
#include "certs/certificate.h"

namespace rusternetes::certs {

struct KubeconfigRequest {
  std::string cluster;  // name of the cluster entry
  std::string user;
  std::string context;
  std::string server;  // "https://127.0.0.1:6443"
  // Asked by our own components when it cannot be reached: an extension, which others leave alone.
  std::vector<std::string> further_servers;
  std::string authority_pem;
  KeyPair client;
};

// Fills templates/kubeconfig.yaml. Contains a private key: write it with mode 0600.
std::string render_kubeconfig(const KubeconfigRequest& request);

// Standard base64 (RFC 4648) on one line, as `*-data` fields hold it.
std::string base64(std::string_view bytes);

// Replaces each `@{name}` of a template by its value. An unknown or missing hole is a programmer error.
std::string fill_template(std::string_view text,
                          const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace rusternetes::certs
