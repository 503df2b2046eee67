#include "client/leader_elector.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/deadline.h"
#include "client/object_builder.h"

namespace rusternetes::client {

using namespace apimachinery;
using coordination_v1::Lease;
using coordination_v1::LeaseSpec;

namespace {
constexpr Resource leases{"coordination.k8s.io", "v1", "leases"};
constexpr double jitter_factor = 1.2;
constexpr auto release_limit = std::chrono::seconds(5);
constexpr int release_tries = 5;

// A Lease counts whole seconds: others wait rather longer than shorter.
std::int64_t lease_seconds(const LeaderElector::Options& options) {
  return std::chrono::ceil<std::chrono::seconds>(options.lease_duration).count();
}

std::string version_of(const Document& lease) {
  return std::string(meta_v1::ObjectMeta(lease.root().get(Lease::f_metadata)).resourceVersion());
}
}  // namespace

Result<void> LeaderElector::check(const Options& options) {
  if (options.lease_name.empty() || options.identity.empty())
    return internal_error("leader election needs the Lease's name and an identity");
  if (options.lease_duration < std::chrono::seconds(1))
    return internal_error("the lease duration must be at least 1s");
  if (options.retry_period <= std::chrono::milliseconds(0))
    return internal_error("the retry period must be greater than zero");
  if (options.lease_duration <= options.renew_deadline)
    return internal_error("the lease duration must be greater than the renew deadline");
  if (options.renew_deadline <= options.retry_period * jitter_factor)
    return internal_error("the renew deadline must be greater than 1.2 times the retry period");
  return {};
}

LeaderElector::LeaderElector(ApiClient& client, Options options)
    : client_(client), options_(std::move(options)) {
  const auto checked = check(options_);
  RN_ASSERT(checked, checked.error().message.c_str());
}

bool LeaderElector::is_healthy() const {
  return !is_leader_ || options_.clock->steady_now() - renewed_at_ < options_.lease_duration;
}

// Says what stands in the way, once.
void LeaderElector::complain(const Status& error) {
  if (complaint_ == error.message || error.is("Conflict") || error.is("AlreadyExists")) return;
  complaint_ = error.message;
  log::warn("leader-election", "{}: {}", options_.lease_name, error.message);
}

// One round: takes the lease if it is free, ours or out of date; renews it if it is ours.
Task<bool> LeaderElector::try_acquire_or_renew() {
  const std::int64_t now_us = to_microseconds(options_.clock->now());
  auto found = co_await client_.get(leases, options_.name_space, options_.lease_name);
  if (!found && !found.error().is("NotFound")) {
    complain(found.error());
    co_return false;
  }
  ObjectBuilder builder = found ? ObjectBuilder(*found) : ObjectBuilder(Lease::schema_type());
  Arena& arena = builder.arena();
  Value& spec = ensure(arena, builder.root(), Lease::f_spec);
  const LeaseSpec old(&spec);
  const bool is_ours = old.holderIdentity() == options_.identity;
  if (found) {
    // Another's clock is not trusted: the lease is out of date when it has not changed for its duration as
    // seen from here.
    if (const std::string version = version_of(*found); version != observed_) {
      observed_ = version;
      observed_at_ = options_.clock->steady_now();
    }
    const auto duration = std::chrono::seconds(old.leaseDurationSeconds());
    if (!is_ours && !old.holderIdentity().empty() && observed_at_ + duration > options_.clock->steady_now())
      co_return false;
  }
  if (!is_ours) {
    set_time(arena, spec, LeaseSpec::f_acquireTime, now_us);
    set_integer(arena, spec, LeaseSpec::f_leaseTransitions, found ? old.leaseTransitions() + 1 : 0);
  }
  set_string(arena, spec, LeaseSpec::f_holderIdentity, options_.identity);
  set_integer(arena, spec, LeaseSpec::f_leaseDurationSeconds, lease_seconds(options_));
  set_time(arena, spec, LeaseSpec::f_renewTime, now_us);
  Result<Document> written = Status{};
  if (found) {
    written =
        co_await client_.update(leases, options_.name_space, options_.lease_name, "", builder.freeze(), {});
  } else {
    Value& metadata = ensure(arena, builder.root(), Lease::f_metadata);
    set_string(arena, metadata, meta_v1::ObjectMeta::f_name, options_.lease_name);
    set_string(arena, metadata, meta_v1::ObjectMeta::f_namespace_, options_.name_space);
    written = co_await client_.create(leases, options_.name_space, "", "", builder.freeze(), {});
  }
  if (!written) {
    complain(written.error());
    co_return false;
  }
  complaint_.clear();
  observed_ = version_of(*written);
  observed_at_ = options_.clock->steady_now();
  co_return true;
}

Task<> LeaderElector::try_into(std::shared_ptr<bool> outcome) { *outcome = co_await try_acquire_or_renew(); }

// A server that does not answer must not make us believe that we lead for longer than the lease lasts.
Task<bool> LeaderElector::try_within(std::chrono::nanoseconds limit) {
  auto outcome = std::make_shared<bool>(false);
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit);
  co_await run_until("leader-election", try_into(outcome), deadline);
  co_return *outcome;
}

