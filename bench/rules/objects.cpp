#include "rules/objects.h"

#include <fmt/format.h>

#include "load/objects.h"

namespace rusternetes::bench {
namespace {

std::string endpoints(const Scale& scale, std::size_t service, std::uint16_t first) {
  std::string out;
  for (std::size_t i = 0; i < scale.endpoints; ++i)
    out += fmt::format(
        R"({}{{"addresses":["{}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},"nodeName":"{}"}})",
        i == 0 ? "" : ",", endpoint_address(i == 0 ? first : scale.number(service, i)), kNode);
  return out;
}

}  // namespace

std::string endpoint_address(std::uint16_t number) {
  return fmt::format("10.244.{}.{}", number >> 8, number & 255);
}

std::string node(const std::string& address) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{0}","labels":{{"kubernetes.io/hostname":"{0}"}}}},)"
      R"("spec":{{"podCIDR":"10.244.0.0/16","podCIDRs":["10.244.0.0/16"]}},)"
      R"("status":{{"addresses":[{{"type":"InternalIP","address":"{1}"}},{{"type":"Hostname","address":"{0}"}}]}}}})",
      kNode, address);
}

std::string service_name(std::size_t service) { return fmt::format("service-{:04}", service); }

std::string service(std::size_t number) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{}"}},)"
      R"("spec":{{"ports":[{{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"}}]}}}})",
      service_name(number));
}

std::string slice(const Scale& scale, std::size_t service) {
  return fmt::format(
      R"({{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"name":"{0}-bench",)"
      R"("labels":{{"kubernetes.io/service-name":"{0}"}}}},"addressType":"IPv4",)"
      R"("ports":[{{"name":"http","port":8080,"protocol":"TCP"}}],"endpoints":[{1}]}})",
      service_name(service), endpoints(scale, service, scale.number(service, 0)));
}

std::string slice_patch(const Scale& scale, std::size_t service, std::uint16_t first) {
  return fmt::format(R"({{"endpoints":[{}]}})", endpoints(scale, service, first));
}

}  // namespace rusternetes::bench
