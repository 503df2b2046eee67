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

std::string render(const PublishedPorts& wanted, std::string_view from) {
  std::string text;
  for (const IpAddress& node : wanted.node_addresses)
    for (const PublishedPort& port : wanted.ports)
      text += node.is_v4() ? fmt::format("    {}ip daddr != 127.0.0.0/8 fib daddr type local tcp dport {} dnat ip to {}:{}\n", from,
                                         port.host_port, node.to_string(), port.node_port)
                           : fmt::format("    {}ip6 daddr != ::1 fib daddr type local tcp dport {} dnat ip6 to [{}]:{}\n", from,
                                         port.host_port, node.to_string(), port.node_port);
  return text;
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

Result<> load_published_ports(const NetworkNamespace& host, const PublishedPorts& wanted) {
  if (wanted.ports.empty()) return remove_published_ports(host, wanted.cluster);
  const std::string commands = fmt::format(
      "add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n"
      "  chain prerouting {{\n    type nat hook prerouting priority -100; policy accept;\n{1}  }}\n"
      "  chain output {{\n    type nat hook output priority -100; policy accept;\n{2}  }}\n}}\n",
      table_name(wanted.cluster, "publish"), render(wanted, fmt::format("iifname != \"{}*\" ", interface_prefix(wanted.cluster))),
      render(wanted, ""));
  return inside(host, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(commands));
    return {};
  });
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
