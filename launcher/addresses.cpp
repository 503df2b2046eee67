#include "launcher/addresses.h"

#include <fmt/format.h>

#include <charconv>

#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/ports/host_port.h"
#include "launcher/ports/network_port.h"
#include "state/pools.h"

namespace rusternetes::launcher {
namespace {

using state::Family;
using state::Range;

struct Taken {
  std::vector<state::Reservation> reservations;
  std::vector<Range> ranges;  // of other clusters, and of this one so far
  std::vector<Range> host;
  std::vector<std::uint16_t> ports;
};

Result<Taken> read_taken(Session& session) {
  Taken taken;
  if (session.state() != nullptr) {
    RN_TRY(taken.reservations, session.state()->reservations());
  }
  for (const state::Reservation& one : taken.reservations) {
    if (one.kind == "api-port" || one.kind == "published-port") {
      unsigned port = 0;
      std::from_chars(one.value.data(), one.value.data() + one.value.size(), port);
      taken.ports.push_back(static_cast<std::uint16_t>(port));
    } else if (auto range = Range::parse(one.value)) {
      taken.ranges.push_back(*range);
    }
  }
  RN_TRY(const std::vector<std::string> host, session.environment().network.host_ranges());
  for (const std::string& text : host)
    if (auto range = Range::parse(text)) taken.host.push_back(*range);
  return taken;
}

// A range that the user named.
Result<> check_range(const Taken& taken, const char* flag, const Range& wanted) {
  for (const state::Reservation& one : taken.reservations)
    if (auto range = Range::parse(one.value); range && range->overlaps(wanted))
      return failure("AddressConflict", fmt::format("{} {} overlaps {} of cluster \"{}\"", flag,
                                                    wanted.to_string(), one.value, one.cluster));
  for (const Range& range : taken.host)
    if (range.prefix > 0 && range.overlaps(wanted))
      return failure("AddressConflict", fmt::format("{} {} overlaps {}, which this host has a route to", flag,
                                                    wanted.to_string(), range.to_string()));
  return {};
}

std::vector<Family> families_of(const std::vector<Range>& ranges) {
  std::vector<Family> out;
  for (const Range& range : ranges) out.push_back(range.first.is_v4() ? Family::ipv4 : Family::ipv6);
  return out;
}

Result<std::vector<Range>> choose_ranges(Taken& taken, const char* flag, const std::string& text,
                                         int largest_v4, state::Pool (*pool)(Family),
                                         const std::vector<Family>& families) {
  std::vector<Range> out;
  if (text.empty()) {
    for (const Family family : families) {
      RN_TRY(Range range, state::pick_range(pool(family), taken.ranges, taken.host));
      out.push_back(range);
    }
  } else {
    auto parsed = state::parse_ranges(text);
    if (!parsed) return failure("BadRequest", fmt::format("{}: {}", flag, parsed.error().message));
    out = *parsed;
    // Controllers, kubelet and kube-proxy of one process serve Pods of one family.
    if (families_of(out).size() > 1)
      return failure(
          "BadRequest",
          fmt::format(
              "{} {} has ranges of two address families: a cluster has one, IPv4 or IPv6, so name one range",
              flag, text));
    for (const Range& range : out) {
      if (range.prefix > (range.first.is_v4() ? largest_v4 : 120))
        return failure("BadRequest", fmt::format("{} {} is too small", flag, range.to_string()));
      RN_CHECK(check_range(taken, flag, range));
      for (const Range& own : taken.ranges)
        if (own.overlaps(range))
          return failure("AddressConflict",
                         fmt::format("{} {} overlaps {}", flag, range.to_string(), own.to_string()));
    }
  }
  taken.ranges.insert(taken.ranges.end(), out.begin(), out.end());
  return out;
}

std::vector<std::string> texts(const std::vector<Range>& ranges) {
  std::vector<std::string> out;
  for (const Range& range : ranges) out.push_back(range.to_string());
  return out;
}

// A port that the user named must be nobody else's.
Result<> check_port(Session& session, const Taken& taken, std::string_view flag, std::uint16_t port,
                    const std::string& address) {
  for (const state::Reservation& one : taken.reservations)
    if ((one.kind == "api-port" || one.kind == "published-port") && one.value == std::to_string(port))
      return failure("AddressConflict",
                     fmt::format("{} {}: the port belongs to cluster \"{}\"", flag, port, one.cluster));
  if (!session.environment().host.is_port_free(address, port))
    return failure("AddressConflict", fmt::format("{} {}: the port is in use on this host", flag, port));
  return {};
}

Result<> choose_published(Session& session, Taken& taken, const std::vector<std::string>& texts,
                          ClusterSettings& settings) {
  if (!texts.empty() && !settings.has_own_node())
    return failure(
        "BadRequest",
        "--publish is for a node with a network of its own: with --node-network host, what listens on "
        "the node listens on the host");
  for (const std::string& text : texts) {
    RN_TRY(const PublishedPort port, parse_published_port(text));
    for (const std::string& other : settings.published_ports)
      if (parse_published_port(other)->host == port.host)
        return failure("BadRequest",
                       fmt::format("--publish {} and {} use the same port of the host", other, text));
    if (port.host == settings.api_port)
      return failure("BadRequest", fmt::format("--publish {} and --api-port {} use the same port of the host",
                                               text, settings.api_port));
    RN_CHECK(check_port(session, taken, "--publish", port.host, "0.0.0.0"));
    taken.ports.push_back(port.host);
    settings.published_ports.push_back(fmt::format("{}:{}", port.host, port.node));
  }
  return {};
}

Result<std::uint16_t> choose_port(Session& session, const Taken& taken, std::uint16_t wanted,
                                  const std::string& address) {
  HostPort& host = session.environment().host;
  if (wanted == 0)
    return state::pick_port(taken.ports,
                            [&](std::uint16_t port) { return host.is_port_free(address, port); });
  RN_CHECK(check_port(session, taken, "--api-port", wanted, address));
  return wanted;
}

// The engine's network, and on it the nodes.
Result<> choose_network(Session& session, Taken& taken, const AddressRequest& request,
                        ClusterSettings& settings) {
  constexpr int length = 24;
  const std::string& text = request.network_cidr;
  if (const auto wanted = Range::parse(text);
      !text.empty() && (!wanted || !wanted->first.is_v4() || wanted->prefix != length))
    return failure("BadRequest", fmt::format("--network-cidr \"{}\" is not an IPv4 block of /{}", text, length));
  const auto pool = [](Family) { return state::network_pool(); };
  RN_TRY(const std::vector<Range> networks,
         choose_ranges(taken, "--network-cidr", text, length, pool, {Family::ipv4}));
  settings.network_cidr = networks.front().to_string();
  settings.bridge = session.environment().network.bridge_name(settings.name);
  settings.host_addresses = {gateway_of(settings)};
  if (request.nodes > most_nodes())
    return failure("BadRequest", fmt::format("--nodes {}: the network has addresses for {}", request.nodes,
                                             most_nodes()));
  for (std::size_t i = 0; i < request.nodes; ++i) settings.nodes.push_back(next_node(settings));
  return {};
}

}  // namespace

Result<> choose_addresses(Session& session, const AddressRequest& request, ClusterSettings& settings) {
  RN_TRY(Taken taken, read_taken(session));
  std::vector<Family> families{Family::ipv4};
  // The families follow from whichever range the user gave.
  for (const std::string* text : {&request.like, &request.pod_cidr, &request.service_cidr})
    if (!text->empty())
      if (const auto parsed = state::parse_ranges(*text)) families = families_of(*parsed);
  // A node takes a /24 of the Pods' range; Services need room for at least a handful.
  RN_TRY(const std::vector<Range> pods,
         choose_ranges(taken, "--pod-cidr", request.pod_cidr, 24, state::pod_pool, families));
  RN_TRY(const std::vector<Range> services,
         choose_ranges(taken, "--service-cidr", request.service_cidr, 28, state::service_pool, families));
  if (families_of(pods) != families_of(services))
    return failure("BadRequest",
                   fmt::format("--pod-cidr {} and --service-cidr {} are not of the same address families",
                               state::to_string(pods), state::to_string(services)));
  settings.pod_cidrs = texts(pods);
  settings.service_cidrs = texts(services);
  if (settings.has_containers()) {
    if (families_of(pods) != std::vector<Family>{Family::ipv4})
      return failure("NotSupported",
                     fmt::format("--mode {} has no IPv6 in this release: choose IPv4 ranges", settings.mode));
    RN_CHECK(choose_network(session, taken, request, settings));
  } else if (settings.has_own_node()) {
    RN_TRY(const std::vector<Range> links,
           choose_ranges(taken, "node link", "", 28, state::link_pool, families_of(pods)));
    settings.node_links = texts(links);
    for (const Range& link : links) {
      settings.host_addresses.push_back(link.at(1).to_string());
      settings.node_addresses.push_back(link.at(2).to_string());
    }
  } else {
    const std::string address = session.environment().host.default_address();
    settings.host_addresses = {address};
    settings.node_addresses = {address};
  }
  settings.api_port = request.api_port;
  RN_CHECK(choose_published(session, taken, request.published_ports, settings));
  RN_TRY(settings.api_port, choose_port(session, taken, request.api_port, settings.bind_address));
  return {};
}

Result<> add_published_ports(Session& session, const std::vector<std::string>& texts, ClusterSettings& settings) {
  RN_TRY(Taken taken, read_taken(session));
  return choose_published(session, taken, texts, settings);
}

}  // namespace rusternetes::launcher
