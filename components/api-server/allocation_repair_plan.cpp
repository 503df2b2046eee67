#include "api-server/allocation_repair_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api-server/strategy/service_addresses.h"
#include "api-server/strategy/service_fields.h"
#include "apimachinery/api/networking_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Service;
using networking_v1::IPAddress;
using networking_v1::ServiceCIDR;

namespace {

constexpr std::int64_t second_us = 1'000'000;
// kube-apiserver writes the IPAddress first; within these the Service must have followed.
constexpr std::int64_t leak_age_us = 60 * second_us, wrong_reference_age_us = 5 * second_us;

Service service_of(const EntryPtr& entry) { return Service(&entry->document.root()); }
IPAddress address_of(const EntryPtr& entry) { return IPAddress(&entry->document.root()); }

// What the text of a Service's address stands for and what its IPAddress is named after: 10.96.0.9 of
// ::ffff:10.96.0.9 and of 010.96.0.9 as well, both of which are valid.
std::optional<IpAddress> service_address(std::string_view text) {
  const auto address = IpAddress::parse_sloppy(text);
  return address ? std::optional(address->unmap()) : std::nullopt;
}

bool holds(const EntryPtr& service, const IpAddress& address) {
  for (const auto text : service_of(service).spec().clusterIPs())
    if (const auto one = service_address(text); one && *one == address) return true;
  return false;
}

bool has_right_labels(const IPAddress& object, const IpAddress& address) {
  const auto labels = object.metadata().labels();
  return labels.get("ipaddress.kubernetes.io/managed-by") == "ipallocator.k8s.io" &&
         labels.get("ipaddress.kubernetes.io/ip-family") == (address.is_v4() ? "IPv4" : "IPv6");
}

std::string key_of(const networking_v1::ParentReference& reference) {
  return fmt::format("{}/{}", reference.namespace_(), reference.name());
}

class AddressCheck {
 public:
  AddressCheck(const Snapshot& services, const Snapshot& addresses, const Snapshot& cidrs,
               std::int64_t now_us)
      : services_(services), addresses_(addresses), now_us_(now_us) {
    auto cursor = cidrs.map.from("");
    while (const EntryPtr* entry = cursor.next())
      for (const auto text : ServiceCIDR(&(*entry)->document.root()).spec().cidrs())
        if (const auto block = Cidr::parse(text)) blocks_.push_back(block->masked());
  }
  AddressPlan run() {
    auto services = services_.map.from("");
    while (const EntryPtr* entry = services.next()) {
      const auto spec = service_of(*entry).spec();
      if (spec.clusterIP().empty() || spec.clusterIP() == "None") continue;
      for (const auto text : spec.clusterIPs()) check(*entry, text);
    }
    auto addresses = addresses_.map.from("");
    while (const EntryPtr* entry = addresses.next()) check_held(*entry);
    return std::move(plan_);
  }

 private:
  void report(const EntryPtr& service, std::string reason, std::string message) {
    plan_.reports.push_back({service, true, std::move(reason), std::move(message)});
  }

  void check(const EntryPtr& service, std::string_view text) {
    const auto address = service_address(text);
    if (!address)
      return report(service, "ClusterIPNotValid",
                    fmt::format("Cluster IP {} is not a valid IP; please recreate Service", text));
    const std::string family = address->is_v4() ? "IPv4" : "IPv6", name = address->to_string();
    if (std::none_of(blocks_.begin(), blocks_.end(),
                     [&](const Cidr& block) { return gives_out(block, *address); }))
      return report(
          service, "ClusterIPOutOfRange",
          fmt::format(
              "Cluster IP [{}]: {} is not within any configured Service CIDR; please recreate service",
              family, name));
    const EntryPtr held = addresses_.map.find(name);
    if (!held)
      return repair(service, *address, nullptr,
                    fmt::format("Cluster IP [{}]: {} is not allocated; repairing", family, name));
    const auto metadata = service_of(service).metadata();
    const auto parent = address_of(held).spec().parentRef();
    const auto wrong_reference = [&] {
      return fmt::format("the ClusterIP [{}]: {} for Service {}/{} has a wrong reference; repairing", family, name,
                         metadata.namespace_(), metadata.name());
    };
    if (!parent.group().empty() || parent.resource() != "services")
      return repair(service, *address, held, wrong_reference());
    if (key_of(parent) != service->key) {
      const EntryPtr other = services_.map.find(key_of(parent));
      if (!other || !holds(other, *address)) return repair(service, *address, held, wrong_reference());
      return report(
          service, "ClusterIPAlreadyAllocated",
          fmt::format("Cluster IP [{}]:{} was assigned to multiple services; please recreate service", family,
                      name));
    }
    if (!has_right_labels(address_of(held), *address)) repair(service, *address, held, "");
  }

