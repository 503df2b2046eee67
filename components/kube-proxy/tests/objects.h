#pragma once
// Services and EndpointSlices of few words.

#include <catch2/catch.hpp>
#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "client/object_builder.h"
#include "kube-proxy/service_rules.h"

namespace rusternetes::kube_proxy::testing {

using apimachinery::Document;

// `spec` without its braces: R"("clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10"],"ports":[...])".
inline Document service(const std::string& name, const std::string& spec, const std::string& rest = "",
                        const std::string& metadata = "") {
  return client::ObjectBuilder::from_json(apimachinery::core_v1::Service::schema_type(),
                                          R"({"metadata":{"name":")" + name + R"(","namespace":"default")" +
                                              metadata + R"(},"spec":{)" + spec + "}" + rest + "}");
}

// A Service at one address with one port, "http", and more of spec.
inline Document web(const std::string& address, const std::string& more = "",
                    const std::string& protocol = "TCP", const std::string& rest = "",
                    const std::string& port = "80") {
  return service("web",
                 R"("clusterIP":")" + address + R"(","clusterIPs":[")" + address +
                     R"("],"ports":[{"name":"http","protocol":")" + protocol + R"(","port":)" + port +
                     (more.starts_with("nodePort") ? R"(,")" + more.substr(0, more.find(';')) : "") + "}]" +
                     (more.starts_with("nodePort") ? more.substr(more.find(';') + 1) : more),
                 rest);
}

struct Place {
  std::string address;
  std::string node = "other";
  std::string conditions = R"("ready":true)";
  std::string hints = "";  // R"("forZones":[{"name":"a"}])"
};

inline Document slice(const std::string& service, const std::vector<Place>& places,
                      const std::string& protocol = "TCP", int port = 8080, const std::string& type = "IPv4",
                      const std::string& name = "s1") {
  std::string endpoints;
  for (const auto& each : places)
    endpoints += (endpoints.empty() ? "" : ",") +
                 (R"({"addresses":[")" + each.address + R"("],"conditions":{)" + each.conditions + "}") +
                 (each.node.empty() ? "" : R"(,"nodeName":")" + each.node + '"') +
                 (each.hints.empty() ? "" : R"(,"hints":{)" + each.hints + "}") + "}";
  return client::ObjectBuilder::from_json(
      apimachinery::discovery_v1::EndpointSlice::schema_type(),
      R"({"metadata":{"name":")" + name + "-" + service +
          R"(","namespace":"default","labels":{"kubernetes.io/service-name":")" + service +
          R"("}},"addressType":")" + type + R"(","endpoints":[)" + endpoints +
          R"(],"ports":[{"name":"http","protocol":")" + protocol + R"(","port":)" + std::to_string(port) +
          "}]}");
}

inline Settings node_settings(const std::string& zone = "") {
  Settings out;
  out.base.table = "test-proxy";
  out.base.pod_cidrs = {*IpPrefix::parse("10.244.0.0/16")};
  out.node.name = "here";
  out.node.zone = zone;
  out.node.addresses = {*IpAddress::parse("10.213.0.11")};
  return out;
}

// "service-ips-4 KEY : VALUE" of each entry.
inline std::set<std::string> lines(const Rules& rules) {
  std::set<std::string> out;
  for (const auto& each : rules.entries)
    out.insert(container_name(each.element.container, each.element.family) + " " + each.element.key +
               (each.value.empty() ? "" : " : " + each.value));
  return out;
}

}  // namespace rusternetes::kube_proxy::testing
