// Endpoints of Services with a selector (pkg/controller/endpoint): deprecated, and still read by many.

#include <fmt/format.h>

#include "apimachinery/time.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "controller-manager/endpoint_slice_services.h"
#include "controller-manager/endpoint_slice_tracker.h"
#include "controller-manager/endpoints_plan.h"
#include "controller-manager/manager.h"
#include "controller-manager/namespace_end.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::Endpoints;
using core_v1::Service;

namespace {

constexpr Resource services{"", "v1", "services"}, pods{"", "v1", "pods"}, endpoints{"", "v1", "endpoints"};
constexpr int workers = 5;  // --concurrent-endpoint-syncs
// Of a mirror that does not come to show what was written.
constexpr std::chrono::seconds mirror_patience{60};
// Endpoints are one object with all addresses: those of a large Service are not written for each Pod of a
// rollout, but no more often than every so long for each address that they have. The first change is written
// at once.
constexpr std::chrono::microseconds rest_per_address{100};
constexpr std::size_t least_to_rest = 50;

std::size_t count_addresses(const Document& object) {
  std::size_t count = 0;
  for (const auto subset : Endpoints(&object.root()).subsets())
    count += subset.addresses().size() + subset.notReadyAddresses().size();
  return count;
}

std::string version_of(const Document& object) {
  return object ? std::string(metadata_of(object).resourceVersion()) : std::string();
}

class EndpointsController final : public Controller, public client::Reconciler {
 public:
  explicit EndpointsController(Context& context)
      : client_(context.make_client("endpoint-controller")),
        services_(context.informer(services)),
        pods_(context.informer(pods)),
        endpoints_(context.informer(endpoints)),
        loop_("endpoints-controller", client_->executor(), *this, workers),
        events_(*client_, "endpoint-controller"),
        clock_(*context.options.clock) {
    index_selectors(services_);
    index_labels(pods_);
    services_.add_handler({[this](const Document& before, const Document& now) {
      loop_.queue().add(client::object_key(now ? now : before));
    }});
    pods_.add_handler({[this](const Document& before, const Document& now) {
      if (is_started_)
        for (auto& key : services_to_update(services_, before, now)) loop_.queue().add(std::move(key));
    }});
    endpoints_.add_handler({[this](const Document& before, const Document& now) {
      const std::string key = client::object_key(now ? now : before);
      if (is_started_ && (!now || is_waiting(key))) loop_.queue().add(key);
    }});
  }

  void start(TaskGroup& tasks) override {
    is_started_ = true;
    // Those of Services that went while nobody looked.
    for (const auto& object : endpoints_.list())
      if (!metadata_of(object).annotations().contains(leader_annotation))
        loop_.queue().add(client::object_key(object));
    events_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    const Document service = services_.get(key);
    if (!service) co_return co_await clean_up(key);
    if (!has_pods(Service(&service.root()))) co_return client::ReconcileResult{};
    const auto now = clock_.steady_now();
    EndpointsState state{service, {}, endpoints_.get(key), {}};
    if (const auto left = wait_for(key, state.current, now); left.count() > 0)
      co_return client::ReconcileResult{left};
    state.pods = pods_of(pods_, service);
    state.trigger_time = times_.of(key, service, state.pods);
    const Document wanted = plan_endpoints(state);
    if (!wanted) co_return client::ReconcileResult{};
    auto written = co_await write(key, state.current, wanted);
    if (!written) {
      tell_failure(key, wanted, !state.current, written.error());
      co_return written.error();
    }
    co_return client::ReconcileResult{};
  }

 private:
  // What was written last, until the mirror shows it, and when the next may be.
  struct Last {
    std::string version_before;  // empty: there were none
    bool is_seen = true;
    SteadyTime written, rests_until;
  };

  bool is_waiting(const std::string& key) const {
    const auto it = last_.find(key);
    return it != last_.end() && !it->second.is_seen;
  }

  std::chrono::nanoseconds wait_for(const std::string& key, const Document& current, SteadyTime now) {
    const auto it = last_.find(key);
    if (it == last_.end()) return {};
    Last& last = it->second;
    if (!last.is_seen && version_of(current) == last.version_before && now < last.written + mirror_patience)
      return last.written + mirror_patience - now;
    last.is_seen = true;
    if (now < last.rests_until) return last.rests_until - now;
    last_.erase(it);
    return {};
  }

  Task<Result<void>> write(std::string key, Document current, Document wanted) {
    const auto [name_space, name] = split_key(key);
    // Before it is under way: the mirror may be quicker than the answer.
    const auto now = clock_.steady_now();
    const std::size_t addresses = count_addresses(wanted);
    last_[key] = {version_of(current), false, now,
                  now + (addresses < least_to_rest ? 0 : addresses) * rest_per_address};
    auto written = current ? client_->update(endpoints, name_space, name, "", wanted, {})
                           : client_->create(endpoints, name_space, "", "", wanted, {});
    auto answer = co_await std::move(written);
    // Nothing has changed: then nothing comes.
    if (!answer || version_of(*answer) == version_of(current)) last_.erase(key);
    if (answer || is_namespace_ending(answer.error())) co_return Result<void>{};
    co_return answer.error();
  }

  void tell_failure(const std::string& key, const Document& wanted, bool is_new, const Status& error) {
    if (error.is("Conflict") || error.is("AlreadyExists")) return;
    if (is_new)
      events_.warning(wanted, "v1", "Endpoints", "FailedToCreateEndpoint",
                      fmt::format("Failed to create endpoint for service {}: {}", key, error.message));
    else
      events_.warning(wanted, "v1", "Endpoints", "FailedToUpdateEndpoint",
                      fmt::format("Failed to update endpoint {}: {}", key, error.message));
  }

  Task<Result<client::ReconcileResult>> clean_up(std::string key) {
    const auto [name_space, name] = split_key(key);
    times_.forget(key);
    // Those that are not in the mirror yet may be there.
    const bool may_be_there = endpoints_.get(key) || last_.contains(key);
    last_.erase(key);
    if (!may_be_there) co_return client::ReconcileResult{};
    auto removed = co_await client_->remove(endpoints, name_space, name, {});
    if (!removed && !removed.error().is("NotFound")) co_return removed.error();
    co_return client::ReconcileResult{};
  }

  std::unique_ptr<client::ApiClient> client_;
  client::Informer &services_, &pods_, &endpoints_;
  client::ControllerLoop loop_;
  client::EventRecorder events_;
  const Clock& clock_;
  TriggerTimes times_;
  std::map<std::string, Last> last_;
  bool is_started_ = false;
};

}  // namespace

std::unique_ptr<Controller> make_endpoints_controller(Context& context) {
  return std::make_unique<EndpointsController>(context);
}

}  // namespace rusternetes::controller_manager
