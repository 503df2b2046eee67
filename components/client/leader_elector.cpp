#include "client/leader_elector.h"

#include <boost/asio/this_coro.hpp>

#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/object_builder.h"

namespace rusternetes::client {

using namespace apimachinery;
using coordination_v1::Lease;
using coordination_v1::LeaseSpec;

namespace {
constexpr Resource leases{"coordination.k8s.io", "v1", "leases"};
}

LeaderElector::LeaderElector(ApiClient& client, Options options) : client_(client), options_(std::move(options)) {}

// One round: takes the lease if it is free, ours or out of date; renews it if it is ours.
Task<bool> LeaderElector::try_acquire_or_renew() {
  const std::int64_t now_us = to_microseconds(options_.clock->now());
  auto found = co_await client_.get(leases, options_.name_space, options_.lease_name);
  if (!found && !found.error().is("NotFound")) co_return false;
  ObjectBuilder builder = found ? ObjectBuilder(*found) : ObjectBuilder(Lease::schema_type());
  Arena& arena = builder.arena();
  Value& spec = ensure(arena, builder.root(), Lease::f_spec);
  const LeaseSpec old(&spec);
  const bool is_ours = old.holderIdentity() == options_.identity;
  if (found) {
    // Another's clock is not trusted: the lease is out of date when it has not changed for its duration as seen from here.
    const std::string version(meta_v1::ObjectMeta(found->root().get(Lease::f_metadata)).resourceVersion());
    if (version != observed_) {
      observed_ = version;
      observed_at_ = options_.clock->steady_now();
    }
    const auto duration = std::chrono::seconds(old.leaseDurationSeconds());
    if (!is_ours && !old.holderIdentity().empty() && observed_at_ + duration > options_.clock->steady_now()) co_return false;
  }
  if (!is_ours) {
    set_time(arena, spec, LeaseSpec::f_acquireTime, now_us);
    set_integer(arena, spec, LeaseSpec::f_leaseTransitions, found ? LeaseSpec(&spec).leaseTransitions() + 1 : 0);
  }
  set_string(arena, spec, LeaseSpec::f_holderIdentity, options_.identity);
  set_integer(arena, spec, LeaseSpec::f_leaseDurationSeconds, options_.lease_duration.count() / 1000);
  set_time(arena, spec, LeaseSpec::f_renewTime, now_us);
  if (!found) {
    Value& metadata = ensure(arena, builder.root(), Lease::f_metadata);
    set_string(arena, metadata, meta_v1::ObjectMeta::f_name, options_.lease_name);
    set_string(arena, metadata, meta_v1::ObjectMeta::f_namespace_, options_.name_space);
    auto created = co_await client_.create(leases, options_.name_space, "", "", builder.freeze(), {});
    co_return created.has_value();
  }
  auto updated = co_await client_.update(leases, options_.name_space, options_.lease_name, "", builder.freeze(), {});
  co_return updated.has_value();
}

Task<> LeaderElector::run(std::function<Task<>()> lead) {
  while (!co_await try_acquire_or_renew()) co_await sleep_for(options_.retry_period);
  is_leader_ = true;
  log::info("leader-election", "{} leads {}", options_.identity, options_.lease_name);
  TaskGroup tasks(co_await asio::this_coro::executor);
  tasks.spawn(options_.lease_name, lead());
  auto renewed = options_.clock->steady_now();
  while (options_.clock->steady_now() - renewed < options_.renew_deadline) {
    co_await sleep_for(options_.retry_period);
    if (co_await try_acquire_or_renew()) renewed = options_.clock->steady_now();
  }
  is_leader_ = false;
  log::warn("leader-election", "{} lost {}", options_.identity, options_.lease_name);
  co_await tasks.stop();
}

}  // namespace rusternetes::client
