#include "api-server/default_service_cidr.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apimachinery/api/networking_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/object_builder.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using networking_v1::ServiceCIDR;

namespace {

constexpr client::Resource service_cidrs{"networking.k8s.io", "v1", "servicecidrs"};
constexpr const char* log_name = "service-cidr";
constexpr const char* name = "kubernetes";
constexpr auto retry_period = std::chrono::seconds(10);

void set_blocks(client::ObjectBuilder& builder, const std::vector<std::string>& cidrs) {
  Arena& arena = builder.arena();
  Value& spec = ensure(arena, builder.root(), ServiceCIDR::f_spec);
  Value& list = ensure(arena, spec, networking_v1::ServiceCIDRSpec::f_cidrs, ValueKind::list);
  assign(list, Value::empty(ValueKind::list));
  for (const auto& cidr : cidrs) append_string(arena, list, cidr);
}

}  // namespace

DefaultServiceCidr::DefaultServiceCidr(Cacher& cacher, std::unique_ptr<client::ApiClient> client,
                                       std::vector<std::string> cidrs, const Clock& clock)
    : cacher_(cacher),
      client_(std::move(client)),
      cidrs_(std::move(cidrs)),
      clock_(clock),
      recorder_(*client_, "kubernetes-service-cidr-controller", {}, clock),
      wake_(std::make_shared<AsyncEvent>(client_->executor())),
      tasks_(client_->executor()) {}

void DefaultServiceCidr::start() {
  recorder_.start(tasks_);
  tasks_.spawn(log_name, run());
}

Task<> DefaultServiceCidr::stop() { co_await tasks_.stop(); }

Task<> DefaultServiceCidr::run() {
  const auto cache = cacher_.find("networking.k8s.io", "servicecidrs");
  const auto wake = [event = wake_, executor = client_->executor()] {
    asio::post(executor, [event] { event->set(); });
  };
  const ResourceCache::Subscription subscription(*cache, wake);
  for (;;) {
    auto done = co_await sync();
    if (done) {
      co_await wake_->wait();
      continue;
    }
    log::warn(log_name, "ServiceCIDR {}: {}", name, done.error().message);
    co_await sleep_for(retry_period);
  }
}

void DefaultServiceCidr::tell_once(const Document& about, std::string reason, std::string message) {
  if (told_ == message) return;
  told_ = message;
  log::warn(log_name, "{}", message);
  recorder_.warning(about, "networking.k8s.io/v1", "ServiceCIDR", std::move(reason), std::move(message));
}

Task<Result<void>> DefaultServiceCidr::sync() {
  if (cidrs_.empty()) co_return Result<void>{};
  auto present = co_await client_->get(service_cidrs, "", name);
  if (!present && !present.error().is("NotFound")) co_return present.error();
  if (!present) {
    client::ObjectBuilder builder(ServiceCIDR::schema_type());
    set_string(builder.arena(), ensure(builder.arena(), builder.root(), ServiceCIDR::f_metadata),
               meta_v1::ObjectMeta::f_name, name);
    set_blocks(builder, cidrs_);
    present = co_await client_->create(service_cidrs, "", "", "", builder.freeze(), {});
    if (!present && present.error().is("AlreadyExists"))
      present = co_await client_->get(service_cidrs, "", name);
    if (!present) co_return present.error();
  }
  const Document found = *present;
  co_return co_await settle(found);
}

Task<Result<void>> DefaultServiceCidr::settle(Document present) {
  const ServiceCIDR view(&present.root());
  if (view.metadata().has_deletionTimestamp()) co_return Result<void>{};  // the controller manager's matter
  std::vector<std::string> has;
  for (const auto cidr : view.spec().cidrs()) has.emplace_back(cidr);
  if (cidrs_.size() == 2 && has.size() == 1 && has[0] == cidrs_[0]) {
    client::ObjectBuilder builder(present);
    set_blocks(builder, cidrs_);
    auto updated = co_await client_->update(service_cidrs, "", name, "", builder.freeze(), {});
    if (!updated)
      tell_once(present, "KubernetesDefaultServiceCIDRError",
                fmt::format("The default ServiceCIDR can not be upgraded from {} to dual stack [{}] : {}",
                            cidrs_[0], fmt::join(cidrs_, " "), updated.error().message));
    if (!updated) co_return updated.error();
    co_return Result<void>{};
  }
  if (has != cidrs_) {
    tell_once(
        present, "KubernetesDefaultServiceCIDRInconsistent",
        fmt::format("The default ServiceCIDR [{}] does not match the controller flag configurations [{}]",
                    fmt::join(has, " "), fmt::join(cidrs_, " ")));
    co_return Result<void>{};
  }
  for (const auto condition : view.status().conditions()) {
    if (condition.type() != "Ready" || condition.status() == "Unknown") continue;
    if (condition.status() == "False")
      tell_once(present, std::string(condition.reason()),
                fmt::format("Configuration matches, but {}", condition.message()));
    co_return Result<void>{};
  }
  const std::string body = fmt::format(
      R"({{"metadata":{{"uid":"{}"}},"status":{{"conditions":[{{"type":"Ready","status":"True","reason":"","message":"Kubernetes default Service CIDR is ready","lastTransitionTime":"{}"}}]}}}})",
      view.metadata().uid(), format_time(to_microseconds(clock_.now())));
  auto patched =
      co_await client_->patch(service_cidrs, "", name, "status", client::PatchType::strategic, body, {});
  if (!patched && !patched.error().is("NotFound")) co_return patched.error();
  co_return Result<void>{};
}

}  // namespace rusternetes::api_server
