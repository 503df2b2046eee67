#include "host-agent/host_keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "network/bridge/bridge_rules.h"
#include "network/bridge/cluster_bridge.h"
#include "network/docker_accepts.h"
#include "network/isolation.h"
#include "network/names.h"
#include "network/nft.h"
#include "network/node_sysctls.h"
#include "network/service_drop.h"
#include "network/service_ranges.h"

namespace rusternetes::host_agent {

using network::Netlink;
using network::ServiceDrop;

namespace {

bool has_family(const std::vector<IpPrefix>& ranges, int family) {
  return std::ranges::any_of(ranges, [&](const IpPrefix& r) { return r.address().family() == family; });
}

bool is_within(const std::vector<IpPrefix>& ranges, const IpPrefix& range) {
  return std::ranges::any_of(ranges, [&](const IpPrefix& one) {
    return one.length() <= range.length() && one.contains(range.address());
  });
}

}  // namespace

HostKeeper::HostKeeper(network::NetworkNamespace host, HostAgentOptions options, network::NftState rules)
    : host_(std::move(host)), options_(std::move(options)), rules_(std::move(rules)) {}

Result<HostKeeper> HostKeeper::open(const network::NetworkNamespace& host, HostAgentOptions options) {
  RN_TRY(auto rules, network::NftState::open(host));
  return HostKeeper(host, std::move(options), std::move(rules));
}

// One pass.
class HostKeeper::Look {
 public:
  Look(HostKeeper& keeper, const ClusterState& state)
      : k_(keeper), host_(keeper.host_), options_(keeper.options_), state_(state) {}

  Report run() {
    step("forwarding of packets", [this] { return turn_forwarding_on(); });
    const auto found = find();
    if (!found) fail("the cluster's bridge", found.error());
    accept_ranges();
    plan();
    if (bridge_)
      step("the mark of the bridge",
           [this] { return network::mark_bridge(*netlink_, options_.cluster, *bridge_); });
    keep_rules();
    // Without a bridge the kernel has no routes of the cluster.
    const bool is_routed = !bridge_ || step("the cluster's routes", [this] { return keep_routes(); });
    if (is_routed && is_drop_standing_)
      step("the drop rule of the service ranges", [this] { return narrow_drop(); });
    if (is_drop_standing_) report_.guarded = routed_ranges();
    return std::move(report_);
  }

 private:
  void fail(std::string_view what, const Status& why) {
    report_.failures.push_back({std::string(what), why.message});
  }
  // True: it stands.
  template <class F>
  bool step(std::string_view what, F&& work) {
    const Result<bool> done = work();
    if (!done) fail(what, done.error());
    if (done && *done && std::ranges::find(report_.changed, what) == report_.changed.end())
      report_.changed.emplace_back(what);
    return done.has_value();
  }

  Result<bool> turn_forwarding_on() {
    network::Forwarding wanted;
    if (has_family(options_.networks, AF_INET)) wanted.ipv4 = true;
    if (has_family(options_.networks, AF_INET6)) wanted.ipv6 = true;
    RN_TRY(const auto before, network::set_forwarding(host_, wanted));
    return before.ipv4 == false || before.ipv6 == false;
  }

  // The bridge, and where the cluster's routes lead now.
  Result<> find() {
    RN_TRY(netlink_, Netlink::open(host_));
    RN_TRY(const auto link, network::find_bridge(*netlink_, options_.bridge, options_.gateways));
    RN_TRY(present_, network::cluster_routes(*netlink_, options_.cluster));
    if (!link || !link->is_up) return {};
    // A network's gateway that is an address of anything else (the host's uplink) is a mistake.
    if (link->kind != "bridge" || !network::is_safe_name(link->name))
      return Status{400, "BadRequest", fmt::format("the link {} is no bridge of an engine", link->name)};
    bridge_ = *link;
    report_.bridge = link->name;
    return {};
  }

  // What the rules drop, or the routes lead to, was accepted by who was here before.
  void take_over() {
    k_.accepted_.emplace();
    const auto take = [this](const IpPrefix& range) {
      if (!contains(options_.service_ranges, range) && !is_within(options_.pod_ranges, range))
        k_.accepted_->insert(range.masked());
    };
    for (const auto& route : present_) take(route.destination);
    if (const auto drop = network::read_service_drop(host_, options_.cluster))
      for (const auto& range : drop->service_ranges) take(range);
  }

  void accept_ranges() {
    if (!k_.accepted_) take_over();
    if (!state_.ranges || !netlink_) return;
    std::set<IpPrefix> accepted;
    for (const auto& [owner, range] : *state_.ranges) {
      if (contains(options_.service_ranges, range)) continue;
      const auto checked = check(range.masked());
      if (checked)
        accepted.insert(range.masked());
      else
        report_.ranges.push_back({owner, checked.error().message});
    }
    // What goes is dropped until its route has gone.
    k_.leaving_.insert(k_.accepted_->begin(), k_.accepted_->end());
    for (const auto& range : accepted) k_.leaving_.erase(range);
    k_.accepted_ = std::move(accepted);
  }

  Result<> check(const IpPrefix& range) {
    RN_CHECK(network::check_range_kind(options_.pod_ranges, range));
    if (k_.accepted_->contains(range)) return {};
    return network::check_range_unused(
        *netlink_, fmt::format("cluster {}", options_.cluster), range,
        [&](const network::Route& route) { return network::is_cluster_route(route, options_.cluster); });
  }

  std::vector<IpPrefix> routed_ranges() const {
    std::vector<IpPrefix> out;
    for (const auto& range : options_.service_ranges) out.push_back(range.masked());
    out.insert(out.end(), k_.accepted_->begin(), k_.accepted_->end());
    return out;
  }

