#pragma once
// How many nodes a second lose their Pods, zone by zone: what looks like a failure of many nodes is more
// often one of the network between them and us (design proposal "Taint node by condition";
// pkg/controller/nodelifecycle). Pure: functions of what it is told and `now`.

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apimachinery/api/meta_v1.h"
#include "base/clock.h"
#include "controller-manager/node_lifecycle_options.h"

namespace rusternetes::controller_manager {

// The failure domain that a node's labels name: region and zone; empty when they name none.
std::string zone_of(const apimachinery::meta_v1::ObjectMeta& node);

struct ZoneCount {
  int ready = 0, not_ready = 0;
};
enum class ZoneState { initial, normal, partial_disruption, full_disruption };
// Full: no node is ready. Partial: at least three are not, and at least `threshold` of all.
ZoneState zone_state(const ZoneCount& count, double threshold);

// So many a second, and never two at once.
class Allowance {
 public:
  explicit Allowance(double per_second) : per_second_(per_second) {}
  bool take(SteadyTime now);
  // Who waited under the old rate waits under the new one from now on.
  void set_rate(double per_second, SteadyTime now);
  double rate() const { return per_second_; }
  // Nobody may be taken because somebody was.
  bool is_in_pause(SteadyTime now) const { return now < free_at_; }
  // When the next may be taken; nothing: never.
  std::optional<SteadyTime> next() const;

 private:
  std::chrono::nanoseconds pause() const;
  double per_second_;
  SteadyTime free_at_ = SteadyTime::min();
};

// The zones' states, and the nodes that wait for their NoExecute taint.
class Zones {
 public:
  explicit Zones(const NodeLifecycleOptions& options) : options_(options) {}

  enum class Change {
    none,
    stopped,  // no node is ready anywhere: it is us who are cut off. No node is tainted, and taints go.
    resumed,  // one is ready again: every node gets its grace period anew
  };
  Change update(const std::map<std::string, ZoneCount>& counts, SteadyTime now);
  bool is_stopped() const { return is_stopped_; }
  ZoneState state(const std::string& zone) const;

  // A node that should have a NoExecute taint waits for its turn; again changes nothing. True if it did not
  // wait: somebody has to look whose turn it is.
  bool want(const std::string& zone, const std::string& node);
  void unwant(const std::string& node);
  // Those whose turn it is. They wait no more.
  std::vector<std::string> take(SteadyTime now);
  // When it is the next one's turn; nothing: nobody's.
  std::optional<SteadyTime> next() const;

 private:
  struct Zone {
    ZoneState state = ZoneState::initial;
    Allowance allowance;
    std::deque<std::string> waiting;
  };
  Zone& zone(const std::string& name);
  double rate(const ZoneCount& count, ZoneState state) const;

  NodeLifecycleOptions options_;
  std::map<std::string, Zone> zones_;
  std::map<std::string, std::string> zone_of_waiting_;  // by node
  bool is_stopped_ = false;
};

}  // namespace rusternetes::controller_manager
