#include "kube-proxy/loader.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <iterator>

#include "base/clock.h"
#include "base/log.h"
#include "kube-proxy/transaction.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/service_drop.h"

namespace rusternetes::kube_proxy {

namespace json = boost::json;

namespace {

std::int64_t number(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() ? value->get_int64() : 0;
}
std::string text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// What libnftables lists of sets; shapes that it does not expect are passed over.
std::vector<AffinityElement> affinity_elements(const std::string& listed) {
  std::vector<AffinityElement> out;
  boost::json::error_code error;
  const auto parsed = json::parse(listed, error);
  const auto* root = error ? nullptr : parsed.if_object();
  const auto* all = root ? root->if_contains("nftables") : nullptr;
  if (!all || !all->is_array()) return out;
  for (const auto& item : all->get_array()) {
    const auto* object = item.if_object();
    const auto* set = object && object->if_contains("set") ? object->at("set").if_object() : nullptr;
    if (!set || !text(*set, "name").starts_with("affinity")) continue;
    const auto* elements = set->if_contains("elem");
    if (!elements || !elements->is_array()) continue;
    for (const auto& each : elements->get_array()) {
      const auto* outer = each.if_object();
      const auto* element = outer && outer->if_contains("elem") ? outer->at("elem").if_object() : nullptr;
      if (!element) continue;
      AffinityElement found{text(*set, "name"), text(*element, "val"), number(*element, "timeout"),
                            number(*element, "expires")};
      if (IpAddress::parse(found.address) && found.timeout_s > 0 && found.expires_s > 0)
        out.push_back(std::move(found));
    }
  }
  return out;
}

std::vector<IpAddress> own_addresses(const network::NetworkNamespace& where) {
  std::vector<IpAddress> out;
  auto netlink = network::Netlink::open(where);
  if (!netlink) return out;
  const auto listed = netlink->addresses();
  if (!listed) return out;
  for (const auto& each : *listed) out.push_back(each.local.address());
  return out;
}

}  // namespace

std::string Loader::table(std::string_view cluster) { return network::table_name(cluster, "proxy"); }

Loader::Loader(network::NetworkNamespace where, std::string cluster)
    : where_(std::move(where)),
      cluster_(std::move(cluster)),
      session_(std::make_shared<NftSession>(where_)),
      table_(session_, table(cluster_)),
      drop_{cluster_, {}, {}} {}
Loader::~Loader() = default;

StaleFlows Loader::decide_all(const Settings& settings, const std::vector<ServiceChange>& changes) {
  StaleFlows stale;
  for (const auto& change : changes) {
    ServiceRules decided = change.service ? decide(change.service, change.slices, settings) : ServiceRules{};
    const bool is_gone = decided.rules.entries.empty();
    Known now{std::move(decided.udp),
              {decided.health_check_port, decided.local_ready_addresses},
              decided.internal_without_local,
              decided.external_without_local};
    if (const auto before = known_.find(change.key); before != known_.end())
      stale.add(before->second.udp, now.udp);
    else
      stale.add_all(now.udp);
    if (is_gone)
      known_.erase(change.key);
    else
      known_[change.key] = std::move(now);
    rules_.set(change.key, std::move(decided.rules));
  }
  return stale;
}

Result<SyncResult> Loader::sync(const Settings& given, std::vector<ServiceChange> changes) {
  Settings settings = given;
  settings.base.table = table_.name();
  RN_CHECK(session_->open());
  const bool is_other_base = !settings_ || settings_->base != settings.base;
  settings_ = settings;
  StaleFlows stale = decide_all(settings, changes);
  changes.clear();
  SyncResult out;
  if (is_other_base || !table_.is_loaded()) {
    RN_CHECK(load_whole());
    out.is_whole = out.has_changed = true;
    // What flows were made meanwhile, or before this process, is not known.
    for (const auto& [key, known] : known_) stale.add_all(known.udp);
  } else {
    RN_TRY(out.has_changed, table_.change(rules_.take()));
  }
  end_stale(stale, out);
  summarise(out);
  return out;
}

Result<void> Loader::load_whole() {
  table_.forget();
  WholeTable whole = services_table(settings_->base, rules_.take_all(), table_.next_mark());
  if (!whole.sets.empty()) whole.kept = read_affinity();
  RN_CHECK(table_.load(whole));
  return {};
}

// Clients keep their endpoints when the table is made anew. What comes in between listing and loading is lost.
std::vector<AffinityElement> Loader::read_affinity() {
  const auto listed = session_->run_json(fmt::format("list sets table inet {}", settings_->base.table));
  return listed ? affinity_elements(*listed) : std::vector<AffinityElement>{};
}

void Loader::end_stale(const StaleFlows& stale, SyncResult& out) const {
  const auto begin = std::chrono::steady_clock::now();
  std::optional<std::vector<IpAddress>> addresses;
  for (const Family family : kFamilies) {
    if (stale.is_empty(family)) continue;
    if (!addresses) addresses = own_addresses(where_);
    auto ended =
        network::end_flows(where_, family == Family::v4 ? AF_INET : AF_INET6, IPPROTO_UDP,
                           [&](const network::Flow& flow) { return stale.is_stale(flow, *addresses); });
    if (out.ended_flows && *out.ended_flows && ended) *ended += **out.ended_flows;
    if (!out.ended_flows || *out.ended_flows) out.ended_flows = std::move(ended);
  }
  out.flows_took = std::chrono::steady_clock::now() - begin;
}

void Loader::summarise(SyncResult& out) const {
  for (const auto& [key, known] : known_) {
    if (known.health.port) out.health_checks.emplace(key, known.health);
    out.internal_without_local += known.internal_without_local;
    out.external_without_local += known.external_without_local;
  }
  out.sweep_at = table_.sweep_at();
}

Result<Loader::Check> Loader::check(const std::vector<IpPrefix>& service_ranges) {
  RN_TRY(const auto foreign, session_->foreign_changes());
  const bool has_ranges = std::ranges::all_of(service_ranges, [&](const IpPrefix& range) {
    return std::ranges::find(drop_.service_ranges, range.masked()) != drop_.service_ranges.end();
  });
  Check out;
  if (drop_seen_ != foreign || !has_ranges) {
    auto kept = keep_drop(service_ranges);
    drop_seen_ = kept ? std::optional(foreign) : std::nullopt;
    if (!kept) out.drop_problem = kept.error();
  }
  RN_TRY(out.is_intact, table_.is_intact());
  return out;
}

Result<void> Loader::keep_drop(const std::vector<IpPrefix>& service_ranges) {
  RN_TRY(drop_, widen_drop(where_, drop_, service_ranges));
  return {};
}

// What is there is believed: who has added a range takes it away again (network/service_ranges.h). Where
// nothing is there, it is what there was.
Result<network::ServiceDrop> Loader::widen_drop(const network::NetworkNamespace& where,
                                                network::ServiceDrop drop,
                                                const std::vector<IpPrefix>& service_ranges) {
  if (const auto present = network::read_service_drop(where, drop.cluster)) drop = *present;
  drop.service_ranges.insert(drop.service_ranges.end(), service_ranges.begin(), service_ranges.end());
  if (drop.service_ranges.empty()) return drop;
  RN_CHECK(network::widen_service_drop(where, drop));
  return network::read_service_drop(where, drop.cluster);
}

Result<void> Loader::cleanup(const network::NetworkNamespace& where, std::string_view cluster) {
  return KernelTable::remove(where, table(cluster));
}

}  // namespace rusternetes::kube_proxy
