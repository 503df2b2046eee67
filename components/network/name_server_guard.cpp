#include "network/name_server_guard.h"

#include <fmt/format.h>

#include "network/names.h"
#include "network/nft.h"
#include "network/nft_state.h"

namespace rusternetes::network {

Result<> load_name_server_guard(const NetworkNamespace& host, const NameServerGuard& wanted) {
  std::string rules;
  for (const auto& address : wanted.addresses)
    rules += fmt::format("    {} daddr {} meta l4proto {{ tcp, udp }} th dport {} iifname != \"lo\" iifname != \"{}*\" counter drop\n",
                         address.is_v4() ? "ip" : "ip6", address.to_string(), wanted.port, interface_prefix(wanted.cluster));
  const std::string commands = fmt::format(
      "add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n  chain input {{\n"
      "    type filter hook input priority -10; policy accept;\n{1}  }}\n}}\n",
      table_name(wanted.cluster, "dns"), rules);
  return inside(host, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(commands));
    return {};
  });
}

Result<bool> has_name_server_guard(const NetworkNamespace& host, const std::string& cluster) {
  return has_rules(host, table_name(cluster, "dns"), "input");
}

}  // namespace rusternetes::network
