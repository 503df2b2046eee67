#pragma once
// Leadership through a Lease (client-go's leaderelection with LeaseLock): who holds it acts, the others wait.

#include <chrono>
#include <functional>
#include <string>

#include "base/clock.h"
#include "client/api_client.h"

namespace rusternetes::client {

class LeaderElector {
 public:
  struct Options {
    std::string name_space = "kube-system";
    std::string lease_name;
    std::string identity;  // "<host>_<uuid>"
    std::chrono::milliseconds lease_duration{15'000}, renew_deadline{10'000}, retry_period{2'000};
    const Clock* clock = &Clock::system();
  };
  LeaderElector(ApiClient& client, Options options);
  // Waits for leadership, runs `lead`, and returns when leadership is lost; then `lead` has been cancelled and has ended.
  Task<> run(std::function<Task<>()> lead);
  bool is_leader() const { return is_leader_; }

 private:
  Task<bool> try_acquire_or_renew();
  ApiClient& client_;
  Options options_;
  bool is_leader_ = false;
  std::string observed_;
  SteadyTime observed_at_{};
};

}  // namespace rusternetes::client
