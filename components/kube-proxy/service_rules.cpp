#include "kube-proxy/service_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "kube-proxy/service_port.h"

namespace rusternetes::kube_proxy {

using apimachinery::Document;
using apimachinery::core_v1::Service;

namespace {

using Picked = std::vector<const Endpoint*>;

std::string at(const Endpoint& endpoint) {  // as an element's value
  return fmt::format("{} . {}", endpoint.address.to_string(), endpoint.port);
}

std::string target(const Endpoint& endpoint) {  // as "dnat to" has it
  return endpoint.address.is_v4() ? fmt::format("{}:{}", endpoint.address.to_string(), endpoint.port)
                                  : fmt::format("[{}]:{}", endpoint.address.to_string(), endpoint.port);
}

// Writes the rules of one port of a Service in one family.
class PortRules {
 public:
  PortRules(const ServicePort& port, const Settings& settings, std::vector<Endpoint> endpoints,
            ServiceRules& out)
      : port_(port),
        settings_(settings),
        endpoints_(std::move(endpoints)),
        chosen_(choose_endpoints(endpoints_, port.uses_cluster(), port.uses_local(), settings.node)),
        out_(out) {}

  void write() {
    const bool is_external_local = port_.is_external_local && port_.is_external();
    has_own_chains_ = port_.affinity_s > 0 || is_external_local;
    if (chosen_.has_any) {
      out_.internal_without_local += port_.is_internal_local && chosen_.local.empty();
      out_.external_without_local += is_external_local && chosen_.local.empty();
    }
    if (has_own_chains_) own_chains();
    cluster_ip();
    external_ips();
    node_port();
    for (const Endpoint* each : chosen_.all)
      if (each->may_be_local || settings_.node.name.empty()) {
        const std::string address = each->address.to_string();
        out_.rules.add({Container::hairpin, port_.family, fmt::format("{0} . {0}", address)});
      }
    if (port_.protocol == Protocol::udp) udp();
  }

 private:
  std::string chain(std::string_view kind) const {
    return fmt::format("{}{}/{}", kind, digit(port_.family), port_.path);
  }
  std::string key_of(const IpAddress& address) const {
    return fmt::format("{} . {} . {}", address.to_string(), word(port_.protocol), port_.port);
  }
  std::string place_of(const IpAddress& address) const {
    return fmt::format("{} . {}", address.to_string(), port_.port);
  }
  std::string node_port_key() const { return fmt::format("{} . {}", word(port_.protocol), port_.node_port); }
  void add(Container container, std::string key, std::string value = {}) {
    out_.rules.add({container, port_.family, std::move(key)}, std::move(value));
  }
  // Where a packet goes that nothing translates.
  std::string refusal() const { return chosen_.has_any ? "drop" : fmt::format("goto {}", kRejectChain); }

  // Numbers the endpoints under `place`, an address and a port or a port alone, and returns the chain that
  // draws one.
  std::string pick(Container endpoints, const std::string& place, const Picked& picked) {
    for (std::size_t i = 0; i < picked.size(); ++i)
      add(endpoints, fmt::format("{} . {}", place, i), at(*picked[i]));
    std::string name = pick_chain(endpoints, port_.family, picked.size());
    out_.rules.chains.try_emplace(name, pick_rules(endpoints, port_.family, picked.size()));
    return name;
  }

  void cluster_ip() {
    add(Container::cluster_ips, port_.cluster_ip.to_string());
    const std::string key = key_of(port_.cluster_ip);
    const Picked& picked = port_.is_internal_local ? chosen_.local : chosen_.cluster;
    if (picked.empty())
      add(Container::no_endpoint_ips, key, refusal());
    else if (has_own_chains_)
      add(Container::service_ips, key,
          fmt::format("goto {}", chain(port_.is_internal_local ? "local" : "cluster")));
    else
      add(Container::service_ips, key,
          fmt::format("goto {}",
                      pick(service_endpoints(port_.protocol), place_of(port_.cluster_ip), picked)));
  }

