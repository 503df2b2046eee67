#include "dns/zone.h"

#include <algorithm>

#include "dns/zone_internal.h"

namespace rusternetes::dns {

using namespace std::string_view_literals;

namespace {

constexpr std::uint32_t version_ttl_s = 28800, most_soa_ttl_s = 300;
constexpr std::string_view v4_zone = "\7in-addr\4arpa\0"sv, v6_zone = "\3ip6\4arpa\0"sv;

// The address that a name under in-addr.arpa or ip6.arpa stands for.
bool address_of_reverse(std::string_view name, IpAddress& out) {
  std::size_t zone_at = 0;
  std::uint8_t bytes[16] = {};
  if (is_within(name, v4_zone, &zone_at)) {
    std::string text;
    int labels = 0;
    for (std::size_t at = 0; at < zone_at; at += static_cast<unsigned char>(name[at]) + 1u, ++labels) {
      const std::string_view label = name.substr(at + 1, static_cast<unsigned char>(name[at]));
      text.insert(0, labels == 0 ? std::string(label) : std::string(label) + ".");
    }
    const auto address = IpAddress::parse(text);
    if (labels != 4 || !address || !address->is_v4()) return false;
    out = *address;
    return true;
  }
  if (!is_within(name, v6_zone, &zone_at) || zone_at != 64) return false;
  for (std::size_t i = 0; i < 32; ++i) {  // nibbles, the last one first
    const char c = name[2 * i + 1];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (name[2 * i] != 1 || digit < 0) return false;
    bytes[15 - i / 2] |= static_cast<std::uint8_t>(i % 2 ? digit << 4 : digit);
  }
  out = IpAddress::from_bytes(AF_INET6, bytes);
  return true;
}

}  // namespace

Result<Zone> Zone::make(ZoneOptions options, Catalog& catalog) {
  RN_TRY(auto domain, name_from_text(options.domain));
  if (domain.size() < 2) return Status{400, "BadRequest", "the cluster's domain is empty"};
  return Zone(std::move(options), std::move(domain), catalog);
}

Zone::Zone(ZoneOptions options, std::string domain, Catalog& catalog)
    : options_(std::move(options)),
      domain_(std::move(domain)),
      service_labels_(to_label(options_.service_name) + to_label(options_.service_namespace)),
      catalog_(catalog) {}

Zone::Scope Zone::scope_of(const Query& query) const {
  if (is_within(query.lower_name, domain_)) return Scope::cluster;
  if (is_within(query.lower_name, v4_zone) || is_within(query.lower_name, v6_zone)) return Scope::reverse;
  return Scope::outside;
}

Zone::Outcome Zone::answer(const Query& query, Response& response, std::vector<std::string>& chain) {
  std::size_t zone_at = 0;
  if (!is_within(query.lower_name, domain_, &zone_at)) return answer_reverse(query, response);
  response.set_flag(flag_authoritative);
  return answer_in_domain(query, query.lower_name, zone_at, response, chain);
}

// SOA in the authority section says for how long the absence may be remembered (RFC 2308 section 3). Whoever
// came here over CNAMEs has found a name, if nothing at its end.
void Zone::answer_negative(Rcode rcode, std::size_t zone_at, Response& response) const {
  response.set_rcode(rcode);
  response.add_soa(Response::Section::authority, {{{}, Response::in_question(zone_at)},
                                                  std::min(options_.ttl_s, most_soa_ttl_s),
                                                  serial_,
                                                  options_.ttl_s,
                                                  "\2ns\3dns"sv,
                                                  "\12hostmaster"sv});
}

void Zone::answer_missing_reverse(const Query& query, Response& response) {
  std::size_t zone_at = 0;
  if (!is_within(query.lower_name, v4_zone, &zone_at)) is_within(query.lower_name, v6_zone, &zone_at);
  answer_negative(zone_at == 0 ? Rcode::no_error : Rcode::name_error, zone_at, response);
}

Zone::Outcome Zone::answer_reverse(const Query& query, Response& response) {
  IpAddress address;
  if (query.type != type_ptr || !address_of_reverse(query.lower_name, address)) return Outcome::not_here;
  const auto names = catalog_.names_of(address);
  if (names.empty()) return Outcome::not_here;
  response.set_flag(flag_authoritative);
  for (const auto& name : names) {
    const std::string labels = name + "\3svc" + domain_.substr(0, domain_.size() - 1);
    response.add_name(Response::Section::answer, type_ptr, Response::whole_question(), options_.ttl_s,
                      {labels, 0});
  }
  return Outcome::answered;
}

Response::Name Zone::owner_after(const std::vector<std::string>& chain) const {
  if (chain.empty()) return Response::whole_question();
  return {std::string_view(chain.back()).substr(0, chain.back().size() - 1), 0};
}

void Zone::add_chain(const std::vector<std::string>& chain, Response& response) const {
  Response::Name owner = Response::whole_question();
  for (const auto& name : chain) {
    const Response::Name target{std::string_view(name).substr(0, name.size() - 1), 0};
    response.add_name(Response::Section::answer, type_cname, owner, options_.ttl_s, target);
    owner = target;
  }
}

std::vector<IpAddress> Zone::server_addresses() {
  const ServiceRecords* service = catalog_.find(service_labels_);
  return service && !service->cluster_ips.empty() ? service->cluster_ips : options_.own_addresses;
}

Zone::Outcome Zone::answer_apex(const Query& query, std::size_t zone_at, Response& response) {
  const Response::Name zone{{}, Response::in_question(zone_at)};
  if (query.type == type_soa) {
    response.add_soa(Response::Section::answer, {zone, std::min(options_.ttl_s, most_soa_ttl_s), serial_,
                                                 options_.ttl_s, "\2ns\3dns"sv, "\12hostmaster"sv});
    return Outcome::answered;
  }
  if (query.type != type_ns) {
    answer_negative(Rcode::no_error, zone_at, response);
    return Outcome::answered;
  }
  const ServiceRecords* service = catalog_.find(service_labels_);
  const std::string labels =
      service && !service->cluster_ips.empty() ? service_labels_ + "\3svc" : std::string("\2ns\3dns");
  const Response::Name server{labels, zone.rest};
  response.add_name(Response::Section::answer, type_ns, zone, options_.ttl_s, server);
  for (const auto& address : server_addresses())
    response.add_address(Response::Section::additional, server, options_.ttl_s, bytes_of(address));
  return Outcome::answered;
}

Zone::Outcome Zone::answer_in_domain(const Query& query, const std::string& name, std::size_t zone_at,
                                     Response& response, std::vector<std::string>& chain) {
  const Labels labels(name, zone_at);
  // Of the question's name, not of the one that CNAMEs have led to.
  const std::size_t question_zone_at = query.lower_name.size() - domain_.size();
  const auto negative = [&](Rcode rcode) {
    answer_negative(chain.empty() ? rcode : Rcode::no_error, question_zone_at, response);
    return Outcome::answered;
  };
  if (labels.count == 0 && chain.empty()) return answer_apex(query, zone_at, response);
  if (labels.count == 0) return negative(Rcode::no_error);
  if (labels.count > Labels::most) return negative(Rcode::name_error);
  const std::string_view last = labels.from_end(0);
  if (last == "dns-version" && labels.count == 1) {
    if (query.type != type_txt || !chain.empty()) return negative(Rcode::no_error);
    response.add_text(Response::whole_question(), version_ttl_s, "1.1.0");
    return Outcome::answered;
  }
  if (last == "dns" && (labels.count == 1 || (labels.count == 2 && labels.from_end(1) == "ns"))) {
    bool has_any = false;
    if (labels.count == 2 && chain.empty())
      for (const auto& address : server_addresses())
        if (is_of_type(address, query.type))
          has_any |= response.add_address(Response::Section::answer, Response::whole_question(),
                                          options_.ttl_s, bytes_of(address));
    return has_any ? Outcome::answered : negative(Rcode::no_error);
  }
  if (last != "svc" && last != "pod") return negative(Rcode::name_error);
  if (labels.count == 1) return negative(Rcode::no_error);
  if (!catalog_.has_namespace(labels.from_end(1))) return negative(Rcode::name_error);
  if (labels.count == 2) return negative(Rcode::no_error);
  if (last == "pod") {
    if (labels.count > 3 || !chain.empty()) return negative(Rcode::name_error);
    return answer_pod(query, labels, response);
  }
  const std::size_t first = labels.at[labels.count - 3];
  const ServiceRecords* service =
      catalog_.find(labels.name.substr(first, labels.at[labels.count - 1] - first));
  if (!service) return negative(Rcode::name_error);
  return answer_service(query, labels, *service, response, chain);
}

// Without asking whether such a Pod exists, as kubeadm sets CoreDNS ("pods insecure").
Zone::Outcome Zone::answer_pod(const Query& query, const Labels& labels, Response& response) const {
  IpAddress address;
  if (!address_from_label(labels.text[0], address))
    answer_negative(Rcode::name_error, labels.zone_at, response);
  else if (is_of_type(address, query.type))
    response.add_address(Response::Section::answer, Response::whole_question(), options_.ttl_s,
                         bytes_of(address));
  else
    answer_negative(Rcode::no_error, labels.zone_at, response);
  return Outcome::answered;
}

}  // namespace rusternetes::dns
