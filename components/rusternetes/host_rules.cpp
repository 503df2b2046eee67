#include "rusternetes/host_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"
#include "network/docker_accepts.h"
#include "network/host_side.h"
#include "network/isolation.h"
#include "rusternetes/node_setup.h"

namespace rusternetes {

namespace {
// Docker changes many rules at a time, and looking takes some milliseconds.
constexpr std::chrono::milliseconds kSettle{100};
}  // namespace

Result<std::unique_ptr<network::RuleKeeper>> make_host_rules(const network::NetworkNamespace& host,
                                                             const ProcessOptions& options,
                                                             std::shared_ptr<const ServiceRanges> ranges) {
  std::vector<network::RuleKeeper::Rule> rules;
  if (options.has_own_node()) {
    RN_TRY(const auto side, host_side(options));
    rules.push_back({"what the host has for the node", [host, side, ranges]() -> Result<bool> {
                       auto present = side;
                       present.link.service_ranges = ranges->all();
                       RN_TRY(const auto mended, network::mend_host_rules(host, present));
                       if (!mended.empty())
                         log::info("rusternetes", "on the host {} had gone", fmt::join(mended, ", "));
                       return !mended.empty();
                     }});
  } else {
    // Packets of other clusters' nodes come by their own links; nothing else is between them and these Pods.
    rules.push_back({"the isolation from other clusters", [host, cluster = options.cluster_name]() -> Result<bool> {
                       RN_TRY(const bool isolates, network::has_isolation(host, cluster));
                       if (isolates) return false;
                       RN_CHECK(network::load_isolation(host, cluster));
                       return true;
                     }});
  }
  rules.push_back({"the accepts for the cluster's links in Docker's DOCKER-USER chain",
                   [host, cluster = options.cluster_name] { return network::ensure_docker_accepts(host, cluster); }});
  return std::make_unique<network::RuleKeeper>(host, "host-rules", kSettle, std::move(rules));
}

}  // namespace rusternetes
