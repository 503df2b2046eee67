// Names of Services: their addresses, endpoints and ports, and what an ExternalName stands for.

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <set>

#include "dns/zone_internal.h"

namespace rusternetes::dns {

namespace {
constexpr std::size_t most_chain = 10;  // CoreDNS's bound on CNAMEs in a row
}

Zone::Outcome Zone::answer_external(const Query& query, const Labels& labels, const ServiceRecords& service,
                                    Response& response, std::vector<std::string>& chain) {
  const std::size_t question_zone_at = query.lower_name.size() - domain_.size();
  if (service.external_name.empty() || labels.count != 3) {
    answer_negative(chain.empty() ? Rcode::name_error : Rcode::no_error, question_zone_at, response);
    return Outcome::answered;
  }
  const std::string target = service.external_name;
  const bool is_loop = target == query.lower_name || std::ranges::find(chain, target) != chain.end();
  if (query.type == type_srv || is_loop || chain.size() >= most_chain) {
    answer_negative(Rcode::no_error, question_zone_at, response);
    return Outcome::answered;
  }
  chain.push_back(target);
  if (query.type == type_cname) {
    add_chain(chain, response);
    return Outcome::answered;
  }
  std::size_t zone_at = 0;
  if (!is_within(target, domain_, &zone_at)) return Outcome::chase;
  return answer_in_domain(query, target, zone_at, response, chain);
}

// All addresses of a headless Service, in another order each time.
void Zone::answer_packed(const Query& query, const ServiceRecords& service, std::size_t zone_at,
                         Response& response, const std::vector<std::string>& chain) {
  const std::string& all = query.type == type_a ? service.v4 : service.v6;
  const std::size_t width = query.type == type_a ? 4 : 16, count = all.size() / width;
  if (count == 0) return answer_negative(Rcode::no_error, zone_at, response);
  add_chain(chain, response);
  const auto add = [&](std::size_t i) {
    return response.add_address(Response::Section::answer, owner_after(chain), options_.ttl_s,
                                std::string_view(all).substr(i * width, width));
  };
  std::array<std::uint16_t, 256> order;
  if (count <= order.size()) {
    std::iota(order.begin(), order.begin() + count, 0);
    std::shuffle(order.begin(), order.begin() + count, random_);
    for (std::size_t i = 0; i < count && add(order[i]); ++i) {
    }
    return;
  }
  const std::size_t start = random_() % count;  // from anywhere, round
  for (std::size_t i = 0; i < count && add((start + i) % count); ++i) {
  }
}

namespace {
// Calls `each` with the published endpoints that have the name, or all.
template <class Each>
void for_endpoints(const ServiceRecords& service, const SliceRecords& slice, std::string_view name,
                   Each each) {
  const auto take = [&](const SliceRecords::Endpoint& endpoint) {
    if (service.is_published(endpoint)) each(endpoint);
  };
  if (name.empty()) return std::ranges::for_each(slice.endpoints, take), void();
  const auto label_of = [&](std::uint32_t i) { return slice.label_of(slice.endpoints[i]); };
  for (const auto i : std::ranges::equal_range(slice.by_label, name, {}, label_of)) take(slice.endpoints[i]);
  IpAddress address;
  if (!address_of_label(name, address)) return;
  for (const auto& endpoint :
       std::ranges::equal_range(slice.endpoints, address, {}, &SliceRecords::Endpoint::address))
    if (endpoint.label_at == 0) take(endpoint);  // one with a hostname has no other name
}

// Whether "_tcp" stands above the name of a port: it exists then, if without records.
bool has_protocol(const ServiceRecords& service, std::string_view label) {
  if (!label.starts_with('_')) return false;
  const auto is_it = [&](const NamedPort& port) {
    return !port.name.empty() && port.protocol == label.substr(1);
  };
  if (service.kind != ServiceRecords::Kind::headless) return std::ranges::any_of(service.ports, is_it);
  return std::ranges::any_of(service.slices, [&](const auto& slice) {
    return std::ranges::any_of(slice->ports, is_it) &&
           std::ranges::any_of(slice->endpoints,
                               [&](const auto& each) { return service.is_published(each); });
  });
}
}  // namespace

// `is_known` becomes true also for what exists without an address.
std::vector<Zone::Item> Zone::items_of(const Labels& labels, const ServiceRecords& service,
                                       const Wanted& wanted, bool& is_known) const {
  const std::string_view host = labels.name.substr(labels.at[labels.count - 3],
                                                   labels.at[labels.count - 1] - labels.at[labels.count - 3]);
  std::vector<Item> items;
  if (service.kind == ServiceRecords::Kind::headless || labels.count == 4) {
    for (const auto& slice : service.slices)
      for_endpoints(service, *slice, wanted.endpoint, [&](const SliceRecords::Endpoint& endpoint) {
        if (items.size() >= wanted.most) return;
        std::string label = to_label(endpoint.label_at != 0 ? std::string(slice->label_of(endpoint))
                                                            : label_of_address(endpoint.address));
        label += host;
        if (slice->ports.empty() && wanted.matches_portless())
          items.push_back({endpoint.address, label, 0, false});
        for (const auto& port : slice->ports)
          if (wanted.matches(port)) items.push_back({endpoint.address, label, port.number, port.has_number});
      });
  } else {
    is_known = service.ports.empty() && wanted.matches_portless();
    if (is_known)
      for (const auto& address : service.cluster_ips) items.push_back({address, std::string(host), 0, false});
    for (const auto& port : service.ports) {
      if (!wanted.matches(port)) continue;
      is_known = true;
      for (const auto& address : service.cluster_ips)
        items.push_back({address, std::string(host), port.number});
    }
  }
  return items;
}

Zone::Outcome Zone::answer_service(const Query& query, const Labels& labels, const ServiceRecords& service,
                                   Response& response, std::vector<std::string>& chain) {
  using Kind = ServiceRecords::Kind;
  if (service.kind == Kind::external_name) return answer_external(query, labels, service, response, chain);
  const std::size_t question_zone_at = query.lower_name.size() - domain_.size();
  Wanted wanted;
  if (labels.count == 4) wanted.endpoint = labels.text[0];
  if (labels.count == 5) {
    wanted.port = labels.text[0];
    wanted.protocol = labels.text[1];
    if (wanted.port.starts_with('_')) wanted.port.remove_prefix(1);
    if (wanted.protocol.starts_with('_')) wanted.protocol.remove_prefix(1);
    if (wanted.port.empty() || wanted.protocol.empty()) {
      answer_negative(Rcode::name_error, question_zone_at, response);
      return Outcome::answered;
    }
  }
  if (service.kind == Kind::headless && labels.count == 3 && is_address_type(query.type) &&
      !(service.v4.empty() && service.v6.empty())) {
    answer_packed(query, service, question_zone_at, response, chain);
    return Outcome::answered;
  }
  if (service.kind == Kind::cluster_ip && labels.count == 3 && is_address_type(query.type) && chain.empty()) {
    bool has_any = false;
    for (const auto& address : service.cluster_ips)
      if (is_of_type(address, query.type))
        has_any |= response.add_address(Response::Section::answer, Response::whole_question(), options_.ttl_s,
                                        bytes_of(address));
    if (!has_any) answer_negative(Rcode::no_error, question_zone_at, response);
    return Outcome::answered;
  }
  // For all other types it matters only whether there is one.
  if (!is_address_type(query.type) && query.type != type_srv) wanted.most = 1;
  bool is_known = labels.count == 4 && has_protocol(service, wanted.endpoint);
  std::vector<Item> items = items_of(labels, service, wanted, is_known);
  if (items.empty() && !is_known) {
    answer_negative(chain.empty() ? Rcode::name_error : Rcode::no_error, question_zone_at, response);
    return Outcome::answered;
  }
  answer_items(query, labels, std::move(items), response, chain);
  return Outcome::answered;
}

void Zone::answer_items(const Query& query, const Labels& labels, std::vector<Item> items, Response& response,
                        const std::vector<std::string>& chain) {
  const std::size_t question_zone_at = query.lower_name.size() - domain_.size();
  const std::size_t size_before = response.size();
  if (query.type == type_srv && chain.empty()) {
    answer_srv(query, labels, items, response);
  } else if (is_address_type(query.type)) {
    std::vector<IpAddress> addresses;
    for (const auto& item : items)
      if (is_of_type(item.address, query.type)) addresses.push_back(item.address);
    std::ranges::sort(addresses);
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    std::ranges::shuffle(addresses, random_);
    if (!addresses.empty()) add_chain(chain, response);
    for (const auto& address : addresses)
      response.add_address(Response::Section::answer, owner_after(chain), options_.ttl_s, bytes_of(address));
  }
  if (response.size() == size_before && !response.is_truncated())
    answer_negative(Rcode::no_error, question_zone_at, response);
}

// Weights share 100 among all, and each target's addresses come along, as clients of CoreDNS know it.
void Zone::answer_srv(const Query& query, const Labels& labels, const std::vector<Item>& items,
                      Response& response) {
  const auto weight =
      static_cast<std::uint16_t>(std::max<std::size_t>(1, 100 / std::max<std::size_t>(1, items.size())));
  const std::string suffix(query.name.substr(labels.at[labels.count - 1]));  // in the client's case
  std::set<std::pair<std::string_view, std::uint16_t>> written;
  std::map<std::string_view, std::size_t> places;  // of a target's name in the message
  for (const auto& item : items) {
    if (!item.has_port || !written.emplace(item.host, item.port).second) continue;
    std::size_t target_at = 0;
    if (!response.add_srv(Response::whole_question(), options_.ttl_s, weight, item.port, item.host + suffix,
                          &target_at))
      return;
    if (target_at < 0x4000) places.try_emplace(item.host, target_at);  // as far as a pointer reaches
  }
  std::set<std::pair<std::string_view, IpAddress>> given;
  for (const auto& item : items) {
    const auto place = places.find(item.host);
    if (place == places.end() || !given.emplace(item.host, item.address).second) continue;
    if (!response.add_address(Response::Section::additional, {{}, place->second}, options_.ttl_s,
                              bytes_of(item.address)))
      return;
  }
}

}  // namespace rusternetes::dns
