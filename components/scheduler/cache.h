#pragma once
// Nodes and what they hold, as the scheduler sees them: bound Pods from the mirror, assumed ones until the mirror shows them.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"

namespace rusternetes::scheduler {

using apimachinery::Document;

// CPU in thousandths, memory and storage in bytes, the rest in units; by resource name.
using Amounts = std::map<std::string, std::int64_t, std::less<>>;

// What a Pod asks for: the sum of its containers, or the largest init container, with sidecars and overhead (KEP 753).
Amounts pod_requests(const apimachinery::core_v1::Pod& pod);
std::int64_t amount_of(std::string_view resource, std::string_view quantity);

struct NodeInfo {
  Document node;
  Amounts allocatable;
  Amounts requested;
  std::map<std::string, Document> pods;  // by uid
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
  bool is_assumed(std::string_view uid) const { return assumed_.contains(std::string(uid)); }

  const std::map<std::string, NodeInfo, std::less<>>& nodes() const { return nodes_; }

 private:
  void place(const Document& pod, const std::string& node);
  void take_away(const std::string& uid);
  std::map<std::string, NodeInfo, std::less<>> nodes_;
  std::map<std::string, std::string> placed_;   // uid → node
  std::map<std::string, Document> waiting_;     // Pods of nodes that are not known yet
  std::map<std::string, std::string> assumed_;  // uid → node
};

}  // namespace rusternetes::scheduler
