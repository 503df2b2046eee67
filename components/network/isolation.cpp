#include "network/isolation.h"

#include <fmt/format.h>

#include "network/names.h"
#include "network/nft.h"
#include "network/nft_state.h"

namespace rusternetes::network {

// A published port was translated on the host: that shows on the connection, in both directions.
Result<> load_isolation(const NetworkNamespace& host, std::string_view cluster) {
  const std::string commands = fmt::format(
      "add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n  chain forward {{\n"
      "    type filter hook forward priority -10; policy accept;\n"
      "    iifname \"{1}*\" iifname != \"{2}*\" oifname \"{2}*\" ct status & dnat == 0 counter drop\n  }}\n}}\n",
      table_name(cluster, "isolation"), link_prefix, interface_prefix(cluster));
  return inside(host, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(commands));
    return {};
  });
}

Result<bool> has_isolation(const NetworkNamespace& host, std::string_view cluster) {
  return has_rules(host, table_name(cluster, "isolation"), "forward");
}

}  // namespace rusternetes::network
