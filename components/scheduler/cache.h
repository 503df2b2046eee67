#pragma once
// Nodes and what they hold, as the scheduler sees them: bound Pods from the mirror, assumed ones until the mirror shows them.
// And the namespaces, by whose labels terms choose Pods.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"
#include "scheduler/pod_selection.h"

namespace rusternetes::scheduler {

using apimachinery::Document;

// CPU in thousandths, memory and storage in bytes, the rest in units; by resource name.
using Amounts = std::map<std::string, std::int64_t, std::less<>>;

// What a Pod asks for: the sum of its containers, or the largest init container, with sidecars and overhead (KEP 753).
Amounts pod_requests(const apimachinery::core_v1::Pod& pod);
std::int64_t amount_of(std::string_view resource, std::string_view quantity);

// A port of the node's own. As it is compared: "0.0.0.0" for no address, TCP for no protocol.
struct HostPort {
  std::string protocol;
  std::int64_t port = 0;
  std::string ip;
  auto operator<=>(const HostPort&) const = default;
};
// Those that the Pod takes for as long as it runs: of its containers and sidecars.
std::vector<HostPort> host_ports(const apimachinery::core_v1::Pod& pod);

struct NodeInfo {
  Document node;
  Amounts allocatable;
  Amounts requested;
  std::map<std::string, Document> pods;  // by uid
  std::multiset<HostPort> used_ports;
};

// A Pod that keeps others away, and where it is.
struct AntiAffinePod {
  std::string node;
  std::vector<AffinityTerm> terms;
};

class Cache {
 public:
  void set_node(const Document& node);
  void remove_node(std::string_view name);
  // A bound Pod, from the mirror. Takes the place of an assumed one.
  void set_pod(const Document& pod);
  void remove_pod(const Document& pod);
  // As if it were bound; forget() takes it back.
  void assume(const Document& pod, const std::string& node);
  void forget(const Document& pod);
  void set_namespace(const Document& name_space);
  void remove_namespace(std::string_view name);
  bool is_assumed(std::string_view uid) const { return assumed_.contains(std::string(uid)); }

  const std::map<std::string, NodeInfo, std::less<>>& nodes() const { return nodes_; }
  // By uid: the Pods on nodes that have required anti-affinity.
  const std::map<std::string, AntiAffinePod>& anti_affine() const { return anti_affine_; }
  // None for a namespace that is not known.
  Labels namespace_labels(std::string_view name) const;

 private:
  void place(const Document& pod, const std::string& node);
  void take_away(const std::string& uid);
  std::map<std::string, NodeInfo, std::less<>> nodes_;
  std::map<std::string, Document, std::less<>> namespaces_;
  std::map<std::string, AntiAffinePod> anti_affine_;
  std::map<std::string, std::string> placed_;   // uid → node
  std::map<std::string, Document> waiting_;     // Pods of nodes that are not known yet
  std::map<std::string, std::string> assumed_;  // uid → node
};

}  // namespace rusternetes::scheduler
