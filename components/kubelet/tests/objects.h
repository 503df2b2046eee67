#pragma once
// Pods and runtime states for tests of decisions.

#include <string>

#include "client/object_builder.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/runtime_state.h"

namespace rusternetes::kubelet::testing {

// `spec` and `status` are JSON objects; the Pod is default/web with uid u1.
inline Document make_pod(const std::string& spec, const std::string& status = "{}", const std::string& metadata_more = "") {
  return client::ObjectBuilder::from_json(
      core_v1::Pod::schema_type(),
      R"({"metadata":{"name":"web","namespace":"default","uid":"u1","generation":1,"resourceVersion":"5")" + metadata_more +
          R"(},"spec":)" + spec + R"(,"status":)" + status + "}");
}

inline engine::SandboxStatus ready_sandbox(std::string id = "s1", std::uint32_t attempt = 0) {
  engine::SandboxStatus out;
  out.id = std::move(id);
  out.attempt = attempt;
  out.state = engine::SandboxState::ready;
  out.network = engine::SandboxNetwork::own;
  return out;
}

inline engine::ContainerStatus container(std::string name, engine::ContainerState state, int exit_code = 0,
                                         std::uint32_t attempt = 0, std::string sandbox = "s1") {
  engine::ContainerStatus out;
  out.name = std::move(name);
  out.id = out.name + std::to_string(attempt);
  out.sandbox_id = std::move(sandbox);
  out.attempt = attempt;
  out.image = "busybox";
  out.image_id = "sha256:1";
  out.state = state;
  out.exit_code = exit_code;
  out.created_at_ns = 1'700'000'000'000'000'000 + attempt * 1'000'000'000LL;
  out.started_at_ns = out.created_at_ns;
  if (state == engine::ContainerState::exited) {
    out.finished_at_ns = out.created_at_ns + 500'000'000;
    out.reason = exit_code == 0 ? "Completed" : "Error";
  }
  return out;
}

inline PodRuntimeState state_of(std::vector<engine::ContainerStatus> containers, bool has_sandbox = true) {
  PodRuntimeState out;
  if (has_sandbox) {
    out.sandboxes.push_back(ready_sandbox());
    out.pod_ips = {"10.0.0.5"};
  }
  out.containers = std::move(containers);
  out.sort();
  return out;
}

}  // namespace rusternetes::kubelet::testing
