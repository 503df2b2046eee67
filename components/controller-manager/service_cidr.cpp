// A ServiceCIDR is ready once somebody watches over it (and, where there is a guard, what its addresses need
// stands), and stays, when it is deleted, until no Service has an address out of it alone
// (pkg/controller/servicecidrs, KEP-1880).

#include <fmt/format.h>

#include <optional>

#include "apimachinery/time.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"
#include "controller-manager/service_cidr_plan.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::ReconcileResult;
using client::Resource;
using networking_v1::IPAddress;
using networking_v1::ServiceCIDR;

namespace {

constexpr Resource cidr_resource{"networking.k8s.io", "v1", "servicecidrs"},
    address_resource{"networking.k8s.io", "v1", "ipaddresses"};
constexpr std::string_view finalizer = "networking.k8s.io/service-cidr-finalizer";
// So long every api-server may still give out an address of a ServiceCIDR that is being deleted.
constexpr auto deletion_grace = std::chrono::seconds(10);

struct Ready {
  std::string_view status, reason, message;
};
constexpr Ready ready{"True", "", "Kubernetes Service CIDR is ready"};
constexpr Ready terminating{
    "False", "Terminating",
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a "
    "new ServiceCIDR"};

class ServiceCidrController final : public Controller, public client::Reconciler {
 public:
  explicit ServiceCidrController(Context& context)
      : clock_(*context.options.clock),
        guard_(context.options.service_cidr_guard),
        condition_(context.options.service_cidr_condition),
        client_(context.make_client("service-cidrs-controller")),
        cidrs_(context.informer(cidr_resource)),
        addresses_(context.informer(address_resource)),
        recorder_(*client_, "service-cidr-controller", {}, clock_),
        loop_("service-cidr-controller", client_->executor(), *this) {
    cidrs_.add_handler({[this](const Document& before, const Document& now) { on_cidr(before, now); }});
    addresses_.add_handler({[this](const Document& before, const Document& now) {
      if (!before || !now) on_address(now ? now : before);
    }});
  }
  void start(TaskGroup& tasks) override {
    recorder_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<ReconcileResult>> reconcile(std::string name) override {
    RN_CO_CHECK(co_await retain());
    const Document cidr = cidrs_.get(name);
    if (!cidr) co_return ReconcileResult{};
    const ServiceCIDR view(&cidr.root());
    // Also for one that goes: Services may have addresses of it still.
    const auto guarded = co_await guard(cidr);
    if (view.metadata().has_deletionTimestamp()) co_return co_await settle_deleted(cidr);
    if (!guarded) co_return guarded.error();
    // It comes back with the condition. What is ready was so before, or by its api-server: that of the flags.
    if (!condition_.empty() && !is_true(view, condition_) && !is_true(view, "Ready"))
      co_return ReconcileResult{};
    if (!has_finalizer(view)) {
      const std::string body = fmt::format(R"({{"metadata":{{"uid":"{}","finalizers":["{}"]}}}})",
                                           view.metadata().uid(), finalizer);
      RN_CO_CHECK(co_await patch(cidr, "", body));
    }
    auto written = co_await set_ready(cidr, ready);
    if (!written)
      recorder_.warning(cidr, "networking.k8s.io/v1", "ServiceCIDR", "KubernetesServiceCIDRError",
                        "The ServiceCIDR Status can not be set to Ready=True");
    if (!written) co_return written.error();
    co_return ReconcileResult{};
  }

 private:
  static std::vector<Cidr> blocks_of(const Document& cidr) {
    std::vector<Cidr> out;
    for (const auto text : ServiceCIDR(&cidr.root()).spec().cidrs())
      if (const auto block = Cidr::parse(text)) out.push_back(block->masked());
    return out;
  }

  Task<Result<void>> guard(Document cidr) {
    if (!guard_) co_return Result<void>{};
    auto stands = co_await guard_->stand(blocks_of(cidr));
    if (!stands)
      recorder_.warning(
          cidr, "networking.k8s.io/v1", "ServiceCIDR", "KubernetesServiceCIDRError",
          fmt::format("The ServiceCIDR can not be used on this node: {}", stands.error().message));
    co_return stands;
  }

  // What stands for a ServiceCIDR that has gone, also while nobody looked, goes.
  Task<Result<void>> retain() {
    if (!guard_) co_return Result<void>{};
    std::vector<Cidr> all;
    std::string texts;
    for (const auto& cidr : cidrs_.list())
      for (const Cidr& block : blocks_of(cidr)) {
        all.push_back(block);
        texts += block.to_string() + " ";
      }
    if (texts == retained_) co_return Result<void>{};
    RN_CO_CHECK(co_await guard_->retain(std::move(all)));
    retained_ = std::move(texts);
    co_return Result<void>{};
  }

  static bool is_true(const ServiceCIDR& cidr, std::string_view type) {
    for (const auto condition : cidr.status().conditions())
      if (condition.type() == type) return condition.status() == "True";
    return false;
  }

  static bool has_finalizer(const ServiceCIDR& cidr) {
    for (const auto one : cidr.metadata().finalizers())
      if (one == finalizer) return true;
    return false;
  }

  void on_cidr(const Document& before, const Document& now) {
    loop_.queue().add(std::string(client::name_of(now ? now : before)));
    if (before && now) return;
    // Another one may hold what this one held, or not any more.
    for (const auto& other : cidrs_.list())
      if (overlap(ServiceCIDR(&other.root()), ServiceCIDR(now ? &now.root() : &before.root())))
        loop_.queue().add(std::string(client::name_of(other)));
  }
  void on_address(const Document& address) {
    const IPAddress view(&address.root());
    const auto parsed = IpAddress::parse(view.metadata().name());
    if (!parsed || !is_service_address(view)) return;
    for (const auto& cidr : cidrs_.list()) {
      const ServiceCIDR one(&cidr.root());
      if (one.metadata().has_deletionTimestamp() && gives_out(one, *parsed))
        loop_.queue().add(std::string(client::name_of(cidr)));
    }
  }

  Task<Result<ReconcileResult>> settle_deleted(Document cidr) {
    const ServiceCIDR view(&cidr.root());
    if (!may_go(view, cidrs_.list(), addresses_.list())) {
      RN_CO_CHECK(co_await set_ready(cidr, terminating));
      co_return ReconcileResult{};
    }
    const std::chrono::microseconds since(to_microseconds(clock_.now()) -
                                          view.metadata().deletionTimestamp());
    if (since < deletion_grace) co_return ReconcileResult{deletion_grace - since};
    if (!has_finalizer(view)) co_return ReconcileResult{};
    const std::string body =
        fmt::format(R"({{"metadata":{{"uid":"{}","$deleteFromPrimitiveList/finalizers":["{}"]}}}})",
                    view.metadata().uid(), finalizer);
    RN_CO_CHECK(co_await patch(cidr, "", body));
    log::info("service-cidr-controller", "ServiceCIDR {} goes", view.metadata().name());
    co_return ReconcileResult{};
  }

  Task<Result<void>> set_ready(Document cidr, Ready wanted) {
    bool changes_status = true;
    for (const auto condition : ServiceCIDR(&cidr.root()).status().conditions()) {
      if (condition.type() != "Ready") continue;
      if (condition.status() == wanted.status && condition.reason() == wanted.reason &&
          condition.message() == wanted.message)
        co_return Result<void>{};
      changes_status = condition.status() != wanted.status;
    }
    const std::string time = changes_status ? fmt::format(R"(,"lastTransitionTime":"{}")",
                                                          format_time(to_microseconds(clock_.now())))
                                            : "";
    const std::string body = fmt::format(
        R"({{"metadata":{{"uid":"{}"}},"status":{{"conditions":[{{"type":"Ready","status":"{}","reason":"{}","message":"{}"{}}}]}}}})",
        client::uid_of(cidr), wanted.status, wanted.reason, wanted.message, time);
    co_return co_await patch(cidr, "status", body);
  }

  Task<Result<void>> patch(Document cidr, std::string subresource, std::string body) {
    auto patched = co_await client_->patch(cidr_resource, "", std::string(client::name_of(cidr)), subresource,
                                           client::PatchType::strategic, body, {"service-cidr-controller"});
    if (!patched && !patched.error().is("NotFound")) co_return patched.error();
    co_return Result<void>{};
  }

  const Clock& clock_;
  std::shared_ptr<ServiceCidrGuard> guard_;
  const std::string condition_;
  std::optional<std::string> retained_;  // the blocks that were there when the guard was told last
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &cidrs_, &addresses_;
  client::EventRecorder recorder_;
  client::ControllerLoop loop_;
};

}  // namespace

std::unique_ptr<Controller> make_service_cidr_controller(Context& context) {
  return std::make_unique<ServiceCidrController>(context);
}

}  // namespace rusternetes::controller_manager
