#pragma once
// Port-forward: the client's connections to ports of a Pod, made inside the Pod's network namespace.

#include <memory>
#include <string>

#include "base/worker.h"
#include "http/streams/port_forward.h"
#include "network/namespace.h"

namespace rusternetes::kubelet {

struct ForwardTarget {
  std::string sandbox_id;  // for messages
  network::NetworkNamespace network;
};

// Until the client goes or, where it named its ports beforehand, until all of them have ended. `sockets`
// makes sockets inside the namespace.
Task<> run_port_forward_session(WorkerThread& sockets, std::unique_ptr<http::PortForward> client,
                                ForwardTarget target);

}  // namespace rusternetes::kubelet
