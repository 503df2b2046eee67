#pragma once
// What a controller of slices has written and its mirror may not show yet, and when what it writes about has
// happened.

#include <chrono>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

// The slices of each Service (or Endpoints) that were written, by uid. While the mirror is behind them
// nothing can be decided from it: the same endpoints would be put into slices twice.
class SliceTracker {
 public:
  // Of a mirror that never shows what was written (somebody else took it away between two lists) this is the
  // end.
  static constexpr std::chrono::seconds patience{60};

  void wrote(const std::string& key, const Document& slice, SteadyTime now);
  void removed(const std::string& key, const Document& slice, SteadyTime now);
  // How long at most the mirror, which shows `slices`, must be waited for; 0: not at all.
  std::chrono::nanoseconds stale_for(const std::string& key, const std::vector<Document>& slices,
                                     SteadyTime now);
  // Whether a version that the mirror shows was written by somebody else.
  bool is_foreign(const std::string& key, const Document& slice) const;
  // The mirror has seen it go; false when it was not us.
  bool settle_removed(const std::string& key, const Document& slice);
  void forget(const std::string& key) { services_.erase(key); }
  std::size_t size() const { return services_.size(); }

 private:
  static constexpr std::int64_t gone = -1;
  struct Service {
    std::unordered_map<std::string, std::int64_t> generations;  // by uid
    SteadyTime last_write;
  };
  static bool is_stale(const Service& service, const std::vector<Document>& slices);
  std::unordered_map<std::string, Service> services_;
};

// Since when the latest change waits to be told, for the annotation
// endpoints.kubernetes.io/last-change-trigger-time: the earliest change of readiness that an earlier call has
// not seen; of a Service that is new, its creation.
class TriggerTimes {
 public:
  // RFC 3339; empty when nothing of the kind has changed.
  std::string of(const std::string& key, const Document& service, const std::vector<Document>& pods);
  void forget(const std::string& key) { services_.erase(key); }

 private:
  struct Service {
    std::int64_t created_us = 0;
    std::unordered_map<std::size_t, std::int64_t> pods;  // by a hash of the name
  };
  std::unordered_map<std::string, Service> services_;
};

}  // namespace rusternetes::controller_manager