  void repair(const EntryPtr& service, const IpAddress& address, const EntryPtr& held, std::string message) {
    if (!mended_.insert(address.to_string()).second) return;  // of two who want it, the first has it
    AddressRepair one;
    one.action = held ? AddressRepair::Action::hand_over : AddressRepair::Action::create;
    one.address = address;
    one.held = held;
    one.owner = service;
    one.seen.emplace_back(service->key, service);
    if (held && address_of(held).spec().parentRef().resource() == "services") {
      const std::string other = key_of(address_of(held).spec().parentRef());
      if (other != service->key) one.seen.emplace_back(other, services_.map.find(other));
    }
    if (!message.empty()) one.report = {service, true, "ClusterIPNotAllocated", std::move(message)};
    plan_.repairs.push_back(std::move(one));
  }

  // Only what allocators made; others may keep IPAddress objects of their own.
  void check_held(const EntryPtr& held) {
    const IPAddress object = address_of(held);
    const auto address = IpAddress::parse(object.metadata().name());
    if (!address || mended_.contains(held->key)) return;
    if (object.metadata().labels().get("ipaddress.kubernetes.io/managed-by") != "ipallocator.k8s.io") return;
    const auto parent = object.spec().parentRef();
    if (!parent.group().empty() || parent.resource() != "services")
      return remove(
          held, *address, {}, "IPAddressNotAllocated",
          fmt::format("IPAddress {} appears to have been modified, not referencing a Service "
                      "&ParentReference{{Group:{},Resource:{},Namespace:{},Name:{},}}: cleaning up",
                      held->key, parent.group(), parent.resource(), parent.namespace_(), parent.name()));
    const EntryPtr service = services_.map.find(key_of(parent));
    const std::int64_t made_us = object.metadata().creationTimestamp();
    if (!service) {
      if (is_young(made_us, leak_age_us)) return;
      return remove(held, *address, nullptr, "IPAddressNotAllocated",
                    fmt::format("IPAddress: {} for Service {} appears to have leaked: cleaning up", held->key,
                                key_of(parent)));
    }
    if (holds(service, *address)) return;
    if (made_us > service_of(service).metadata().creationTimestamp() &&
        is_young(made_us, wrong_reference_age_us))
      return;
    remove(held, *address, service, "IPAddressWrongReference",
           fmt::format("IPAddress: {} for Service {} has a wrong reference; cleaning up", held->key,
                       key_of(parent)));
  }
  bool is_young(std::int64_t made_us, std::int64_t age_us) {
    const std::int64_t old_us = made_us + age_us;
    if (now_us_ > old_us) return false;
    plan_.look_again_us = plan_.look_again_us == 0 ? old_us + 1 : std::min(plan_.look_again_us, old_us + 1);
    return true;
  }
  void remove(const EntryPtr& held, const IpAddress& address, const EntryPtr& service, std::string reason,
              std::string message) {
    AddressRepair one;
    one.action = AddressRepair::Action::remove;
    one.address = address;
    one.held = held;
    const auto parent = address_of(held).spec().parentRef();
    if (parent.resource() == "services") one.seen.emplace_back(key_of(parent), service);
    one.report = {held, false, std::move(reason), std::move(message)};
    plan_.repairs.push_back(std::move(one));
  }

