#include "api-server/proxy/location.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apimachinery/cidr.h"
#include "apimachinery/errors.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using namespace apimachinery::core_v1;

namespace {

std::string bracketed(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
}

Location make_location(std::string_view scheme, std::string_view host, std::string_view port) {
  Location out;
  out.is_tls = scheme == "https";
  out.host = host;
  out.port = !port.empty() ? std::string(port) : out.is_tls ? "443" : "80";
  out.link_host = port.empty() ? bracketed(host) : fmt::format("{}:{}", bracketed(host), port);
  return out;
}

constexpr int kKubeletPort = 10250;

}  // namespace

std::string Location::authority() const { return fmt::format("{}:{}", bracketed(host), port); }

std::optional<SchemeNamePort> split_scheme_name_port(std::string_view id) {
  std::vector<std::string> parts;
  for (;;) {
    const auto colon = id.find(':');
    parts.emplace_back(id.substr(0, colon));
    if (colon == std::string_view::npos) break;
    id.remove_prefix(colon + 1);
  }
  SchemeNamePort out;
  if (parts.size() > 3) return {};
  if (parts.size() == 3) {
    out.scheme = parts[0];
    parts.erase(parts.begin());
  }
  out.name = parts[0];
  if (parts.size() > 1) out.port = parts[1];
  if (out.name.empty() || (!out.scheme.empty() && out.scheme != "http" && out.scheme != "https")) return {};
  return out;
}

std::optional<std::string> proxyable_address(std::string_view address) {
  const auto parsed = IpAddress::parse_sloppy(address);
  if (!parsed) return {};
  const IpAddress ip = parsed->unmap();
  const bool is_broadcast = ip.is_v4() && ip.bits() == 0xffffffffu;
  if (ip.is_unspecified() || is_broadcast || ip.is_loopback() || ip.is_multicast() || ip.is_link_local_unicast()) return {};
  return ip.to_string();
}

Result<std::string> choose_container(const Pod& pod, std::string_view wanted) {
  std::vector<std::string_view> all;
  for (const auto container : pod.spec().initContainers()) all.push_back(container.name());
  const std::size_t first = all.size();
  for (const auto container : pod.spec().containers()) all.push_back(container.name());
  const std::size_t count = all.size() - first;
  for (const auto container : pod.spec().ephemeralContainers()) all.push_back(container.name());
  const auto name = pod.metadata().name();
  if (!wanted.empty()) {
    if (std::find(all.begin(), all.end(), wanted) != all.end()) return std::string(wanted);
    return bad_request(fmt::format("container {} is not valid for pod {}", wanted, name));
  }
  if (count == 1) return std::string(all[first]);
  std::string text = fmt::format("a container name must be specified for pod {}", name);
  if (count) text += fmt::format(", choose one of: [{}]", fmt::join(all, " "));
  return bad_request(text);
}

Result<Location> kubelet_location(const Node& node) {
  std::string_view address;
  std::string known;
  for (const char* type : {"InternalIP", "ExternalIP"})
    for (const auto one : node.status().addresses())
      if (address.empty() && one.type() == type) address = one.address();
  if (address.empty()) {
    for (const auto one : node.status().addresses()) known += fmt::format("{}{{{} {}}}", known.empty() ? "" : " ", one.type(), one.address());
    return Status(500, "", fmt::format("no preferred addresses found; known addresses: [{}]", known));
  }
  const auto port = node.status().daemonEndpoints().kubeletEndpoint().Port();
  Location out = make_location("https", address, std::to_string(port > 0 ? port : kKubeletPort));
  out.is_kubelet = true;
  return out;
}

Result<Location> pod_location(const SchemeNamePort& asked, const Pod& pod) {
  std::string port = asked.port;
  for (const auto container : pod.spec().containers()) {
    if (!port.empty()) break;
    for (const auto one : container.ports()) {
      port = std::to_string(one.containerPort());
      break;
    }
  }
  std::string_view address = pod.status().podIP();
  for (const auto one : pod.status().podIPs()) {
    address = one.ip();
    break;
  }
  const auto allowed = proxyable_address(address);
  if (!allowed) return bad_request("address not allowed");
  return make_location(asked.scheme, *allowed, port);
}

Result<Location> node_location(const SchemeNamePort& asked, const Node& node) {
  RN_TRY(Location kubelet, kubelet_location(node));
  const auto allowed = proxyable_address(kubelet.host);
  if (!allowed) return bad_request("address not allowed");
  kubelet.host = *allowed;
  if (asked.port.empty() || asked.port == kubelet.port) return kubelet;
  return make_location(asked.scheme, kubelet.host, asked.port);
}

bool is_port_number(std::string_view port) {
  return !port.empty() && port.size() < 10 && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::string> service_port_name(const SchemeNamePort& asked, const Service& service) {
  if (!is_port_number(asked.port)) return asked.port;
  const auto number = std::stoll(asked.port);
  for (const auto port : service.spec().ports())
    if (port.port() == number) return std::string(port.name());
  return service_unavailable(fmt::format("no service port {} found for service {}", number, quote(asked.name)));
}

Result<Location> service_location(const SchemeNamePort& asked, std::string_view id, std::string_view port_name, std::string_view name_space,
                                  const Endpoints& endpoints, std::uint32_t seed,
                                  const std::function<Document(std::string_view name)>& find_pod) {
  struct Candidate {
    std::string address, pod;
    std::int64_t port;
  };
  std::vector<Candidate> all;
  for (const auto subset : endpoints.subsets())
    for (const auto port : subset.ports())
      if (port.name() == port_name)
        for (const auto address : subset.addresses())
          if (address.targetRef() && address.targetRef().namespace_() == name_space)
            all.push_back({std::string(address.ip()), std::string(address.targetRef().name()), port.port()});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Candidate& one = all[(seed + i) % all.size()];
    // An Endpoints object can be written by users: only what is really a Pod's address is proxied to.
    const Document document = find_pod(one.pod);
    if (!document) continue;
    for (const auto own : Pod(&document.root()).status().podIPs())
      if (own.ip() == one.address)
        if (const auto allowed = proxyable_address(one.address)) return make_location(asked.scheme, *allowed, std::to_string(one.port));
  }
  const bool is_empty = endpoints.subsets().empty();
  return service_unavailable(fmt::format("no endpoints available for service {}", quote(is_empty ? std::string_view(asked.name) : id)));
}

}  // namespace rusternetes::api_server
