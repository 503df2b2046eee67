// What is valid in Services and endpoints and yet does not do what its writer may think (the rules of
// pkg/api/service and of GetWarningsForIP).

#include <fmt/format.h>

#include "api-server/strategy/service_fields.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Service;
using core_v1::ServiceSpec;

namespace {

void add_all(Warnings& warnings, Messages messages) {
  for (auto& message : messages) warnings.add(std::move(message));
}

void warn_about_ips(const TextList& addresses, const FieldPath& list, Warnings& warnings) {
  std::int64_t i = 0;
  for (const auto address : addresses) warn_about_ip(address, list.index(i++), warnings);
}

void warn_about_headless(const ServiceSpec& spec, Warnings& warnings) {
  if (spec.type() != "ClusterIP" || spec.clusterIP() != "None") return;
  if (!spec.loadBalancerIP().empty()) warnings.add("spec.loadBalancerIP is ignored for headless services");
  if (!spec.externalIPs().empty()) warnings.add("spec.externalIPs is ignored for headless services");
  if (spec.sessionAffinity() != "None") warnings.add("spec.SessionAffinity is ignored for headless services");
}

}  // namespace

void warn_about_ip(std::string_view address, const FieldPath& path, Warnings& warnings) {
  add_all(warnings, ip_warnings(path.to_string(), address));
}

void warn_about_service(const Service& service, Warnings& warnings) {
  const ServiceSpec spec = service.spec();
  const FieldPath path("spec"), ranges = path.child("loadBalancerSourceRanges");
  constexpr std::string_view hints = "service.kubernetes.io/topology-aware-hints";
  if (service.metadata().annotations().contains(hints))
    warnings.add(fmt::format(
        "annotation {} is deprecated, please use service.kubernetes.io/topology-mode instead", hints));
  if (!spec.clusterIP().empty() && spec.clusterIP() != "None")
    warn_about_ips(spec.clusterIPs(), path.child("clusterIPs"), warnings);
  warn_about_headless(spec, warnings);
  warn_about_ips(spec.externalIPs(), path.child("externalIPs"), warnings);
  if (!spec.loadBalancerIP().empty())
    warn_about_ip(spec.loadBalancerIP(), path.child("loadBalancerIP"), warnings);
  std::int64_t i = 0;
  for (const auto range : spec.loadBalancerSourceRanges())
    add_all(warnings, cidr_warnings(ranges.index(i++).to_string(), range));
  const bool is_name = spec.type() == "ExternalName";
  if (is_name && !spec.externalIPs().empty())
    warnings.add(R"(spec.externalIPs is ignored when spec.type is "ExternalName")");
  if (!is_name && !spec.externalName().empty())
    warnings.add(R"(spec.externalName is ignored when spec.type is not "ExternalName")");
  if (spec.trafficDistribution() == "PreferClose")
    warnings.add(R"(spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone")");
}

void warn_about_service_status(const Service& service, Warnings& warnings) {
  const FieldPath status("status"), balancer = status.child("loadBalancer"), list = balancer.child("ingress");
  std::int64_t i = 0;
  for (const auto ingress : service.status().loadBalancer().ingress()) {
    const FieldPath at = list.index(i++);
    if (!ingress.ip().empty()) warn_about_ip(ingress.ip(), at, warnings);
  }
}

}  // namespace rusternetes::api_server
