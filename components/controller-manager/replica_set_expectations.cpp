#include "controller-manager/replica_set_expectations.h"

namespace rusternetes::controller_manager {

void Expectations::begin(const std::string& owner, SteadyTime until) { owners_[owner].until = until; }

void Expectations::expect_created(const std::string& owner, const std::string& name) {
  if (const auto it = owners_.find(owner); it != owners_.end()) it->second.created.insert(name);
}

void Expectations::expect_deleted(const std::string& owner, const std::string& name) {
  if (const auto it = owners_.find(owner); it != owners_.end()) it->second.deleted.insert(name);
}

void Expectations::settle_created(const std::string& owner, const std::string& name) {
  if (const auto it = owners_.find(owner); it != owners_.end()) it->second.created.erase(name);
}

void Expectations::settle_deleted(const std::string& owner, const std::string& name) {
  if (const auto it = owners_.find(owner); it != owners_.end()) it->second.deleted.erase(name);
}

std::chrono::nanoseconds Expectations::pending_for(const std::string& owner, SteadyTime now) {
  const auto it = owners_.find(owner);
  if (it == owners_.end()) return {};
  const Owner& entry = it->second;
  if (now < entry.until && !(entry.created.empty() && entry.deleted.empty())) return entry.until - now;
  owners_.erase(it);
  return {};
}

void Expectations::forget(const std::string& owner) { owners_.erase(owner); }

}  // namespace rusternetes::controller_manager
