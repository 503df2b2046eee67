#include "network/bridge/bridge_rules.h"

#include <fmt/format.h>

#include "network/names.h"

namespace rusternetes::network {

// The first chain to decide on a connection is the last, so this one is before the engines' (100). A bridged
// packet comes in by no link there, as one of the host itself does: its source tells it from what the host
// sends as somebody else.
RuleTable bridge_table(const BridgeRules& wanted) {
  const std::string out = fmt::format("oifname \"{}\" ", wanted.bridge);
  std::vector<std::string> kept, redirects;
  for (const char* family : {"ip", "ip6"})
    kept.push_back(
        fmt::format("{0}iif != 0 iifname != \"{1}\" snat {2} to {2} saddr", out, wanted.bridge, family));
  for (const auto& range : wanted.sources)
    kept.push_back(fmt::format("{0}{1} saddr {2} ct status & dnat == 0 snat {1} to {1} saddr", out,
                               range.address().is_v4() ? "ip" : "ip6", range.masked().to_string()));
  redirects.push_back(out + "icmp type redirect drop");
  redirects.push_back(out + "icmpv6 type nd-redirect drop");
  return {table_name(wanted.cluster, "bridge"),
          {{"keep-source", "type nat hook postrouting priority 90", kept},
           {"redirects", "type filter hook output priority 0", redirects}}};
}

}  // namespace rusternetes::network
