#pragma once
// For whom an endpoint is meant (hints.forZones, hints.forNodes): by a Service's trafficDistribution
// (KEP-4444, KEP-3015), or in proportion to the CPUs of the zones where the annotation
// service.kubernetes.io/topology-mode is Auto (KEP-2433).

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller-manager/endpoint_slice_packing.h"

namespace rusternetes::controller_manager {

struct SliceEvent {
  bool is_warning;
  std::string reason, message;
};

// trafficDistribution: each ready endpoint is for its own zone, and with `with_nodes` for its own node.
// Slices of all fates but `remove`; an unchanged one whose hints are others becomes an update.
void hint_own_zones(apimachinery::Arena& arena, std::vector<WorkingSlice>& slices, bool with_nodes);
void remove_hints(apimachinery::Arena& arena, std::vector<WorkingSlice>& slices);

// Whether a change of a node leaves all shares as they are.
bool is_same_for_topology(const Document& before, const Document& now);

// What is to be known of all nodes and Services for topology-mode Auto.
class Topology {
 public:
  void set_nodes(const std::vector<Document>& nodes);
  // Gives hints in proportion to the zones' CPUs; without enough nodes, zones or endpoints it takes them
  // away.
  std::vector<SliceEvent> add_hints(apimachinery::Arena& arena, std::string_view service,
                                    std::string_view address_type, std::vector<WorkingSlice>& slices);
  // The Service wants none (any more).
  std::vector<SliceEvent> drop(std::string_view service, std::string_view address_type);
  // The Service is gone.
  void forget(std::string_view service);
  // Services one of whose zones has too few endpoints for its CPUs now.
  std::vector<std::string> overloaded() const;

 private:
  struct Share {
    int least = 0, most = 0;
    double desired = 0;
  };
  using Shares = std::map<std::string, Share, std::less<>>;
  using Counts = std::map<std::string, int, std::less<>>;
  // Empty, and the event says why, when it cannot be done.
  Shares shares_of(int endpoints, std::vector<SliceEvent>& events, std::string_view address_type) const;
  static bool count_hints(const WorkingSlice& slice, const Shares& shares, Counts& counts);
  static void redistribute(apimachinery::Arena& arena, std::vector<WorkingSlice*>& slices,
                           const Shares& shares, Counts& counts);
  void forget_hints(std::string_view service, std::string_view address_type);

  std::map<std::string, double, std::less<>> cpu_ratios_;  // by zone; empty: not enough is known
  std::map<std::string, std::map<std::string, Counts, std::less<>>, std::less<>>
      hinted_;  // service → type → by zone
  std::set<std::string, std::less<>> has_hints_;
};

}  // namespace rusternetes::controller_manager
