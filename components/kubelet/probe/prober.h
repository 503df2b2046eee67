#pragma once
// Makes one probe of a container: a command within it, or a connection from the node to the Pod. Belongs to one executor.

#include <string>

#include "base/status.h"
#include "base/task.h"
#include "engine/runtime.h"
#include "http/client.h"
#include "kubelet/pod/pod.h"
#include "kubelet/probe/results.h"

namespace rusternetes::kubelet {

struct ProbeOutcome {
  enum class Kind { success, warning, failure, unknown } kind = Kind::unknown;
  std::string output;  // what the container said (at most 10 KB), or why it failed
  std::string error;   // not empty: the probe itself could not be made, and tells nothing of the container

  bool is_success() const { return kind == Kind::success || kind == Kind::warning; }
};
std::string_view to_string(ProbeOutcome::Kind kind);

class Prober {
 public:
  explicit Prober(engine::Runtime& runtime) : runtime_(runtime) {}
  // Sockets in the node's network namespace; without it in that of the calling thread.
  void set_open_socket(http::OpenSocket open_socket) { open_socket_ = std::move(open_socket); }
  const http::OpenSocket& open_socket() const { return open_socket_; }

  // A probe that cannot be made is tried three times. `container_id` is the runtime's.
  Task<ProbeOutcome> probe(Document pod, ContainerRef ref, ProbeKind kind, std::string container_id, std::string pod_ip);

 private:
  Task<ProbeOutcome> probe_once(Document pod, ContainerRef ref, ProbeKind kind, std::string container_id, std::string pod_ip);
  Task<ProbeOutcome> exec(core_v1::Container container, core_v1::ExecAction action, std::string container_id, std::chrono::seconds timeout);
  Task<ProbeOutcome> ask(http::OpenSocket open_socket, core_v1::Container container, core_v1::Probe spec, std::string pod_ip,
                         std::chrono::seconds timeout);
  Task<ProbeOutcome> get(http::OpenSocket open_socket, core_v1::Container container, core_v1::HTTPGetAction action, std::string pod_ip, std::chrono::seconds timeout);

  engine::Runtime& runtime_;
  http::OpenSocket open_socket_;
};

}  // namespace rusternetes::kubelet
