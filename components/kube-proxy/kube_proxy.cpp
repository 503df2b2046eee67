#include "kube-proxy/kube_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/guarded.h"
#include "network/nft_events.h"

namespace rusternetes::kube_proxy {

using client::Document;
using namespace apimachinery;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kPart = "kube-proxy";
// Services with these labels are others' to serve.
constexpr const char* kSelector = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";
constexpr milliseconds kLeastBackoff{100}, kMostBackoff{30'000};
// Others change several rules at a time.
constexpr milliseconds kSettle{20};
// Kept for a measurement alone, also while nothing can be loaded.
constexpr std::size_t kMostTriggers = 1'000;

std::string service_of(const Document& slice) {
  const auto meta = discovery_v1::EndpointSlice(&slice.root()).metadata();
  const auto name = meta.labels().get("kubernetes.io/service-name");
  return name.empty() ? std::string() : fmt::format("{}/{}", meta.namespace_(), name);
}

client::Informer::Options with_labels() {
  client::Informer::Options out;
  out.label_selector = kSelector;
  return out;
}

client::Informer::Options named(const std::string& name) {
  client::Informer::Options out;
  out.field_selector = "metadata.name=" + name;
  return out;
}

void enter_or_die(const network::NetworkNamespace& node) {
  const auto entered = network::enter(node);
  RN_ASSERT(entered.has_value(), "the proxy's worker enters the node's network namespace");
}

}  // namespace

KubeProxy::KubeProxy(std::unique_ptr<client::ApiClient> client, network::NetworkNamespace node,
                     KubeProxyOptions options, std::unique_ptr<client::ApiClient> policy_client)
    : client_(std::move(client)),
      policy_client_(std::move(policy_client)),
      node_(std::move(node)),
      options_(std::move(options)),
      services_(*client_, {"", "v1", "services"}, with_labels()),
      slices_(*client_, {"discovery.k8s.io", "v1", "endpointslices"}, with_labels()),
      nodes_(*client_, {"", "v1", "nodes"}, named(options_.node_name)),
      service_cidrs_(*client_, {"networking.k8s.io", "v1", "servicecidrs"}),
      events_(*client_, kPart, options_.node_name),
      loader_(node_, options_.cluster),
      worker_("kube-proxy", 1024, [where = node_] { enter_or_die(where); }),
      health_checks_(client_->executor(), node_, [this] { return is_healthy(); }),
      wake_(client_->executor()),
      tasks_(client_->executor()) {
  services_.add_handler({[this](const Document& before, const Document& now) { on_service(before, now); }});
  slices_.add_handler({[this](const Document& before, const Document& now) { on_slice(before, now); }});
  nodes_.add_handler({[this](const Document&, const Document&) { on_node(); }});
  service_cidrs_.add_handler({[this](const Document&, const Document&) { check_due_ = true, wake_.set(); }});
  slices_.add_index("by-service", [](const Document& slice) {
    std::string key = service_of(slice);
    return key.empty() ? std::vector<std::string>{} : std::vector{std::move(key)};
  });
  if (!options_.network_policy || !policy_client_) return;
  network_policy::PolicyOptions policy;
  policy.settings = {options_.cluster, options_.node_name, options_.host_addresses, options_.node_addresses};
  policy.min_sync_period = options_.min_sync_period;
  policy.check_period = options_.check_period;
  policy.full_sync_period = options_.full_sync_period;
  policies_ = std::make_unique<network_policy::PolicyController>(*policy_client_, worker_, loader_.session(),
                                                                 std::move(policy));
}
KubeProxy::~KubeProxy() = default;

Result<void> KubeProxy::cleanup(const network::NetworkNamespace& node, std::string_view cluster) {
  RN_CHECK(Loader::cleanup(node, cluster));
  return network_policy::PolicyLoader::cleanup(node, cluster);
}

Result<void> KubeProxy::shut_pods(const network::NetworkNamespace& node, const KubeProxyOptions& options) {
  if (!options.network_policy) return {};
  return network_policy::PolicyLoader::shut(
      node, {options.cluster, options.node_name, options.host_addresses, options.node_addresses});
}

Result<void> KubeProxy::drop_untranslated(const network::NetworkNamespace& node,
                                          const KubeProxyOptions& options) {
  RN_CHECK(Loader::widen_drop(node, {options.cluster, {}, {}}, options.service_ranges));
  return {};
}

void KubeProxy::start() {
  const auto now = steady_clock::now();
  check_at_ = now;
  full_at_ = now + options_.full_sync_period;
  last_updated_ = Clock::system().now();
  events_.start(tasks_);
  for (auto* each : {&services_, &slices_, &nodes_, &service_cidrs_}) each->start(tasks_);
  if (policies_)
    policies_->start();
  else
    tasks_.spawn("network policies of before", remove_policies());
  tasks_.spawn("kube-proxy rules", run());
  tasks_.spawn("kube-proxy events", watch_events());
  tasks_.spawn("kube-proxy servers", keep_serving());
}

Task<> KubeProxy::stop() {
  co_await tasks_.stop();
  if (policies_) co_await policies_->stop();
  co_await health_checks_.stop();
  for (auto* server : {&healthz_server_, &metrics_server_}) {
    if (*server) co_await (*server)->stop();
    server->reset();
  }
}

void KubeProxy::queued() {
  metrics_.last_queued_s = std::chrono::duration<double>(Clock::system().now().time_since_epoch()).count();
  metrics_.service_changes_pending = pending_.service_changes;
  metrics_.endpoint_changes_pending = pending_.endpoint_changes;
  if (!queued_at_) queued_at_ = steady_clock::now();
  wake_.set();
}

// Once all is known: what is missing from the rules of policies is forbidden.
void KubeProxy::tell_name_servers() {
  if (!policies_ || !services_.has_synced() || !slices_.has_synced()) return;
  const std::string key = network_policy::kNameServerService;
  policies_->set_name_servers(services_.get(key), slices_.by_index("by-service", key));
}

void KubeProxy::on_service(const Document& before, const Document& now) {
  const std::string key = client::object_key(now ? now : before);
  if (key == network_policy::kNameServerService) tell_name_servers();
  pending_.services.insert(key);
  ++pending_.service_changes;
  ++metrics_.service_changes;
  queued();
}

void KubeProxy::on_slice(const Document& before, const Document& now) {
  for (const Document* each : {&before, &now}) {
    if (!*each) continue;
    std::string key = service_of(*each);
    if (key == network_policy::kNameServerService) tell_name_servers();
    if (!key.empty()) pending_.services.insert(std::move(key));
  }
  ++pending_.endpoint_changes;
  ++metrics_.endpoint_changes;
  if (now && has_synced_) {
    const auto text = discovery_v1::EndpointSlice(&now.root())
                          .metadata()
                          .annotations()
                          .get("endpoints.kubernetes.io/last-change-trigger-time");
    if (const auto when = parse_time(text); when && pending_.triggers.size() < kMostTriggers)
      pending_.triggers.push_back(
          SystemTime(std::chrono::duration_cast<SystemTime::duration>(std::chrono::microseconds(*when))));
  }
  queued();
}

void KubeProxy::on_node() {
  if (used_settings_ && settings() == *used_settings_) return;
  all_due_ = true;
  queued();
}

KubeProxy::Time KubeProxy::next_time() const {
  Time out = std::min(check_at_, full_at_);
  for (const auto& each : {sweep_at_, retry_at_, retry_health_at_})
    if (each) out = std::min(out, *each);
  return out;
}

Task<> KubeProxy::run() {
  for (auto* each : {&services_, &slices_, &nodes_}) co_await each->wait_for_sync();
  tell_name_servers();
  for (;;) {
    std::exception_ptr error;
    try {
      co_await turn();
    } catch (...) {
      error = std::current_exception();
    }
    if (error) {
      Pending not_done = std::exchange(in_flight_, std::nullopt).value_or(Pending{});
      failed(client::caught(error, tasks_), std::move(not_done));
    }
    const Time next = next_time();
    (void)co_await wake_.wait_until(next);
  }
}

Task<> KubeProxy::turn() {
  const auto begin = steady_clock::now();
  if (begin >= check_at_) check_due_ = true;
  if (begin >= full_at_) {
    whole_due_ = true;
    full_at_ = begin + options_.full_sync_period;
  }
  if (check_due_) co_await check();
  const bool may_sync = !retry_at_ || begin >= *retry_at_;
  if (may_sync && (!pending_.is_empty() || all_due_ || whole_due_)) {
    co_await sync();
    // The first change goes at once; those that come in a burst go together.
    const auto until = begin + options_.min_sync_period - steady_clock::now();
    if (until.count() > 0) co_await sleep_for(until);
  }
  if (retry_health_at_ && steady_clock::now() >= *retry_health_at_) co_await serve_health_checks();
  if (sweep_at_ && steady_clock::now() >= *sweep_at_) {
    sweep_at_.reset();
    auto swept = co_await worker_.run([this] { return loader_.sweep(steady_clock::now()); });
    if (swept) {
      sweep_at_ = *swept;
    } else {
      ++metrics_.cleanup_failures;
      log::warn(kPart, "unused rules stay: {}", swept.error().message);
      whole_due_ = true;
      wake_.set();
    }
  }
}

Task<> KubeProxy::check() {
  check_due_ = false;
  check_at_ = steady_clock::now() + options_.check_period;
  tell_refusal();
  auto ranges = service_ranges();
  auto checked = co_await worker_.run([this, ranges] { return loader_.check(ranges); });
  const std::string problem = !checked                ? checked.error().message
                              : checked->drop_problem ? checked->drop_problem->message
                                                      : "";
  if (!problem.empty() && problem != check_problem_)
    log::error(kPart, "{}: {}",
               checked ? "the drop rule of the service ranges does not stand" : "the rules cannot be read",
               problem);
  check_problem_ = problem;
  if (has_synced_ && checked && !checked->is_intact && !whole_due_) {
    log::warn(kPart, "the rules are not those that were loaded: all are loaded again");
    whole_due_ = true;
  }
}

Task<> KubeProxy::sync() {
  const auto begin = steady_clock::now();
  Settings now = settings();
  if (!used_settings_ || now != *used_settings_) all_due_ = true;
  used_settings_ = now;
  if (all_due_) {
    for (const auto& each : services_.list()) pending_.services.insert(client::object_key(each));
    all_due_ = false;
  }
  const bool is_whole = whole_due_;
  whole_due_ = false;
  in_flight_ = std::exchange(pending_, {});
  auto changes = changes_of(in_flight_->services);
  auto done = co_await worker_.run([this, now, is_whole, changes]() mutable {
    if (is_whole) loader_.forget();
    return loader_.sync(now, std::move(changes));
  });
  Pending taken = *std::exchange(in_flight_, std::nullopt);
  if (done)
    co_await succeeded(*std::move(done), std::move(taken), begin);
  else
    failed(done.error(), std::move(taken));
}

Task<> KubeProxy::succeeded(SyncResult result, Pending done, Time begin) {
  const auto took = steady_clock::now() - begin - result.flows_took;
  failures_ = 0;
  retry_at_.reset();
  // What came meanwhile is no older than this.
  queued_at_ = pending_.is_empty() ? std::nullopt : std::optional(begin);
  last_updated_ = Clock::system().now();
  if (!has_synced_)
    log::info(kPart, "the rules of {} Services are loaded ({:.1f} ms)", done.services.size(),
              std::chrono::duration<double, std::milli>(took).count());
  has_synced_ = true;
  metrics_.sync.observe(took);
  (result.is_whole ? metrics_.full_sync : metrics_.partial_sync).observe(took);
  for (const auto& each : done.triggers)
    metrics_.network_programming.observe(std::max(last_updated_ - each, SystemTime::duration(0)));
  metrics_.last_sync_s = std::chrono::duration<double>(last_updated_.time_since_epoch()).count();
  metrics_.service_changes_pending = pending_.service_changes;
  metrics_.endpoint_changes_pending = pending_.endpoint_changes;
  metrics_.no_local_internal = result.internal_without_local;
  metrics_.no_local_external = result.external_without_local;
  if (result.ended_flows) {
    metrics_.conntrack.observe(result.flows_took);
    if (*result.ended_flows)
      metrics_.conntrack_deleted += static_cast<std::uint64_t>(**result.ended_flows);
    else
      log::warn(kPart, "stale UDP flows stay: {}", result.ended_flows->error().message);
  }
  sweep_at_ = result.sweep_at;
  health_ = std::move(result.health_checks);
  co_await serve_health_checks();
}

// Everything is loaded anew after the pause: what the kernel has is not what was thought.
void KubeProxy::failed(const Status& why, Pending not_done) {
  ++metrics_.sync_failures;
  const int doublings = std::min(failures_++, 10);
  const auto pause = std::min(kLeastBackoff * (1 << doublings), kMostBackoff);
  log::error(kPart, "the rules are not up to date, next try in {} ms: {}", pause.count(), why.message);
  pending_.services.merge(not_done.services);
  pending_.triggers.insert(pending_.triggers.end(), not_done.triggers.begin(), not_done.triggers.end());
  pending_.service_changes += not_done.service_changes;
  pending_.endpoint_changes += not_done.endpoint_changes;
  whole_due_ = true;
  retry_at_ = steady_clock::now() + pause;
  if (!queued_at_) queued_at_ = steady_clock::now();
}

Task<> KubeProxy::watch_events() {
  auto events = network::NftEvents::open(node_);
  if (!events) {
    log::warn(kPart, "changes of rules are not heard of, only looked for: {}", events.error().message);
    co_return;
  }
  asio::posix::stream_descriptor readable(client_->executor(), events->fd());
  struct Release {  // the descriptor is the events'
    asio::posix::stream_descriptor& readable;
    ~Release() { readable.release(); }
  } release{readable};
  for (;;) {
    co_await readable.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (!events->drain()) continue;
    co_await sleep_for(kSettle);
    events->drain();
    check_due_ = true;
    wake_.set();
    if (policies_) policies_->check_soon();
  }
}

// Left by a process that had them.
Task<> KubeProxy::remove_policies() {
  for (;;) {
    auto work = [this] { return network_policy::PolicyLoader::cleanup(node_, options_.cluster); };
    auto removed = co_await worker_.run(work);
    if (removed) co_return;
    log::error(kPart, "the rules of NetworkPolicies stay, next try in {} s: {}", kMostBackoff.count() / 1000,
               removed.error().message);
    co_await sleep_for(kMostBackoff);
  }
}

std::vector<ServiceChange> KubeProxy::changes_of(const std::set<std::string>& keys) const {
  std::vector<ServiceChange> out;
  out.reserve(keys.size());
  for (const auto& key : keys) out.push_back({key, services_.get(key), slices_.by_index("by-service", key)});
  return out;
}

}  // namespace rusternetes::kube_proxy
