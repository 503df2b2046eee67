#pragma once
// The node's part of the process: engine, runtime and kubelet on a thread of their own.

#include <memory>
#include <string>

#include "api-server/instance.h"
#include "rusternetes/node_setup.h"
#include "rusternetes/options.h"
#include "rusternetes/pki.h"

namespace rusternetes {

class Node {
 public:
  // References outlive the node.
  Node(const ProcessOptions& options, const ProcessPki& pki, const NodeSetup& setup,
       api_server::Instance& api);
  ~Node();
  // Empty: the kubelet runs. Else what is the matter with the engine: the API, which needs none, shows the node as not ready,
  // and the kubelet begins once the engine answers. An error is what no waiting helps: an engine that is rootless or of
  // another kind, or a kubelet that cannot start.
  Result<std::string> start();
  // The kubelet ends; containers go on.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes
