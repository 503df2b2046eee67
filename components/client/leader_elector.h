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
    bool release_on_stop = true;
    const Clock* clock = &Clock::system();
  };
  // client-go's rules: the lease outlasts the deadline, which outlasts 1.2 retries; a Lease counts whole
  // seconds.
  static Result<void> check(const Options& options);

  // Options that check() refuses are a programmer error.
  LeaderElector(ApiClient& client, Options options);
  // Waits for leadership, runs `lead`, and returns when leadership is lost: at the latest renew_deadline
  // after the last renewal that succeeded was begun, and so before another may take the lease. Then `lead`
  // has been cancelled and has ended. Cancelled while it leads, it lets `lead` end and then gives the lease
  // back, so that another need not wait for it.
  Task<> run(std::function<Task<>()> lead);
  bool is_leader() const { return is_leader_; }
  // Whether the lease is renewed in time; also true for who does not lead.
  bool is_healthy() const;

 private:
  Task<bool> try_acquire_or_renew();
  Task<> try_into(std::shared_ptr<bool> outcome);
  Task<bool> try_within(std::chrono::nanoseconds limit);
  Task<> acquire();
  Task<> renew_until_lost();
  std::chrono::nanoseconds time_left() const;
  Task<> release();
  void complain(const Status& error);
  ApiClient& client_;
  Options options_;
  bool is_leader_ = false;
  std::string observed_, complaint_;
  // Of the lease as it was seen last, and of the last renewal: when it was begun. It may have been written at
  // any moment from then on, and whoever saw it counts from there.
  SteadyTime observed_at_{}, renewed_at_{};
};

}  // namespace rusternetes::client
