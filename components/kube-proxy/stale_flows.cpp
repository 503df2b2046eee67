#include "kube-proxy/stale_flows.h"

#include <algorithm>

namespace rusternetes::kube_proxy {

namespace {

const UdpService* counterpart(const std::vector<UdpService>& list, const UdpService& of) {
  const auto found = std::ranges::find_if(list, [&](const UdpService& each) {
    return std::ranges::any_of(each.addresses,
                               [&](const AddressPort& address) { return of.addresses.contains(address); });
  });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

void StaleFlows::add_all(const std::vector<UdpService>& now) {
  for (const auto& each : now) {
    for (const auto& address : each.addresses) addresses_[address] = each.serving;
    if (each.node_port) node_ports_[{each.family, each.node_port}] = each.serving;
  }
}

// Whoever else has one of them by now has said so, or will.
void StaleFlows::lose(const UdpService& all, const UdpService* but) {
  for (const auto& address : all.addresses)
    if (!but || !but->addresses.contains(address)) addresses_.try_emplace(address);
  if (all.node_port && (!but || all.node_port != but->node_port))
    node_ports_.try_emplace({all.family, all.node_port});
}

void StaleFlows::add(const std::vector<UdpService>& before, const std::vector<UdpService>& now) {
  for (const auto& each : before) {
    const UdpService* still = counterpart(now, each);
    lose(each, still);
    if (!still) continue;
    const bool has_lost = !std::ranges::includes(still->serving, each.serving);
    // With the first endpoint, flows that were untranslated find it.
    const bool has_first = each.serving.empty() && !still->serving.empty();
    UdpService gained = *still;
    if (!has_lost && !has_first) {
      std::erase_if(gained.addresses,
                    [&](const AddressPort& address) { return each.addresses.contains(address); });
      if (gained.node_port == each.node_port) gained.node_port = 0;
    }
    add_all({gained});
  }
  for (const auto& each : now)
    if (!counterpart(before, each)) add_all({each});
}

bool StaleFlows::is_empty(Family family) const {
  const auto is_of = [&](const auto& port) { return port.first.first == family; };
  return std::ranges::none_of(node_ports_, is_of) && std::ranges::none_of(addresses_, [&](const auto& each) {
           return family_of(each.first.first) == family;
         });
}

bool StaleFlows::is_stale(const network::Flow& flow, const std::vector<IpAddress>& node_addresses) const {
  const AddressPort goes_to{flow.reply_source, flow.reply_source_port};
  if (const auto found = addresses_.find({flow.destination, flow.destination_port});
      found != addresses_.end())
    return !found->second.contains(goes_to);
  const auto found = node_ports_.find({family_of(flow.destination), flow.destination_port});
  if (found == node_ports_.end() || found->second.contains(goes_to)) return false;
  return std::ranges::find(node_addresses, flow.destination) != node_addresses.end();
}

}  // namespace rusternetes::kube_proxy
