// Services and what stands behind and before them: endpoints, ingresses, addresses, network policies.

#include <set>

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/api/networking_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

// Addresses and names of a load balancer, each once, in order.
template <class Ingress>
std::string balancer_text(const Ingress& ingress) {
  std::set<std::string_view> points;
  for (const auto one : ingress) {
    if (!one.ip().empty())
      points.insert(one.ip());
    else if (!one.hostname().empty())
      points.insert(one.hostname());
  }
  return joined(points);
}

std::string external_text(const core_v1::Service& service) {
  const auto spec = service.spec();
  const std::string external = joined(spec.externalIPs());
  if (spec.type() == "ClusterIP" || spec.type() == "NodePort") return std::string(or_none(external));
  if (spec.type() == "ExternalName") return std::string(spec.externalName());
  if (spec.type() != "LoadBalancer") return "<unknown>";
  const std::string balancer = balancer_text(service.status().loadBalancer().ingress());
  if (external.empty()) return balancer.empty() ? "<pending>" : balancer;
  return balancer.empty() ? external : balancer + "," + external;
}

void print_service(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Service service(&object);
  const auto spec = service.spec();
  std::string ports;
  for (const auto port : spec.ports()) {
    if (!ports.empty()) ports += ',';
    ports += port.nodePort() > 0 ? fmt::format("{}:{}/{}", port.port(), port.nodePort(), port.protocol())
                                 : fmt::format("{}/{}", port.port(), port.protocol());
  }
  cells.text(service.metadata().name());
  cells.text(spec.type());
  cells.text(spec.clusterIPs().empty() ? or_none(spec.clusterIP()) : spec.clusterIPs()[0]);
  cells.text(external_text(service));
  cells.text(or_none(ports));
  cells.text(age_of(service.metadata().creationTimestamp(), now_us));
  cells.text(labels_text(spec.selector()));
}

std::string host_port(std::string_view host, std::int64_t port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                  : fmt::format("[{}]:{}", host, port);
}

void print_endpoints(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Endpoints endpoints(&object);
  ShortList list(3);
  for (const auto subset : endpoints.subsets()) {
    // A headless service may have no ports.
    if (subset.ports().empty())
      for (const auto address : subset.addresses()) list.add(address.ip());
    for (const auto port : subset.ports())
      for (const auto address : subset.addresses()) list.add(host_port(address.ip(), port.port()));
  }
  cells.text(endpoints.metadata().name());
  cells.text(endpoints.subsets().empty() ? "<none>" : list.text());
  cells.text(age_of(endpoints.metadata().creationTimestamp(), now_us));
}

void print_endpoint_slice(Cells& cells, const Value& object, std::int64_t now_us) {
  const discovery_v1::EndpointSlice slice(&object);
  ShortList ports(3), endpoints(3);
  for (const auto port : slice.ports())
    ports.add(port.has_port()   ? std::to_string(port.port())
              : port.has_name() ? std::string(port.name())
                                : "*");
  for (const auto endpoint : slice.endpoints())
    for (const auto address : endpoint.addresses()) endpoints.add(address);
  auto or_unset = [](const ShortList& list) { return list.empty() ? std::string("<unset>") : list.text(); };
  cells.text(slice.metadata().name());
  cells.text(slice.addressType());
  cells.text(or_unset(ports));
  cells.text(or_unset(endpoints));
  cells.text(age_of(slice.metadata().creationTimestamp(), now_us));
}

// The hosts of the first three rules that have one; rules beyond are counted.
std::string hosts_text(const ListView<networking_v1::IngressRule>& rules) {
  constexpr std::size_t limit = 3;
  std::string out;
  std::size_t count = 0;
  bool has_more = false;
  for (const auto rule : rules) {
    has_more |= count == limit;
    if (has_more || rule.host().empty()) continue;
    out += fmt::format("{}{}", out.empty() ? "" : ",", rule.host());
    ++count;
  }
  if (count == 0) return "*";
  return has_more ? fmt::format("{} + {} more...", out, rules.size() - limit) : out;
}

void print_ingress(Cells& cells, const Value& object, std::int64_t now_us) {
  const networking_v1::Ingress ingress(&object);
  const auto spec = ingress.spec();
  cells.text(ingress.metadata().name());
  cells.text(spec.has_ingressClassName() ? spec.ingressClassName() : std::string_view("<none>"));
  cells.text(hosts_text(spec.rules()));
  cells.text(balancer_text(ingress.status().loadBalancer().ingress()));
  cells.text(spec.tls().empty() ? "80" : "80, 443");
  cells.text(age_of(ingress.metadata().creationTimestamp(), now_us));
}

void print_ingress_class(Cells& cells, const Value& object, std::int64_t now_us) {
  const networking_v1::IngressClass one(&object);
  std::string parameters = "<none>";
  if (one.spec().has_parameters()) {
    const auto reference = one.spec().parameters();
    parameters = reference.kind();
    if (reference.has_apiGroup()) parameters += fmt::format(".{}", reference.apiGroup());
    parameters += fmt::format("/{}", reference.name());
  }
  cells.text(one.metadata().name());
  cells.text(one.spec().controller());
  cells.text(parameters);
  cells.text(age_of(one.metadata().creationTimestamp(), now_us));
}

void print_network_policy(Cells& cells, const Value& object, std::int64_t now_us) {
  const networking_v1::NetworkPolicy policy(&object);
  cells.text(policy.metadata().name());
  cells.text(selector_or_none(policy.spec().podSelector()));
  cells.text(age_of(policy.metadata().creationTimestamp(), now_us));
}

// As with kube-apiserver, a row has an age although there is no column for it.
void print_ip_address(Cells& cells, const Value& object, std::int64_t now_us) {
  const networking_v1::IPAddress address(&object);
  std::string parent = "<none>";
  if (address.spec().has_parentRef()) {
    const auto reference = address.spec().parentRef();
    parent = lowered(reference.resource());
    if (!reference.group().empty()) parent += "." + lowered(reference.group());
    if (!reference.namespace_().empty()) parent += fmt::format("/{}", reference.namespace_());
    parent += fmt::format("/{}", reference.name());
  }
  cells.text(address.metadata().name());
  cells.text(parent);
  cells.text(age_of(address.metadata().creationTimestamp(), now_us));
}

void print_service_cidr(Cells& cells, const Value& object, std::int64_t now_us) {
  const networking_v1::ServiceCIDR range(&object);
  cells.text(range.metadata().name());
  cells.text(joined(range.spec().cidrs()));
  cells.text(age_of(range.metadata().creationTimestamp(), now_us));
}

constexpr PrinterEntry printers[] = {
    {"", "", "services", print_service},
    {"", "", "endpoints", print_endpoints},
    {"discovery.k8s.io", "", "endpointslices", print_endpoint_slice},
    {"networking.k8s.io", "", "ingresses", print_ingress},
    {"networking.k8s.io", "", "ingressclasses", print_ingress_class},
    {"networking.k8s.io", "", "networkpolicies", print_network_policy},
    {"networking.k8s.io", "", "ipaddresses", print_ip_address},
    {"networking.k8s.io", "", "servicecidrs", print_service_cidr},
};

}  // namespace

std::span<const PrinterEntry> networking_printers() { return printers; }

}  // namespace rusternetes::api_server
