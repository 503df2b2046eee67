#pragma once
// The world with two Pods on the node, one elsewhere, and policies served.

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "objects.h"
#include "policy_objects.h"
#include "world.h"

namespace rusternetes::kube_proxy::testing {

constexpr const char* vip = "10.96.0.10";
constexpr const char* node_ip = "10.213.0.11";
constexpr const char* address_a = "10.244.1.2";
constexpr const char* address_b = "10.244.1.3";
constexpr const char* address_far = "10.244.9.2";
inline const std::string policy_table = network_policy::PolicyLoader::table("kube-proxy-test");
inline const std::string http_port = R"({"name":"http","containerPort":8080,"protocol":"TCP"})";

// Pod a is labelled app=web, b app=db, far app=far and of namespace "away", whose team is red.
inline const std::vector<std::pair<std::string, Document>>& pods() {
  static const std::vector<std::pair<std::string, Document>> out = {
      {"namespaces", name_space("default")},
      {"namespaces", name_space("away", R"("team":"red")")},
      {"namespaces", name_space("kube-system")},
      {"pods", pod({"a", address_a, R"("app":"web")", "here", "default", http_port})},
      {"pods", pod({"b", address_b, R"("app":"db")", "here", "default", http_port})},
      {"pods", pod({"far", address_far, R"("app":"far")", "other", "away", http_port})}};
  return out;
}

inline void serve_pods(World& world) {
  for (const auto& [name, address] :
       {std::pair{"a", address_a}, std::pair{"b", address_b}, std::pair{"far", address_far}})
    for (const std::uint16_t port : {std::uint16_t(8080), std::uint16_t(9090)}) {
      world.serve_tcp(fmt::format("{}{}", name, port), world.pods.at(name), address, port);
      world.serve_udp(fmt::format("{}{}", name, port), world.pods.at(name), address, port);
    }
}

// The world with policies served.
struct Policies {
  explicit Policies(std::function<void(KubeProxyOptions&)> change = {})
      : proxy(world.node, std::move(change), true) {
    serve_pods(world);
    proxy.set_policies(pods());
  }
  void start(const std::vector<Document>& policies = {}) {
    for (const auto& each : policies) proxy.set_policies({{"networkpolicies", each}});
    proxy.start();
  }
  void set(const Document& object) { proxy.set_policies({{"networkpolicies", object}}); }
  void remove(const std::string& name) { proxy.remove_policies({{"networkpolicies", "default/" + name}}); }
  bool passes(const NetworkNamespace& from, const char* to, std::uint16_t port = 8080) {
    return world.tcp(from, to, port, 3000).outcome == "ok";
  }
  bool passes(const std::string& from, const char* to, std::uint16_t port = 8080) {
    return passes(world.pods.at(from), to, port);
  }
  // What does not pass is silent, not refused.
  bool is_denied(const NetworkNamespace& from, const char* to, std::uint16_t port = 8080) {
    return world.tcp(from, to, port, 300).outcome == "silence";
  }
  bool is_denied(const std::string& from, const char* to, std::uint16_t port = 8080) {
    return is_denied(world.pods.at(from), to, port);
  }
  bool passes_udp(const std::string& from, const char* to, std::uint16_t port = 8080, int limit_ms = 3000) {
    auto socket = world.udp_socket(world.pods.at(from));
    return world.udp(socket, to, port, limit_ms).outcome == "ok";
  }
  bool is_denied_udp(const std::string& from, const char* to, std::uint16_t port = 8080) {
    return !passes_udp(from, to, port, 300);
  }
  World world;
  Proxy proxy;
};

inline const Document deny_ingress = policy("deny", R"("podSelector":{})");
inline const Document deny_egress = policy("deny", R"("podSelector":{},"policyTypes":["Egress"])");
inline Document allow_ingress(const std::string& rule, const std::string& target = "") {
  return policy("allow", R"("podSelector":{)" + target + R"(},"ingress":[)" + rule + "]");
}
inline Document allow_egress(const std::string& rule) {
  return policy(
      "allow",
      R"("podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Egress"],"egress":[)" + rule + "]");
}
inline std::string from_pods(const std::string& labels) {
  return R"({"podSelector":{"matchLabels":{)" + labels + "}}}";
}

}  // namespace rusternetes::kube_proxy::testing
