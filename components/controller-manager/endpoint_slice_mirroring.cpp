// Endpoints that somebody else writes, of Services without a selector, are mirrored into EndpointSlices
// (pkg/controller/endpointslicemirroring).

#include "apimachinery/api/core_v1.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "controller-manager/endpoint_slice_endpoints.h"
#include "controller-manager/endpoint_slice_mirroring_plan.h"
#include "controller-manager/endpoint_slice_writer.h"
#include "controller-manager/manager.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;

namespace {

constexpr Resource services{"", "v1", "services"}, endpoints{"", "v1", "endpoints"},
    endpoint_slices{"discovery.k8s.io", "v1", "endpointslices"};
constexpr int workers = 5;  // --mirroring-concurrent-service-endpoint-syncs

bool has_selector(const Document& service) {
  return !core_v1::Service(&service.root()).spec().selector().empty();
}

class EndpointSliceMirroringController final : public Controller, public client::Reconciler {
 public:
  explicit EndpointSliceMirroringController(Context& context)
      : client_(context.make_client("endpointslicemirroring-controller")),
        services_(context.informer(services)),
        endpoints_(context.informer(endpoints)),
        loop_("endpointslice-mirroring-controller", client_->executor(), *this, workers),
        writer_(*client_, context.informer(endpoint_slices), loop_.queue(), mirroring_controller,
                *context.options.clock),
        events_(*client_, "endpoint-slice-mirroring-controller") {
    endpoints_.add_handler({[this](const Document& before, const Document& now) {
      if ((before && should_mirror(before)) || (now && should_mirror(now)))
        loop_.queue().add(client::object_key(now ? now : before));
    }});
    services_.add_handler({[this](const Document& before, const Document& now) {
      const bool had = before && has_selector(before), has = now && has_selector(now);
      if (before && now ? had != has : !had && !has)
        loop_.queue().add(client::object_key(now ? now : before));
    }});
  }

  void start(TaskGroup& tasks) override {
    writer_.start();
    events_.start(tasks);
    loop_.start(tasks);
    // Slices of Endpoints that went while nobody looked.
    for (const auto& key : writer_.keys()) loop_.queue().add(key);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    const Document object = endpoints_.get(key), service = services_.get(key);
    std::vector<Document> slices = writer_.slices_of(key);
    if (!object || !should_mirror(object) || !service || has_selector(service)) {
      writer_.forget(key);
      auto removed = co_await writer_.write(key, {}, {}, std::move(slices));
      if (!removed) co_return removed.error();
      co_return client::ReconcileResult{};
    }
    if (const auto left = writer_.wait_for_mirror(key, slices); left.count() > 0)
      co_return client::ReconcileResult{left};
    MirrorPlan plan = plan_mirrored_slices(object, slices);
    if (metadata_of(object).has_deletionTimestamp()) plan.create.clear();
    auto written =
        co_await writer_.write(key, std::move(plan.create), std::move(plan.update), std::move(plan.remove));
    for (auto& event : plan.events) events_.warning(object, "v1", "Endpoints", event.reason, event.message);
    if (!written) co_return written.error();
    co_return client::ReconcileResult{};
  }

 private:
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &services_, &endpoints_;
  client::ControllerLoop loop_;
  SliceWriter writer_;
  client::EventRecorder events_;
};

}  // namespace

std::unique_ptr<Controller> make_endpoint_slice_mirroring_controller(Context& context) {
  return std::make_unique<EndpointSliceMirroringController>(context);
}

}  // namespace rusternetes::controller_manager