  const Snapshot &services_, &addresses_;
  const std::int64_t now_us_;
  std::vector<Cidr> blocks_;
  std::set<std::string> mended_;
  AddressPlan plan_;
};

// Of one Service; a port twice if it is taken twice: by two entries of one protocol, or for health checks
// beside TCP.
std::vector<std::int64_t> node_ports_of(const core_v1::ServiceSpec& spec) {
  std::vector<std::int64_t> out;
  std::map<std::int64_t, std::set<std::string_view>> protocols;
  for (const auto port : spec.ports()) {
    if (port.nodePort() == 0) continue;
    auto& seen = protocols[port.nodePort()];
    const bool is_new = seen.insert(port.protocol()).second;
    if (seen.size() == 1 || !is_new) out.push_back(port.nodePort());
  }
  if (const std::int64_t health = spec.healthCheckNodePort(); health != 0) {
    const auto seen = protocols.find(health);
    if (seen == protocols.end() || seen->second.contains("TCP")) out.push_back(health);
  }
  return out;
}

}  // namespace

bool concerns_addresses(std::string_view resource, const EntryPtr& before, const EntryPtr& now,
                        bool is_gone) {
  if (!before || is_gone) return true;
  const auto differ = [](const auto& a, const auto& b) {
    auto left = a.begin(), right = b.begin();
    for (; left != a.end() && right != b.end(); ++left, ++right)
      if (*left != *right) return true;
    return left != a.end() || right != b.end();
  };
  if (resource == "services") {
    const auto old_spec = service_of(before).spec(), spec = service_of(now).spec();
    return old_spec.clusterIP() != spec.clusterIP() || differ(old_spec.clusterIPs(), spec.clusterIPs());
  }
  if (resource == "servicecidrs")
    return differ(ServiceCIDR(&before->document.root()).spec().cidrs(),
                  ServiceCIDR(&now->document.root()).spec().cidrs());
  const auto old_parent = address_of(before).spec().parentRef(), parent = address_of(now).spec().parentRef();
  if (old_parent.group() != parent.group() || old_parent.resource() != parent.resource() ||
      key_of(old_parent) != key_of(parent))
    return true;
  for (const char* label : {"ipaddress.kubernetes.io/managed-by", "ipaddress.kubernetes.io/ip-family"})
    if (address_of(before).metadata().labels().get(label) != address_of(now).metadata().labels().get(label))
      return true;
  return false;
}

AddressPlan plan_address_repairs(const Snapshot& services, const Snapshot& addresses, const Snapshot& cidrs,
                                 std::int64_t now_us) {
  return AddressCheck(services, addresses, cidrs, now_us).run();
}

PortPlan plan_port_repairs(NodePortSet stored, const Snapshot& services, LeakedPorts leaks) {
  constexpr int rounds = 3;
  PortPlan plan;
  auto cursor = services.map.from("");
  while (const EntryPtr* entry = cursor.next()) {
    const auto say = [&](std::string reason, std::string message) {
      plan.reports.push_back({*entry, true, std::move(reason), std::move(message)});
    };
    for (const std::int64_t port : node_ports_of(service_of(*entry).spec())) {
      if (port < node_port_first || port > node_port_last) {
        say("PortOutOfRange",
            fmt::format("Port {} is not within the port range {}-{}; please recreate service", port,
                        node_port_first, node_port_last));
        continue;
      }
      const auto bit = static_cast<std::size_t>(port - node_port_first);
      if (plan.ports[bit]) {
        say("PortAlreadyAllocated",
            fmt::format("Port {} was assigned to multiple services; please recreate service", port));
        continue;
      }
      if (!stored[bit]) say("PortNotAllocated", fmt::format("Port {} is not allocated; repairing", port));
      plan.ports[bit] = true;
    }
  }
  for (std::size_t bit = 0; bit < node_port_count; ++bit) {
    if (!stored[bit] || plan.ports[bit]) continue;
    const auto known = leaks.find(bit);
    const int left = known == leaks.end() ? rounds - 1 : known->second;
    if (left <= 0) continue;
    plan.leaks[bit] = left - 1;
    plan.ports[bit] = true;
  }
  return plan;
}

}  // namespace rusternetes::api_server