  // Whether somebody outside has an endpoint to go to. Pods and the node itself may have one all the same.
  bool is_served_outside() const {
    return port_.is_external_local ? !chosen_.local.empty() : chosen_.has_any;
  }

  void external_ips() {
    std::string sources;
    if (!port_.load_balancer_ips.empty()) sources = firewall();
    auto all = port_.external_ips;
    all.insert(all.end(), port_.load_balancer_ips.begin(), port_.load_balancer_ips.end());
    for (const auto& address : all) {
      const std::string key = key_of(address);
      if (chosen_.has_any)
        external(Container::service_ips, service_endpoints(port_.protocol), Container::masquerade_ips, key,
                 place_of(address));
      if (!is_served_outside()) add(Container::no_endpoint_ips, key, refusal());
    }
    if (!sources.empty())
      for (const auto& address : port_.load_balancer_ips)
        add(Container::firewall_ips, key_of(address), fmt::format("goto {}", sources));
  }

  void node_port() {
    if (!port_.node_port) return;
    const std::string key = node_port_key();
    if (chosen_.has_any)
      external(Container::nodeports, nodeport_endpoints(port_.protocol), Container::masquerade_nodeports, key,
               std::to_string(port_.node_port));
    if (!is_served_outside()) add(Container::no_endpoint_nodeports, key, refusal());
  }

  void external(Container entrances, Container endpoints, Container masquerade, const std::string& key,
                const std::string& place) {
    if (port_.is_external_local) {
      add(entrances, key, fmt::format("goto {}", chain("external")));
      return;
    }
    if (chosen_.cluster.empty()) return;
    add(masquerade, key);
    add(entrances, key,
        fmt::format("goto {}", has_own_chains_ ? chain("cluster") : pick(endpoints, place, chosen_.cluster)));
  }

  void own_chains() {
    if (!chosen_.cluster.empty()) out_.rules.chains[chain("cluster")] = choice(chosen_.cluster);
    if (!chosen_.local.empty()) out_.rules.chains[chain("local")] = choice(chosen_.local);
    if (port_.affinity_s > 0)
      for (const Endpoint* each : chosen_.all) endpoint_chain(*each);
    if (chosen_.has_any && port_.is_external_local && port_.is_external()) external_chain();
  }

  // Policy Local is for those outside. Pods, and the node, act as if they had gone out to a load balancer
  // that may choose any node.
  void external_chain() {
    auto& rules = out_.rules.chains[chain("external")];
    if (!chosen_.cluster.empty()) {
      const auto pods = without_nested(settings_.base.pod_cidrs, port_.family);
      for (const auto& range : pods)
        rules.push_back(
            fmt::format("{} saddr {} goto {}", word(port_.family), range.to_string(), chain("cluster")));
      // The node's source would be the address that it sends to.
      rules.push_back(fmt::format("fib saddr type local meta mark set meta mark | {:#x}",
                                  settings_.base.masquerade_mark));
      rules.push_back(fmt::format("fib saddr type local goto {}", chain("cluster")));
    }
    if (!chosen_.local.empty()) rules.push_back(fmt::format("goto {}", chain("local")));
  }

  std::string endpoint_name(std::string_view kind, const Endpoint& endpoint) const {
    std::string address = endpoint.address.to_string();
    std::ranges::replace(address, ':', '.');
    return fmt::format("{}/{}/{}", chain(kind), address, endpoint.port);
  }

