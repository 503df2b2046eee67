#pragma once
// The node's part of the process: engine, runtime and kubelet on a thread of their own.

#include <memory>

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
  Result<void> start();
  // The kubelet ends; containers go on.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes
