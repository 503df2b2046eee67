#pragma once
// The container through which host-network Pods come to the network of a node that is a namespace of its own (design.md §4):
// made with the first such Pod, started again when it is killed. Pods in the namespace do not notice its end.

#include <string>

#include "engine/runtime.h"
#include "kubelet/node/pod_network.h"
#include "kubelet/options.h"

namespace rusternetes::kubelet {

class NetworkHolder {
 public:
  // `patience`: for its process to enter the namespace (well under a millisecond), and for the engine to notice that one
  // was killed.
  NetworkHolder(asio::any_io_executor executor, engine::Runtime& runtime, const KubeletOptions& options, const PodNetwork& network,
                std::chrono::milliseconds patience = std::chrono::seconds(2))
      : runtime_(runtime), options_(options), network_(network), patience_(patience), free_(std::move(executor)) {
    free_.set();
  }

  // Whether host-network Pods join a holder of ours, rather than the host or a container that was named.
  bool is_needed() const {
    return options_.host_network == engine::SandboxNetwork::container && options_.holder_container.empty();
  }
  // The id of a running holder that is in the node's network: what Pods join. One caller at a time; others wait.
  Task<Result<std::string>> ensure();
  // Removes holders of namespaces that are gone.
  Task<> clean();

 private:
  Task<Result<std::string>> run();
  engine::Runtime& runtime_;
  const KubeletOptions& options_;
  const PodNetwork& network_;
  const std::chrono::milliseconds patience_;
  AsyncEvent free_;
  std::string id_;  // the last that fitted
};

}  // namespace rusternetes::kubelet
