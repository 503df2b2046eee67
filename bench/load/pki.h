#pragma once
// Certificates and kubeconfigs for a control plane that lives as long as a measurement.

#include <string>

#include "base/status.h"

namespace rusternetes::bench {

// Writes ca.crt, server.{crt,key}, sa.{key,pub}, and a kubeconfig for admin, scheduler and controller-manager
// that names `server`, into the folder, which must exist.
Result<void> write_pki(const std::string& folder, const std::string& server);

}  // namespace rusternetes::bench
