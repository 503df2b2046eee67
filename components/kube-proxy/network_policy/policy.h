#pragma once
// A NetworkPolicy as the rules need it, read from the API's object once. A peer or port that cannot be read
// matches nothing, and spec.podSelector then selects every Pod of the namespace: a policy may forbid too
// much, never allow too much.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apimachinery/document.h"
#include "apimachinery/label_selector.h"
#include "kube-proxy/rules.h"

namespace rusternetes::kube_proxy::network_policy {

using apimachinery::Document;
using apimachinery::LabelSelector;

enum class Direction : std::uint8_t { ingress, egress };
constexpr Direction kDirections[] = {Direction::ingress, Direction::egress};
std::string_view word(Direction direction);

// Sixteen letters and digits that stand for a text: 80 bits of its SHA-256, since whoever may write policies
// must not find another text with the same.
std::string hash_of(std::string_view text);

// Pods by their labels: of one namespace, or of those namespaces that have certain labels themselves.
struct PodSelection {
  std::string name_space;                   // empty with `namespaces`
  std::optional<LabelSelector> namespaces;  // namespaceSelector
  LabelSelector pods;                       // everything without podSelector
  std::string id;                           // hash_of() all of it: names its sets
  bool operator==(const PodSelection&) const = default;
};

// ipBlock.
struct Block {
  IpPrefix range;
  std::vector<IpPrefix> except;
  bool contains(const IpAddress& address) const;
  bool operator==(const Block&) const = default;
};

using Peer = std::variant<PodSelection, Block>;

struct PortRange {
  Protocol protocol{};
  std::uint16_t first = 0, last = 65535;  // all of them, where a rule names the protocol alone
  auto operator<=>(const PortRange&) const = default;
};

// Stands for the port's number in the Pod that is connected to.
struct NamedPort {
  Protocol protocol{};
  std::string name;
  auto operator<=>(const NamedPort&) const = default;
};

// One entry of spec.ingress or spec.egress. Without `peers` (or ports) where the entry has none: all.
struct Rule {
  bool is_for_all_peers = true, is_for_all_ports = true;
  std::vector<Peer> peers;
  std::vector<PortRange> ports;
  std::vector<NamedPort> names;
  bool operator==(const Rule&) const = default;
};

struct Policy {
  std::string name_space, name;
  LabelSelector targets;
  bool isolates[2] = {false, false};  // by Direction: whether the selected Pods lose what no rule allows
  std::vector<Rule> rules[2];
  bool operator==(const Policy&) const = default;

  // "ingress/NAMESPACE/NAME", shortened where the kernel takes no such length.
  std::string chain(Direction direction) const;
  // Whether Pods of other namespaces are in any of its sets.
  bool reaches_beyond_namespace() const;
};

// policyTypes that are not given are Ingress and, if there are egress rules, Egress.
Policy read_policy(const Document& document);

}  // namespace rusternetes::kube_proxy::network_policy
