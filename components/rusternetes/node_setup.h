#pragma once
// The node's network as the process finds it, or, by hand, makes it: namespace, drop rule, link, routes.

#include <memory>
#include <optional>

#include "network/namespace.h"
#include "rusternetes/options.h"

namespace rusternetes {

class NodeSetup {
 public:
  // With the launcher: opens the namespace that the supervisor pins and checks that the drop rule stands. By hand: makes all
  // of it, in the order that keeps invariant 14; the destructor takes it away again.
  static Result<std::unique_ptr<NodeSetup>> prepare(const ProcessOptions& options);
  ~NodeSetup();

  const network::NetworkNamespace& host() const { return *host_; }
  // The host's when the node is the host itself.
  const network::NetworkNamespace& node() const { return *node_; }

 private:
  explicit NodeSetup(const ProcessOptions& options) : options_(options) {}
  Result<void> make();
  ProcessOptions options_;
  std::optional<network::NetworkNamespace> host_, node_;
  bool made_ = false;
};

// A listening TCP socket in a namespace; the caller owns the descriptor.
Result<int> listen_in(const network::NetworkNamespace& where, const std::string& address, std::uint16_t port);

}  // namespace rusternetes