  // The rules that choose one of some. A packet that is at them while they change may find the map of the
  // choice gone already: then it is the first one.
  std::vector<std::string> choice(const Picked& picked) const {
    std::vector<std::string> out, numbered;
    if (port_.affinity_s <= 0) {
      for (std::size_t i = 0; i < picked.size(); ++i)
        numbered.push_back(fmt::format("{} : {}", i, at(*picked[i])));
      out.push_back(fmt::format("meta l4proto {} dnat {} to numgen random mod {} map {{ {} }}",
                                word(port_.protocol), word(port_.family), picked.size(),
                                fmt::join(numbered, ", ")));
      out.push_back(fmt::format("meta l4proto {} dnat {} to {}", word(port_.protocol), word(port_.family),
                                target(*picked[0])));
      return out;
    }
    for (std::size_t i = 0; i < picked.size(); ++i) {
      out.push_back(fmt::format("{} saddr @{} goto {}", word(port_.family),
                                endpoint_name("affinity", *picked[i]),
                                endpoint_name("endpoint", *picked[i])));
      numbered.push_back(fmt::format("{} : goto {}", i, endpoint_name("endpoint", *picked[i])));
    }
    out.push_back(
        fmt::format("numgen random mod {} vmap {{ {} }}", picked.size(), fmt::join(numbered, ", ")));
    out.push_back(fmt::format("goto {}", endpoint_name("endpoint", *picked[0])));
    return out;
  }

  void endpoint_chain(const Endpoint& endpoint) {
    const std::string set = endpoint_name("affinity", endpoint);
    out_.rules.sets[set] = affinity_set(port_.family);
    out_.rules.chains[endpoint_name("endpoint", endpoint)] = {
        fmt::format("update @{} {{ {} saddr timeout {}s }}", set, word(port_.family), port_.affinity_s),
        fmt::format("meta l4proto {} dnat {} to {}", word(port_.protocol), word(port_.family),
                    target(endpoint))};
  }

  // The chain that drops who may not use the load balancer; empty: everybody may.
  std::string firewall() {
    auto ranges = port_.source_ranges;
    if (!port_.has_source_ranges) return {};
    // Where the balancer's address is one of the node's, the node's own packets to it have it as source.
    const bool allows_node = std::ranges::any_of(ranges, [&](const IpPrefix& range) {
      return std::ranges::any_of(settings_.node.addresses,
                                 [&](const IpAddress& each) { return range.contains(each); });
    });
    if (allows_node)
      for (const auto& address : port_.load_balancer_ips) ranges.push_back(IpPrefix::host(address));
    std::vector<std::string> allowed;
    for (const auto& range : without_nested(ranges, port_.family)) allowed.push_back(range.to_string());
    std::string name = chain("firewall");
    out_.rules.chains[name] = {allowed.empty() ? "drop"
                                               : fmt::format("{} saddr != {{ {} }} drop", word(port_.family),
                                                             fmt::join(allowed, ", "))};
    return name;
  }

  void udp() {
    UdpService udp;
    udp.family = port_.family;
    udp.addresses.insert({port_.cluster_ip, port_.port});
    for (const auto& address : port_.external_ips) udp.addresses.insert({address, port_.port});
    for (const auto& address : port_.load_balancer_ips) udp.addresses.insert({address, port_.port});
    udp.node_port = port_.node_port;
    for (const auto& each : endpoints_)
      if (each.is_serving) udp.serving.insert({each.address, each.port});
    out_.udp.push_back(std::move(udp));
  }

  const ServicePort& port_;
  const Settings& settings_;
  const std::vector<Endpoint> endpoints_;
  const ChosenEndpoints chosen_;
  ServiceRules& out_;
  bool has_own_chains_ = false;
};

}  // namespace

ServiceRules decide(const Document& service, const std::vector<Document>& slices, const Settings& settings) {
  ServiceRules out;
  if (!is_proxied(service)) return out;
  std::set<IpAddress> local_ready;
  for (const auto& port : service_ports(service)) {
    auto endpoints = endpoints_of(slices, port.family, port.name, port.protocol, settings.node);
    for (const auto& each : endpoints)
      if (each.is_local && each.is_ready) local_ready.insert(each.address);
    PortRules(port, settings, std::move(endpoints), out).write();
  }
  out.rules.normalise();
  out.health_check_port = health_check_port(service);
  out.local_ready_addresses = static_cast<int>(local_ready.size());
  return out;
}

}  // namespace rusternetes::kube_proxy