  std::vector<IpPrefix> dropped_ranges() const {
    auto out = routed_ranges();
    out.insert(out.end(), k_.leaving_.begin(), k_.leaving_.end());
    return out;
  }

  void plan() {
    std::vector<IpAddress> entries;
    for (const auto& route : present_)
      if (contains(options_.service_ranges, route.destination) &&
          std::ranges::find(entries, route.gateway) == entries.end())
        entries.push_back(route.gateway);
    if (state_.nodes)
      plan_ = decide(options_, *state_.nodes, entries);
    else
      plan_.entries = plan_.forward_to = std::move(entries);
    report_.entries = plan_.entries;
    report_.forward_to = plan_.forward_to;
    report_.nodes = plan_.problems;
  }

  void keep_rules() {
    const RuleInputs inputs{report_.bridge, dropped_ranges(), plan_.entries, state_.nodes.has_value()};
    const auto before = k_.rules_.generation();
    if (before && bridge_ && k_.settled_ && k_.settled_->first == *before && k_.settled_->second == inputs) {
      is_drop_standing_ = true;
      return;
    }
    k_.settled_.reset();
    const auto failures = report_.failures.size();
    is_drop_standing_ = step("the drop rule of the service ranges", [this] { return widen_drop(); });
    if (!bridge_) return;
    const std::string links = network::cluster_links(options_.cluster, bridge_->name);
    step("the isolation from other clusters",
         [&] { return keep_table(network::isolation_of(options_.cluster, links)); });
    step("what keeps packets' sources", [&] { return keep_table(bridge_table()); });
    step("the accepts in Docker's DOCKER-USER chain",
         [&] { return network::ensure_docker_accepts(host_, options_.cluster, bridge_->name); });
    step("the translation of published ports", [&] { return keep_published(links); });
    const auto after = k_.rules_.generation();
    if (before && after && *before == *after && report_.failures.size() == failures)
      k_.settled_.emplace(*after, inputs);
  }

  network::RuleTable bridge_table() const {
    network::BridgeRules wanted{options_.cluster, bridge_->name, options_.networks};
    wanted.sources.insert(wanted.sources.end(), options_.pod_ranges.begin(), options_.pod_ranges.end());
    return network::bridge_table(wanted);
  }

  Result<bool> keep_table(const network::RuleTable& table) {
    const auto known = k_.loaded_.find(table.name);
    RN_TRY(const bool stands, network::has_table_rules(host_, table));
    if (stands && known != k_.loaded_.end() && known->second == table) return false;
    RN_CHECK(network::load_table(host_, table));
    k_.loaded_[table.name] = table;
    return true;
  }

  Result<bool> keep_published(const std::string& links) {
    const network::PublishedPorts wanted{options_.cluster, plan_.entries, options_.published, links};
    if (!wanted.ports.empty() && !wanted.node_addresses.empty())
      return keep_table(network::published_table(wanted));
    if (!wanted.ports.empty() && !state_.nodes) return false;  // as it stands
    k_.loaded_.erase(network::published_table(wanted).name);
    RN_TRY(const bool is_there, network::has_published_ports(host_, options_.cluster));
    if (is_there) RN_CHECK(network::remove_published_ports(host_, options_.cluster));
    return is_there;
  }

  // Without the bridge the links of before stay allowed: nothing leads to any, and the launcher loads the
  // rule first.
  std::vector<std::string> allowed_links(const Result<ServiceDrop>& present) const {
    if (bridge_) return {bridge_->name};
    if (!options_.bridge.empty()) return {options_.bridge};
    return present ? present->allowed_interfaces : std::vector<std::string>{};
  }

  Result<bool> widen_drop() {
    const auto present = network::read_service_drop(host_, options_.cluster);
    const ServiceDrop wanted{options_.cluster, dropped_ranges(), allowed_links(present)};
    const bool stood = present && present->allowed_interfaces == wanted.allowed_interfaces &&
                       std::ranges::all_of(wanted.service_ranges, [&](const IpPrefix& range) {
                         return contains(present->service_ranges, range);
                       });
    if (stood) return false;
    RN_CHECK(network::load_service_drop(host_, wanted));
    return true;
  }

  Result<bool> narrow_drop() {
    if (k_.leaving_.empty()) return false;
    const auto present = network::read_service_drop(host_, options_.cluster);
    RN_CHECK(network::load_service_drop(host_, {options_.cluster, routed_ranges(), allowed_links(present)}));
    k_.leaving_.clear();
    return true;
  }

  Result<bool> keep_routes() {
    auto wanted = plan_.pod_routes;
    const auto ranges = routed_ranges();
    for (const auto& range : ranges)
      for (const auto& entry : plan_.entries)
        if (is_drop_standing_ && entry.family() == range.address().family()) wanted.push_back({range, entry});
    return network::sync_cluster_routes(
        *netlink_, options_.cluster, bridge_->index, wanted, [&](const IpPrefix& destination) {
          if (is_within(options_.pod_ranges, destination)) return state_.nodes.has_value();
          if (!contains(ranges, destination)) return state_.ranges.has_value();
          return is_drop_standing_ && state_.nodes.has_value();  // without the rule it stays with its node
        });
  }

  HostKeeper& k_;
  const network::NetworkNamespace& host_;
  const HostAgentOptions& options_;
  const ClusterState& state_;
  std::optional<Netlink> netlink_;
  std::optional<network::Link> bridge_;
  std::vector<network::ClusterRoute> present_;
  Plan plan_;
  bool is_drop_standing_ = false;
  Report report_;
};

HostKeeper::Report HostKeeper::keep(const ClusterState& state) { return Look(*this, state).run(); }

}  // namespace rusternetes::host_agent
