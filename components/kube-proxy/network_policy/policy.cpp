#include "kube-proxy/network_policy/policy.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>

#include "apimachinery/api/networking_v1.h"
#include "kube-proxy/lenient.h"
#include "network/nft.h"

namespace rusternetes::kube_proxy::network_policy {

using namespace apimachinery;

namespace {

// The kernel takes 255 bytes.
constexpr std::size_t kLongestName = 200;

std::optional<Protocol> protocol_of(std::string_view text) {
  if (text.empty() || text == "TCP") return Protocol::tcp;
  if (text == "UDP") return Protocol::udp;
  if (text == "SCTP") return Protocol::sctp;
  return std::nullopt;
}

LabelSelector selector_of(const meta_v1::LabelSelector& view,
                          const LabelSelector& unreadable = LabelSelector::nothing()) {
  LabelSelectorParts parts;
  for (const auto& [key, value] : view.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto each : view.matchExpressions()) {
    LabelExpression one{std::string(each.key()), std::string(each.operator_()), {}};
    for (const auto value : each.values()) one.values.emplace_back(value);
    parts.match_expressions.push_back(std::move(one));
  }
  auto built = LabelSelector::from_parts(&parts);
  return built ? *std::move(built) : unreadable;
}

// As text that no other selector has.
std::string text_of(const LabelSelector& selector) {
  return selector.selects_nothing() ? "-" : "+" + selector.to_string();
}

PodSelection read_selection(const networking_v1::NetworkPolicyPeer& peer, const std::string& name_space) {
  PodSelection out;
  if (peer.has_namespaceSelector())
    out.namespaces = selector_of(peer.namespaceSelector());
  else
    out.name_space = name_space;
  if (peer.has_podSelector()) out.pods = selector_of(peer.podSelector());
  out.id = hash_of(fmt::format("{}\n{}\n{}", out.name_space, out.namespaces ? text_of(*out.namespaces) : "",
                               text_of(out.pods)));
  return out;
}

std::optional<Block> read_block(const networking_v1::IPBlock& view) {
  const auto range = lenient_prefix(view.cidr());
  if (!range) return std::nullopt;
  Block out{*range, {}};
  for (const auto text : view.except()) {
    const auto except = lenient_prefix(text);
    if (!except) return std::nullopt;
    out.except.push_back(*except);
  }
  return out;
}

void read_peers(const ListView<networking_v1::NetworkPolicyPeer>& peers, const std::string& name_space,
                Rule& rule) {
  rule.is_for_all_peers = peers.empty();
  for (const auto peer : peers) {
    if (peer.has_ipBlock()) {
      if (auto block = read_block(peer.ipBlock())) rule.peers.emplace_back(*std::move(block));
    } else if (peer.has_podSelector() || peer.has_namespaceSelector()) {
      rule.peers.emplace_back(read_selection(peer, name_space));
    }
  }
}

void read_ports(const ListView<networking_v1::NetworkPolicyPort>& ports, Rule& rule) {
  rule.is_for_all_ports = ports.empty();
  for (const auto port : ports) {
    const auto protocol = protocol_of(port.protocol());
    if (!protocol) continue;
    const Value* value = port.port().value();
    if (!value) {
      rule.ports.push_back({*protocol});
    } else if (value->kind == ValueKind::integer) {
      const auto last = port.has_endPort() ? port.endPort() : value->integer;
      if (value->integer < 0 || last > 65535 || value->integer > last) continue;
      rule.ports.push_back(
          {*protocol, static_cast<std::uint16_t>(value->integer), static_cast<std::uint16_t>(last)});
    } else if (network::is_safe_name(value->str()) && value->str().size() <= 63) {
      rule.names.push_back({*protocol, std::string(value->str())});
    }
  }
}

}  // namespace

std::string_view word(Direction direction) { return direction == Direction::ingress ? "ingress" : "egress"; }

std::string hash_of(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  std::uint64_t bits = 0;
  int have = 0;
  for (int i = 0; i < 10; ++i) {
    bits = bits << 8 | digest[i];
    for (have += 8; have >= 5; have -= 5) out += "abcdefghijklmnopqrstuvwxyz234567"[bits >> (have - 5) & 31];
  }
  return out;
}

bool Block::contains(const IpAddress& address) const {
  return range.contains(address) &&
         std::ranges::none_of(except, [&](const IpPrefix& each) { return each.contains(address); });
}

std::string Policy::chain(Direction direction) const {
  std::string out = fmt::format("{}/{}/{}", word(direction), name_space, name);
  if (out.size() > kLongestName) {
    const std::string hash = hash_of(out);
    out.resize(kLongestName - hash.size() - 1);
    out += "_" + hash;
  }
  return out;
}

bool Policy::reaches_beyond_namespace() const {
  for (const auto direction : kDirections)
    for (const auto& rule : rules[static_cast<int>(direction)]) {
      // Whose number an egress rule's port has is any Pod's of the cluster.
      if (direction == Direction::egress && !rule.names.empty()) return true;
      for (const auto& peer : rule.peers)
        if (const auto* selection = std::get_if<PodSelection>(&peer); selection && selection->namespaces)
          return true;
    }
  return false;
}

Policy read_policy(const Document& document) {
  const networking_v1::NetworkPolicy view(&document.root());
  const auto spec = view.spec();
  Policy out;
  out.name_space = view.metadata().namespace_();
  out.name = view.metadata().name();
  out.targets = selector_of(spec.podSelector(), LabelSelector());
  bool& ingress = out.isolates[static_cast<int>(Direction::ingress)];
  bool& egress = out.isolates[static_cast<int>(Direction::egress)];
  if (spec.policyTypes().empty()) {
    ingress = true;
    egress = !spec.egress().empty();
  }
  for (const auto type : spec.policyTypes()) {
    ingress |= type == "Ingress";
    egress |= type == "Egress";
  }
  if (ingress)
    for (const auto rule : spec.ingress()) {
      Rule& one = out.rules[static_cast<int>(Direction::ingress)].emplace_back();
      read_peers(rule.from(), out.name_space, one);
      read_ports(rule.ports(), one);
    }
  if (egress)
    for (const auto rule : spec.egress()) {
      Rule& one = out.rules[static_cast<int>(Direction::egress)].emplace_back();
      read_peers(rule.to(), out.name_space, one);
      read_ports(rule.ports(), one);
    }
  return out;
}

}  // namespace rusternetes::kube_proxy::network_policy
