#include "load/objects.h"

#include <fmt/format.h>

namespace rusternetes::bench {
namespace {

std::string condition(const char* type) {
  return fmt::format(
      R"({{"type":"{}","status":"True","observedGeneration":1,"lastProbeTime":null,"lastTransitionTime":"2026-01-02T03:04:05Z"}})",
      type);
}

std::string container_status(const char* name, std::size_t n) {
  return fmt::format(
      R"({{"name":"{0}","state":{{"running":{{"startedAt":"2026-01-02T03:04:04Z"}}}},"lastState":{{}},"ready":true,)"
      R"("restartCount":0,"started":true,"image":"registry.example/shop/{0}:1.2.3",)"
      R"("imageID":"registry.example/shop/{0}@sha256:{1:064x}","containerID":"containerd://{2:064x}"}})",
      name, std::size_t{0x5eed}, n * 2654435761u);
}

}  // namespace

std::string pod_name(std::size_t n) { return fmt::format("pod-{:06}", n); }

std::string bare_pod(const std::string& name) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","labels":{{"app":"shop"}}}},)"
      R"("spec":{{"automountServiceAccountToken":false,"containers":[{{"name":"web","image":"registry.example/shop/web:1.2.3",)"
      R"("ports":[{{"containerPort":8080}}],"resources":{{"requests":{{"cpu":"10m","memory":"32Mi"}}}}}}]}}}})",
      name);
}

std::string running_status(std::size_t n) {
  const auto address = fmt::format("10.{}.{}.{}", 64 + (n >> 16), (n >> 8) & 255, n & 255);
  return fmt::format(
      R"({{"status":{{"phase":"Running","conditions":[{},{},{},{},{}],"hostIP":"192.0.2.{}","hostIPs":[{{"ip":"192.0.2.{}"}}],)"
      R"("podIP":"{}","podIPs":[{{"ip":"{}"}}],"startTime":"2026-01-02T03:04:03Z","containerStatuses":[{}],"qosClass":"Burstable"}}}})",
      condition("PodReadyToStartContainers"), condition("Initialized"), condition("Ready"),
      condition("ContainersReady"), condition("PodScheduled"), n % 250 + 1, n % 250 + 1, address, address,
      container_status("web", n));
}

std::string small_patch(std::size_t turn) {
  return fmt::format(
      R"({{"metadata":{{"labels":{{"turn":"t{}"}},"annotations":{{"example.com/checked":"{}"}}}}}})",
      turn % 7, turn);
}

}  // namespace rusternetes::bench
