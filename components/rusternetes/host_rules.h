#pragma once
// Keeps what the cluster needs of rules that are others' on the host: its accepts in Docker's DOCKER-USER chain. They are
// looked at when it starts and whenever a rule of the host changes. They stay when it stops; the link's owner takes them away.

#include <memory>
#include <string>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes {

class HostRules {
 public:
  HostRules(const network::NetworkNamespace& host, std::string cluster);
  ~HostRules();  // stop()
  // Looks once before it returns; what is refused is logged, since the cluster works without Docker's consent elsewhere.
  Result<void> start();
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes
