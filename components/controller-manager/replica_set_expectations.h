#pragma once
// What a controller has created or deleted and its mirror does not show yet. Until it does, the mirror must
// not be counted: the same Pods would be made twice (pkg/controller ControllerExpectations).

#include <map>
#include <string>
#include <unordered_set>

#include "base/clock.h"

namespace rusternetes::controller_manager {

class Expectations {
 public:
  // From here on expect() has effect for the owner. What has not come true by `until` is given up.
  void begin(const std::string& owner, SteadyTime until);
  // Nothing for an owner that has not begun, or is forgotten meanwhile.
  void expect_created(const std::string& owner, const std::string& name);
  void expect_deleted(const std::string& owner, const std::string& name);
  void settle_created(const std::string& owner, const std::string& name);
  void settle_deleted(const std::string& owner, const std::string& name);
  // How long at most there is something to wait for; 0: nothing, and then nothing is kept of the owner.
  std::chrono::nanoseconds pending_for(const std::string& owner, SteadyTime now);
  // The owner is gone.
  void forget(const std::string& owner);
  std::size_t size() const { return owners_.size(); }

 private:
  struct Owner {
    SteadyTime until;
    std::unordered_set<std::string> created, deleted;  // names
  };
  std::map<std::string, Owner> owners_;  // by key
};

}  // namespace rusternetes::controller_manager
