#pragma once
// What makes Services and names work on the node: kube-proxy's rules in its namespace, and the DNS server on its address.
// Each on a thread of its own; neither needs an engine.

#include <cstdint>
#include <memory>

#include "api-server/instance.h"
#include "base/status.h"
#include "rusternetes/node_setup.h"
#include "rusternetes/options.h"

namespace rusternetes {

class Traffic {
 public:
  // Of kube-proxy, in a node that is a namespace of its own.
  static constexpr std::uint16_t kHealthPort = 10256, kMetricsPort = 10249;
  // Binds the DNS server's sockets, so that the API can tell from the start where they are: port 53 of a node of its own, a
  // free one where the host, which may have a server there, is the node. `options` and `setup` outlive it.
  static Result<std::unique_ptr<Traffic>> prepare(const ProcessOptions& options, const NodeSetup& setup);
  ~Traffic();  // stop()

  std::uint16_t dns_port() const;
  Result<void> start(api_server::Instance& api);
  // Rules stay where the namespace does: what runs goes on, until the next start takes them over.
  void stop();

 private:
  struct Impl;
  explicit Traffic(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes
