#include "network/published_ports.h"

#include <fmt/format.h>

#include <charconv>

#include "network/names.h"
#include "network/nft.h"
#include "network/nft_state.h"

namespace rusternetes::network {

namespace {
std::uint16_t parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port <= 65535 ? static_cast<std::uint16_t>(port) : 0;
}

// One for each port and family.
std::vector<std::string> rules(const PublishedPorts& wanted, std::string_view from) {
  std::vector<std::string> out;
  for (const IpAddress& node : wanted.node_addresses)
    for (const PublishedPort& port : wanted.ports)
      out.push_back(
          node.is_v4()
              ? fmt::format("{}ip daddr != 127.0.0.0/8 fib daddr type local tcp dport {} dnat ip to {}:{}",
                            from, port.host_port, node.to_string(), port.node_port)
              : fmt::format("{}ip6 daddr != ::1 fib daddr type local tcp dport {} dnat ip6 to [{}]:{}", from,
                            port.host_port, node.to_string(), port.node_port));
  return out;
}
}  // namespace

Result<PublishedPort> PublishedPort::parse(std::string_view text) {
  const auto colon = text.find(':');
  PublishedPort port;
  if (colon != std::string_view::npos) port = {parse_port(text.substr(0, colon)), parse_port(text.substr(colon + 1))};
  if (port.host_port == 0 || port.node_port == 0)
    return Status{400, "BadRequest", fmt::format("\"{}\" is not HOST:NODEPORT, two port numbers such as 8080:30080", text)};
  return port;
}

std::string PublishedPort::to_string() const { return fmt::format("{}:{}", host_port, node_port); }

RuleTable published_table(const PublishedPorts& wanted) {
  const std::string links = wanted.links.empty() ? cluster_links(wanted.cluster) : wanted.links;
  return {table_name(wanted.cluster, "publish"),
          {{"prerouting", "type nat hook prerouting priority -100",
            rules(wanted, fmt::format("iifname != \"{}\" ", links))},
           {"output", "type nat hook output priority -100", rules(wanted, "")}}};
}

Result<> load_published_ports(const NetworkNamespace& host, const PublishedPorts& wanted) {
  if (wanted.ports.empty()) return remove_published_ports(host, wanted.cluster);
  return load_table(host, published_table(wanted));
}

Result<bool> has_published_ports(const NetworkNamespace& host, std::string_view cluster) {
  return has_rules(host, table_name(cluster, "publish"), "prerouting");
}

Result<> remove_published_ports(const NetworkNamespace& host, std::string_view cluster) {
  return inside(host, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(fmt::format("add table inet {0}\ndelete table inet {0}\n", table_name(cluster, "publish"))));
    return {};
  });
}

}  // namespace rusternetes::network
