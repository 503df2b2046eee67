#include "api-server/strategy/service_addresses.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/managed_fields.h"
#include "apimachinery/uid.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Service;
using meta_v1::ObjectMeta;
using networking_v1::ServiceCIDR;

namespace {

constexpr std::string_view default_block_name = "kubernetes";
constexpr std::string_view group = "networking.k8s.io";

std::string_view family_of(const Cidr& block) { return block.is_v4() ? "IPv4" : "IPv6"; }

// What is dropped and routed for the default one was made with the cluster. For others that may still be to
// do: their addresses are given out when they are said to be ready, and not, as by a kube-apiserver, also
// while nothing is said.
bool is_ready(const ServiceCIDR& object, bool is_default) {
  if (object.metadata().has_deletionTimestamp()) return false;
  for (const auto condition : object.status().conditions())
    if (condition.type() == "Ready") return condition.status() == "True";
  return is_default;
}

// The addresses that may be given out: not the network's own, and of IPv4 not the broadcast address.
struct Usable {
  std::uint64_t first = 1, last = 0;  // indexes in the block
  explicit Usable(const Cidr& block) : last(block.size() - (block.is_v4() ? 2 : 1)) {}
};

// The lower band is left to those who ask for an address by name (KEP 3070).
std::uint64_t lower_band(const Cidr& block) {
  constexpr std::uint64_t least = 16, most = 256, share = 16;
  const std::uint64_t size = block.size();
  return size < least ? 0 : std::min(std::max(size / share, least), most);
}

}  // namespace

ServiceAddresses::ServiceAddresses(const StrategyContext& context, Companions& companions)
    : context_(context), companions_(companions), taken_(companions.snapshot(group, "ipaddresses")), random_(std::random_device{}()) {
  const Snapshot objects = companions.snapshot(group, "servicecidrs");
  const auto add = [&](const Value& value, bool is_default) {
    const ServiceCIDR object(&value);
    for (const auto text : object.spec().cidrs()) {
      const auto block = Cidr::parse(text);
      if (!block) continue;
      if (is_default) families_.push_back(family_of(*block));
      if (is_ready(object, is_default)) blocks_.push_back(block->masked());
    }
  };
  if (const EntryPtr entry = objects.map.find(std::string(default_block_name))) add(entry->document.root(), true);
  auto cursor = objects.map.from("");
  while (const EntryPtr* entry = cursor.next())
    if ((*entry)->key != default_block_name) add((*entry)->document.root(), false);
}

bool ServiceAddresses::is_taken(const IpAddress& address) const { return taken_.map.find(address.to_string()) != nullptr; }

bool gives_out(const Cidr& block, const IpAddress& address) {
  const auto index = block.index_of(address);
  const Usable usable(block);
  return index && *index >= usable.first && *index <= usable.last;
}

void set_owner(Arena& arena, Value& object, const IpAddress& address, const ObjectMeta& service) {
  Value& metadata = ensure(arena, object, networking_v1::IPAddress::f_metadata);
  Value& labels = ensure(arena, metadata, ObjectMeta::f_labels, ValueKind::map);
  set_map_string(arena, labels, "ipaddress.kubernetes.io/ip-family", address.is_v4() ? "IPv4" : "IPv6");
  set_map_string(arena, labels, "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");
  Value& spec = ensure(arena, object, networking_v1::IPAddress::f_spec);
  Value& parent = ensure(arena, spec, networking_v1::IPAddressSpec::f_parentRef);
  assign(parent, Value::empty(ValueKind::structure));
  set_string(arena, parent, networking_v1::ParentReference::f_resource, "services");
  set_string(arena, parent, networking_v1::ParentReference::f_namespace_, service.namespace_());
  set_string(arena, parent, networking_v1::ParentReference::f_name, service.name());
}

Value new_ip_address(Arena& arena, const IpAddress& address, const ObjectMeta& service, std::int64_t now_us) {
  Value object = Value::empty(ValueKind::structure);
  Value& metadata = ensure(arena, object, networking_v1::IPAddress::f_metadata);
  set_string(arena, metadata, ObjectMeta::f_name, address.to_string());
  set_string(arena, metadata, ObjectMeta::f_uid, new_uid());
  set_time(arena, metadata, ObjectMeta::f_creationTimestamp, now_us - now_us % 1'000'000);
  set_owner(arena, object, address, service);
  return object;
}

void ServiceAddresses::write(const IpAddress& address, const Service& owner) {
  if (companions_.is_dry_run()) return;
  const Kind& kind = *companions_.registry().find_kind("networking.k8s.io/v1", "IPAddress");
  Value object = new_ip_address(context_.arena, address, owner.metadata(), context_.now_us);
  ManagedFieldsRequest request;  // as an api-server that writes for itself
  request.manager = "kube-apiserver";
  request.now_us = context_.now_us;
  update_managed_fields(context_.arena, kind, object, nullptr, request);
  companions_.create(kind, address.to_string(), object);
}

Result<void> ServiceAddresses::claim(std::string_view text, const Service& owner) {
  auto address = IpAddress::parse_sloppy(text);
  if (!address) return internal_error(fmt::format("failed to parse service IP {:?}", text));
  address = address->unmap();
  const auto block = std::find_if(blocks_.begin(), blocks_.end(), [&](const Cidr& one) { return one.contains(*address); });
  if (block == blocks_.end()) return bad_request("the provided network does not match the current range");
  if (!gives_out(*block, *address))
    return bad_request(fmt::format("the provided IP ({}) is not in the valid range. The range of valid IPs is {}", address->to_string(), block->to_string()));
  if (is_taken(*address)) return bad_request("provided IP is already allocated");
  write(*address, owner);
  return {};
}

Result<std::string> ServiceAddresses::claim_any(std::string_view family, const Service& owner) {
  for (const Cidr& block : blocks_) {
    if (family_of(block) != family) continue;
    const Usable usable(block);
    if (usable.last < usable.first || block.size() < 2) continue;
    const std::uint64_t band = lower_band(block);
    const auto try_band = [&](std::uint64_t first, std::uint64_t last) -> std::optional<IpAddress> {
      if (first > last) return std::nullopt;
      const std::uint64_t count = last - first + 1;
      const std::uint64_t start = std::uniform_int_distribution<std::uint64_t>(0, count - 1)(random_);
      for (std::uint64_t i = 0; i < count; ++i) {
        const IpAddress address = block.at(first + (start + i) % count);
        if (!is_taken(address)) return address;
        if (i > taken_.map.size()) break;  // more are taken than there can be
      }
      return std::nullopt;
    };
    auto found = try_band(std::max(usable.first, band), usable.last);
    if (!found && band > 0) found = try_band(usable.first, band - 1);
    if (!found) continue;
    write(*found, owner);
    return found->to_string();
  }
  return Status{500, reason_range_full, "range is full"};
}

void ServiceAddresses::release(std::string_view text) {
  const auto address = IpAddress::parse_sloppy(text);
  if (!address || companions_.is_dry_run()) return;
  companions_.remove(*companions_.registry().find_kind("networking.k8s.io/v1", "IPAddress"), address->unmap().to_string());
}

}  // namespace rusternetes::api_server
