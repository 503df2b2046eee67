#pragma once
// The node's network as the process finds it, or, by hand, makes it: namespace, drop rule, link, routes,
// masquerade.

#include <memory>
#include <optional>

#include "network/host_side.h"
#include "network/namespace.h"
#include "network/published_ports.h"
#include "rusternetes/options.h"

namespace rusternetes {

class NodeSetup {
 public:
  // With the launcher: opens the namespace that the supervisor pins and checks that the drop rule stands. By
  // hand: makes all of it, in the order that keeps invariant 14; the destructor takes it away again, after
  // the kubelet has ended.
  static Result<std::unique_ptr<NodeSetup>> prepare(const ProcessOptions& options,
                                                    const network::NetworkNamespace& host);
  ~NodeSetup();

  const network::NetworkNamespace& host() const { return host_; }
  // The host's when the node is the host itself.
  const network::NetworkNamespace& node() const { return *node_; }

 private:
  NodeSetup(const ProcessOptions& options, const network::NetworkNamespace& host)
      : options_(options), host_(host) {}
  Result<void> make();
  ProcessOptions options_;
  network::NetworkNamespace host_;
  std::optional<network::NetworkNamespace> node_;
  bool made_ = false;
};

// Of a node that is a namespace of its own.
Result<network::HostSide> host_side(const ProcessOptions& options);

// Of --publish.
Result<std::vector<network::PublishedPort>> published_ports(const ProcessOptions& options);

// A listening TCP socket in a namespace; the caller owns the descriptor.
Result<int> listen_in(const network::NetworkNamespace& where, const std::string& address, std::uint16_t port);

}  // namespace rusternetes
