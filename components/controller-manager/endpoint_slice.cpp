// EndpointSlices of Services with a selector (pkg/controller/endpointslice).

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "client/event_recorder.h"
#include "controller-manager/endpoint_slice_endpoints.h"
#include "controller-manager/endpoint_slice_plan.h"
#include "controller-manager/endpoint_slice_writer.h"
#include "controller-manager/manager.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::Service;

namespace {

constexpr Resource services{"", "v1", "services"}, pods{"", "v1", "pods"}, nodes{"", "v1", "nodes"},
    endpoint_slices{"discovery.k8s.io", "v1", "endpointslices"};
constexpr int workers = 5;  // --concurrent-service-endpoint-syncs

class EndpointSliceController final : public Controller, public client::Reconciler {
 public:
  explicit EndpointSliceController(Context& context)
      : client_(context.make_client("endpointslice-controller")),
        services_(context.informer(services)),
        pods_(context.informer(pods)),
        nodes_(context.informer(nodes)),
        loop_("endpointslice-controller", client_->executor(), *this, workers),
        writer_(*client_, context.informer(endpoint_slices), loop_.queue(), slice_controller,
                *context.options.clock),
        events_(*client_, "endpoint-slice-controller") {
    index_selectors(services_);
    index_labels(pods_);
    services_.add_handler({[this](const Document& before, const Document& now) {
      loop_.queue().add(client::object_key(now ? now : before));
    }});
    pods_.add_handler({[this](const Document& before, const Document& now) {
      if (is_started_)  // until then every Service waits in the queue anyway
        for (auto& key : services_to_update(services_, before, now)) loop_.queue().add(std::move(key));
    }});
    nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
  }

  void start(TaskGroup& tasks) override {
    is_started_ = true;
    topology_.set_nodes(nodes_.list());
    writer_.start();
    events_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    const Document service = services_.get(key);
    if (!service) {  // its slices are the garbage collector's
      writer_.forget(key);
      times_.forget(key);
      topology_.forget(key);
      await_nodes(key, {}, {});
      co_return client::ReconcileResult{};
    }
    if (!has_pods(Service(&service.root()))) {  // its slices are somebody else's now
      times_.forget(key);
      topology_.forget(key);
      await_nodes(key, {}, {});
      co_return client::ReconcileResult{};
    }
    std::vector<Document> slices = writer_.slices_of(key);
    if (const auto left = writer_.wait_for_mirror(key, slices); left.count() > 0)
      co_return client::ReconcileResult{left};

    SlicePlan plan = plan_for(key, service, std::move(slices));
    await_nodes(key, service, plan.homeless);
    if (metadata_of(service).has_deletionTimestamp()) plan.create.clear();
    auto written =
        co_await writer_.write(key, std::move(plan.create), std::move(plan.update), std::move(plan.remove));
    if (!written) {
      if (!written.error().is("Conflict") && !written.error().is("NotFound"))
        tell_failure(key, service, written.error().message);
      co_return written.error();
    }
    for (auto& event : plan.events)
      (event.is_warning ? events_.warning(service, "v1", "Service", event.reason, event.message)
                        : events_.normal(service, "v1", "Service", event.reason, event.message));
    co_return client::ReconcileResult{};
  }

 private:
  SlicePlan plan_for(const std::string& key, const Document& service, std::vector<Document> slices) {
    ServiceState state{service,
                       pods_of(pods_, service),
                       std::move(slices),
                       [this](std::string_view name) { return name.empty() ? Document{} : nodes_.get(name); },
                       {}};
    state.trigger_time = times_.of(key, service, state.pods);
    return plan_endpoint_slices(state, topology_);
  }

  void tell_failure(const std::string& key, const Document& service, std::string_view why) {
    events_.warning(service, "v1", "Service", "FailedToUpdateEndpointSlices",
                    fmt::format("Error updating Endpoint Slices for Service {}: {}", key, why));
  }

  // The Service is looked at again when one of the nodes comes, and when none does no more than once told
  // why.
  void await_nodes(const std::string& key, const Document& service,
                   const std::vector<SlicePlan::Homeless>& pods) {
    for (auto it = awaited_.begin(); it != awaited_.end();) {
      const bool is_wanted =
          std::any_of(pods.begin(), pods.end(), [&](const auto& one) { return one.node == it->first; });
      if (!is_wanted) it->second.erase(key);
      it = it->second.empty() ? awaited_.erase(it) : std::next(it);
    }
    for (const auto& one : pods)
      if (awaited_[one.node].insert(key).second)
        tell_failure(
            key, service,
            fmt::format("skipping Pod {} for Service {}: Node {} Not Found", one.pod, key, one.node));
  }

  void on_node(const Document& before, const Document& now) {
    if (!is_started_) return;
    if (now)
      if (const auto it = awaited_.find(std::string(client::name_of(now))); it != awaited_.end()) {
        for (const auto& key : it->second) loop_.queue().add(key);
        awaited_.erase(it);
      }
    if (before && now && is_same_for_topology(before, now)) return;
    topology_.set_nodes(nodes_.list());
    for (auto& key : topology_.overloaded()) loop_.queue().add(std::move(key));
  }

  std::unique_ptr<client::ApiClient> client_;
  client::Informer &services_, &pods_, &nodes_;
  client::ControllerLoop loop_;
  SliceWriter writer_;
  client::EventRecorder events_;
  Topology topology_;
  TriggerTimes times_;
  std::map<std::string, std::set<std::string>> awaited_;  // node → Services that have a Pod on it
  bool is_started_ = false;
};

}  // namespace

std::unique_ptr<Controller> make_endpoint_slice_controller(Context& context) {
  return std::make_unique<EndpointSliceController>(context);
}

}  // namespace rusternetes::controller_manager
