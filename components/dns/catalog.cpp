#include "dns/catalog.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/cidr.h"
#include "client/informer.h"
#include "dns/message.h"

namespace rusternetes::dns {

using apimachinery::Document;
using apimachinery::core_v1::Service;
using apimachinery::discovery_v1::EndpointSlice;
using network::IpAddress;

namespace {

constexpr std::string_view service_name_label = "kubernetes.io/service-name";
constexpr std::size_t most_label = 63;

void append_label(std::string& out, std::string_view label) {
  out += static_cast<char>(label.size());
  for (const char c : label) out += lower(c);
}

std::string lower_text(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

std::string service_labels(std::string_view name, std::string_view name_space) {
  std::string out;
  append_label(out, name.substr(0, most_label));
  append_label(out, name_space.substr(0, most_label));
  return out;
}
std::string labels_of_service(const Document& object) {
  return service_labels(client::name_of(object), client::namespace_of(object));
}
std::string labels_of_slice(const Document& object) {
  const auto name = EndpointSlice(&object.root()).metadata().labels().get(service_name_label);
  return name.empty() ? std::string{} : service_labels(name, client::namespace_of(object));
}

std::shared_ptr<const SliceRecords> make_slice(const Document& object) {
  const EndpointSlice slice(&object.root());
  auto out = std::make_shared<SliceRecords>();
  out->service = labels_of_slice(object);
  for (const auto port : slice.ports())
    out->ports.push_back({lower_text(port.name()), lower_text(port.protocol()),
                          static_cast<std::uint16_t>(port.port()), port.has_port()});
  out->labels = std::string(1, '\0');
  for (const auto endpoint : slice.endpoints()) {
    const auto hostname = endpoint.hostname();
    std::uint32_t label_at = 0;
    if (!hostname.empty() && hostname.size() <= most_label) {
      label_at = static_cast<std::uint32_t>(out->labels.size());
      append_label(out->labels, hostname);
    }
    // Without the condition it counts as ready (the field's documentation).
    const bool is_ready = endpoint.conditions().ready(true);
    for (const std::string_view text : endpoint.addresses())
      if (const auto address = IpAddress::parse(text))
        out->endpoints.push_back({*address, is_ready, label_at});
  }
  std::ranges::sort(out->endpoints, {}, &SliceRecords::Endpoint::address);
  for (std::uint32_t i = 0; i < out->endpoints.size(); ++i)
    if (out->endpoints[i].label_at != 0) out->by_label.push_back(i);
  std::ranges::sort(out->by_label, {}, [&](std::uint32_t i) { return out->label_of(out->endpoints[i]); });
  out->endpoints.shrink_to_fit();
  out->labels.shrink_to_fit();
  return out;
}

// The API takes 010.96.0.9 and ::ffff:10.96.0.9 for a Service's address, too, and both are 10.96.0.9.
std::optional<IpAddress> service_address(std::string_view text) {
  const auto address = apimachinery::IpAddress::parse_sloppy(text);
  if (!address) return std::nullopt;
  const auto plain = IpAddress::parse(address->unmap().to_string());
  return plain ? std::optional(*plain) : std::nullopt;
}

std::shared_ptr<ServiceRecords> make_service(const Document& object) {
  const auto spec = Service(&object.root()).spec();
  auto out = std::make_shared<ServiceRecords>();
  out->publishes_not_ready = spec.publishNotReadyAddresses();
  for (const auto port : spec.ports())
    out->ports.push_back({lower_text(port.name()),
                          port.protocol().empty() ? "tcp" : lower_text(port.protocol()),
                          static_cast<std::uint16_t>(port.port()), true});
  if (spec.type() == "ExternalName") {
    out->kind = ServiceRecords::Kind::external_name;
    // An address in the place of a name makes no record, as with CoreDNS.
    if (auto name = name_from_text(spec.externalName()); name && !IpAddress::parse(spec.externalName()))
      out->external_name = *name;
    return out;
  }
  if (spec.clusterIP() == "None") {
    out->kind = ServiceRecords::Kind::headless;
    return out;
  }
  std::vector<std::string_view> texts(spec.clusterIPs().begin(), spec.clusterIPs().end());
  if (texts.empty()) texts.push_back(spec.clusterIP());
  for (const auto text : texts)
    if (const auto address = service_address(text)) out->cluster_ips.push_back(*address);
  return out;
}

template <std::size_t size>
std::string packed(std::vector<IpAddress>& addresses) {
  std::string out;
  out.reserve(addresses.size() * size);
  for (const auto& address : addresses)
    out.append(reinterpret_cast<const char*>(address.bytes().data()), size);
  return out;
}

template <class Map, class Key, class Value>
void erase_one(Map& map, const Key& key, const Value& value) {
  const auto [first, last] = map.equal_range(key);
  for (auto it = first; it != last; ++it)
    if (it->second == value) return void(map.erase(it));
}

}  // namespace

std::string_view SliceRecords::label_of(const Endpoint& endpoint) const {
  return std::string_view(labels).substr(endpoint.label_at + 1,
                                         static_cast<unsigned char>(labels[endpoint.label_at]));
}

std::string label_of_address(const IpAddress& address) {
  std::string label = address.to_string();
  std::ranges::replace_if(
      label, [](char c) { return c == '.' || c == ':'; }, '-');
  if (label.ends_with('-')) label += '0';
  return label;
}

bool address_from_label(std::string_view label, IpAddress& out) {
  std::string text(label);
  const bool is_v4 = std::ranges::count(label, '-') == 3 && label.find("--") == label.npos;
  std::ranges::replace(text, '-', is_v4 ? '.' : ':');
  const auto address = IpAddress::parse(text);
  if (!address) return false;
  out = *address;
  return true;
}

bool address_of_label(std::string_view label, IpAddress& out) {
  return address_from_label(label, out) && label_of_address(out) == label;
}

std::size_t Catalog::AddressHash::operator()(const IpAddress& address) const {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void Catalog::on_namespace(const Document& before, const Document& now) {
  ++version_;
  if (now)
    namespaces_.insert(lower_text(client::name_of(now)));
  else
    namespaces_.erase(lower_text(client::name_of(before)));
}

void Catalog::on_service(const Document& before, const Document& now) {
  ++version_;
  const std::string labels = labels_of_service(now ? now : before);
  if (const auto it = services_.find(labels); it != services_.end()) {
    for (const auto& address : it->second.records->cluster_ips) erase_one(service_of_, address, labels);
    services_.erase(it);
  }
  if (!now) return;
  auto records = make_service(now);
  for (const auto& address : records->cluster_ips) service_of_.emplace(address, labels);
  services_.emplace(labels, Entry{std::move(records), true});
}

void Catalog::touch(std::string_view labels) {
  if (const auto it = services_.find(labels); it != services_.end()) it->second.is_stale = true;
}

void Catalog::forget_slice(const SliceKey& key) {
  const auto it = slices_.find(key);
  if (it == slices_.end()) return;
  for (const auto& endpoint : it->second->endpoints)
    erase_one(slices_of_, endpoint.address, it->second.get());
  slices_.erase(it);
  touch(key.first);
}

void Catalog::on_slice(const Document& before, const Document& now) {
  ++version_;
  if (before) forget_slice({labels_of_slice(before), client::object_key(before)});
  if (!now) return;
  auto records = make_slice(now);
  if (records->service.empty()) return;  // belongs to no Service
  SliceKey key{records->service, client::object_key(now)};
  forget_slice(key);  // whatever `before` said: slices_of_ points into it
  for (const auto& endpoint : records->endpoints) slices_of_.emplace(endpoint.address, records.get());
  touch(records->service);
  slices_[std::move(key)] = std::move(records);
}

// Puts the slices into the Service's records. A Service of many slices is put together once for all that
// changed since somebody last asked for it.
void Catalog::refresh(std::string_view labels, Entry& entry) {
  auto made = std::make_shared<ServiceRecords>(*entry.records);
  made->slices.clear();
  for (auto it = slices_.lower_bound({std::string(labels), {}});
       it != slices_.end() && it->first.first == labels; ++it)
    made->slices.push_back(it->second);
  if (made->kind == ServiceRecords::Kind::headless) {
    std::vector<IpAddress> v4, v6;
    for (const auto& slice : made->slices)
      for (const auto& endpoint : slice->endpoints)
        if (made->is_published(endpoint)) (endpoint.address.is_v4() ? v4 : v6).push_back(endpoint.address);
    for (auto* addresses : {&v4, &v6}) {
      std::ranges::sort(*addresses);
      addresses->erase(std::unique(addresses->begin(), addresses->end()), addresses->end());
    }
    made->v4 = packed<4>(v4);
    made->v6 = packed<16>(v6);
  }
  entry.records = std::move(made);
  entry.is_stale = false;
}

const ServiceRecords* Catalog::find(std::string_view labels) {
  const auto it = services_.find(labels);
  if (it == services_.end()) return nullptr;
  if (it->second.is_stale) refresh(it->first, it->second);
  return it->second.records.get();
}

const ServiceRecords* Catalog::service_of_slice(const Document& slice) {
  const auto it = services_.find(labels_of_slice(slice));
  return it == services_.end() ? nullptr : it->second.records.get();
}

std::vector<std::string> Catalog::names_of(const IpAddress& address) {
  std::vector<std::string> names;
  if (const auto it = service_of_.find(address); it != service_of_.end()) return {it->second};
  const auto [first, last] = slices_of_.equal_range(address);
  for (auto it = first; it != last; ++it) {
    const SliceRecords& slice = *it->second;
    const auto service = services_.find(slice.service);
    if (service == services_.end()) continue;
    const auto same =
        std::ranges::equal_range(slice.endpoints, address, {}, &SliceRecords::Endpoint::address);
    for (const auto& endpoint : same) {
      if (!service->second.records->is_published(endpoint)) continue;
      std::string name;
      if (endpoint.label_at != 0)
        append_label(name, slice.label_of(endpoint));
      else
        append_label(name, label_of_address(address));
      name += slice.service;
      if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
  }
  return names;
}

}  // namespace rusternetes::dns