// Until we must no longer believe that we lead.
std::chrono::nanoseconds LeaderElector::time_left() const {
  return options_.renew_deadline - (options_.clock->steady_now() - renewed_at_);
}

Task<> LeaderElector::renew_until_lost() {
  for (;;) {
    co_await sleep_for(std::min<std::chrono::nanoseconds>(options_.retry_period, time_left()));
    const auto left = time_left();
    if (left <= std::chrono::nanoseconds::zero()) co_return;
    const auto begun = options_.clock->steady_now();
    if (co_await try_within(left)) renewed_at_ = begun;
  }
}

// A lease without a holder is taken at once. A renewal that was cancelled under way may still have happened,
// and may happen between our read and our write.
Task<> LeaderElector::release() {
  for (int tries = 0; tries < release_tries; ++tries) {
    auto found = co_await client_.get(leases, options_.name_space, options_.lease_name);
    if (!found) co_return;
    ObjectBuilder builder(*found);
    Arena& arena = builder.arena();
    Value& spec = ensure(arena, builder.root(), Lease::f_spec);
    if (LeaseSpec(&spec).holderIdentity() != options_.identity) co_return;  // it is somebody else's already
    const std::int64_t now_us = to_microseconds(options_.clock->now());
    erase_field(spec, LeaseSpec::f_holderIdentity);
    set_integer(arena, spec, LeaseSpec::f_leaseDurationSeconds, 1);
    set_time(arena, spec, LeaseSpec::f_renewTime, now_us);
    set_time(arena, spec, LeaseSpec::f_acquireTime, now_us);
    auto written =
        co_await client_.update(leases, options_.name_space, options_.lease_name, "", builder.freeze(), {});
    if (written) log::info("leader-election", "{} gave {} back", options_.identity, options_.lease_name);
    if (written || !written.error().is("Conflict")) co_return;
  }
}

Task<> LeaderElector::acquire() {
  log::info("leader-election", "{} waits for {}", options_.identity, options_.lease_name);
  for (;;) {
    renewed_at_ = options_.clock->steady_now();
    if (co_await try_within(options_.renew_deadline)) break;
    co_await sleep_for(options_.retry_period);
  }
  is_leader_ = true;
  log::info("leader-election", "{} leads {}", options_.identity, options_.lease_name);
}

Task<> LeaderElector::run(std::function<Task<>()> lead) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  bool is_cancelled = false;
  try {
    co_await acquire();
    tasks.spawn(options_.lease_name, lead());
    co_await renew_until_lost();
  } catch (const boost::system::system_error&) {
    is_cancelled = true;
  }
  co_await asio::this_coro::throw_if_cancelled(false);
  is_cancelled |= co_await hold_cancellation();
  co_await tasks.stop();
  is_leader_ = false;
  if (is_cancelled) {  // also if it only waited: its last attempt may have succeeded unseen
    const auto deadline = std::chrono::steady_clock::now() + release_limit;
    if (options_.release_on_stop) co_await run_until("leader-election", release(), deadline);
  } else {
    log::warn("leader-election", "{} lost {}", options_.identity, options_.lease_name);
  }
  is_cancelled |= co_await release_cancellation();
  if (is_cancelled) throw_cancelled();
}

}  // namespace rusternetes::client
