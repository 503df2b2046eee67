#pragma once
// The node agent: keeps the Node and its Lease, runs the Pods bound to the node, and serves their logs. Works the same in
// the one process and as a binary of its own.

#include <memory>
#include <string>

#include "base/status.h"
#include "base/task.h"
#include "client/api_client.h"
#include "engine/runtime.h"
#include "kubelet/options.h"

namespace rusternetes::kubelet {

class Kubelet {
 public:
  // `client` is system:node:NODE_NAME; `runtime` belongs to the same executor; both outlive the kubelet. `node_reader`
  // may list Nodes (the Node authorizer refuses that to kubelets): with it the node gets routes to the other nodes' Pods.
  Kubelet(client::ApiClient& client, engine::Runtime& runtime, KubeletOptions options,
          client::ApiClient* node_reader = nullptr);
  ~Kubelet();
  Kubelet(const Kubelet&) = delete;
  Kubelet& operator=(const Kubelet&) = delete;

  // From the executor's thread. Opens folders, the node's namespace and the server's port (those are what can fail now);
  // everything else goes on in the background and is retried.
  Task<Result<void>> start();
  // Ends the kubelet; Pods run on, and the next start adopts them.
  Task<> stop();

  // The port of the server, once started; 0 without one.
  std::uint16_t port() const;
  // What the Node says of it; empty: Pods can be run, as far as this process knows.
  std::string why_not_ready() const;
  // What /healthz says: ok, or why not.
  std::string health() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes::kubelet
