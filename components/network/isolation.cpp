#include "network/isolation.h"

#include <fmt/format.h>

#include "network/bridge/cluster_bridge.h"
#include "network/names.h"
#include "network/nft_state.h"

namespace rusternetes::network {

// A published port was translated on the host: that shows on the connection, in both directions.
RuleTable isolation_of(std::string_view cluster, std::string_view links) {
  const std::string own =
      fmt::format("iifname != \"{0}\" oifname \"{0}\" ct status & dnat == 0 counter drop", links);
  return {table_name(cluster, "isolation"),
          {{"forward",
            "type filter hook forward priority -10",
            {fmt::format("iifname \"{}*\" {}", link_prefix, own),
             fmt::format("iifgroup {} {}", cluster_link_group, own)}}}};
}

Result<> load_isolation(const NetworkNamespace& host, std::string_view cluster) {
  return load_table(host, isolation_of(cluster, cluster_links(cluster)));
}

Result<bool> has_isolation(const NetworkNamespace& host, std::string_view cluster) {
  return has_rules(host, table_name(cluster, "isolation"), "forward");
}

}  // namespace rusternetes::network
