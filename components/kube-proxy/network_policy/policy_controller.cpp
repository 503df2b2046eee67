#include "kube-proxy/network_policy/policy_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/guarded.h"

namespace rusternetes::kube_proxy::network_policy {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kPart = "network-policy";
constexpr milliseconds kLeastBackoff{100}, kMostBackoff{30'000};
// What the kernel did not take may have been of the moment.
constexpr milliseconds kRefusedAgain{300'000};

double seconds_now() {
  return std::chrono::duration<double>(Clock::system().now().time_since_epoch()).count();
}

bool has_same_labels(const Document& before, const Document& now) {
  if (!before || !now) return false;
  using apimachinery::core_v1::Namespace;
  const auto* a = Namespace(&before.root()).metadata().labels().value();
  const auto* b = Namespace(&now.root()).metadata().labels().value();
  return a && b ? equal(*a, *b) : a == b;
}

}  // namespace

PolicyController::PolicyController(client::ApiClient& client, WorkerThread& worker,
                                   std::shared_ptr<NftSession> session, PolicyOptions options)
    : options_(std::move(options)),
      client_(client),
      worker_(worker),
      policies_(client, {"networking.k8s.io", "v1", "networkpolicies"}),
      pods_(client, {"", "v1", "pods"}),
      namespaces_(client, {"", "v1", "namespaces"}),
      loader_(std::move(session), options_.settings),
      wake_(client.executor()),
      tasks_(client.executor()) {
  policies_.add_handler({[this](const Document& before, const Document& now) { on_policy(before, now); }});
  pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
  namespaces_.add_handler(
      {[this](const Document& before, const Document& now) { on_namespace(before, now); }});
}
PolicyController::~PolicyController() = default;

void PolicyController::start() {
  const auto now = steady_clock::now();
  check_at_ = now + options_.check_period;
  full_at_ = now + options_.full_sync_period;
  for (auto* each : {&policies_, &pods_, &namespaces_}) each->start(tasks_);
  tasks_.spawn("network policies", run());
  tasks_.spawn("network policies' identity", watch_refusal());
}

Task<> PolicyController::stop() { co_await tasks_.stop(); }

// An identity that may not read policies leaves every Pod open, or in a namespace that has rules already
// every new one shut, while all else goes well. The informers go on trying; this says so, once.
Task<> PolicyController::watch_refusal() {
  for (;;) {
    co_await sleep_for(options_.check_period);  // the role may be as new as the cluster
    if (policies_.has_synced() && pods_.has_synced() && namespaces_.has_synced()) break;
    std::string refusal = co_await ask_refusal();
    if (!refusal.empty() && refusal != refusal_)
      log::error(kPart,
                 "NetworkPolicies are not served, since this identity may not list and watch Pods, "
                 "Namespaces and NetworkPolicies: give one that may (kube-proxy's "
                 "--network-policy-kubeconfig), or switch them off (--network-policy=false): {}",
                 refusal);
    if (!refusal.empty()) refusal_ = std::move(refusal);
  }
  refusal_.clear();
}

// Empty also where the server cannot be asked.
Task<std::string> PolicyController::ask_refusal() {
  for (const auto* each : {&policies_, &pods_, &namespaces_}) {
    if (each->has_synced()) continue;
    client::ListOptions one;
    one.limit = 1;
    const auto resource = each->resource();
    auto listed = co_await client_.list(resource, std::string(), one);
    const int code = listed ? 200 : listed.error().code;
    if (code == 401 || code == 403) co_return listed.error().message;
  }
  co_return std::string();
}

void PolicyController::check_soon() {
  check_due_ = true;
  wake_.set();
}

void PolicyController::set_name_servers(Document service, std::vector<Document> slices) {
  name_server_service_ = std::move(service);
  name_server_slices_ = std::move(slices);
  knows_name_servers_ = true;
  pending_.has_name_servers = true;
  queued();
}

void PolicyController::queued() {
  ++metrics_.changes;
  metrics_.last_queued_s = seconds_now();
  wake_.set();
}

void PolicyController::on_policy(const Document& before, const Document& now) {
  for (const Document* each : {&before, &now}) {
    if (!*each) continue;
    const Policy policy = read_policy(*each);
    if (policy.reaches_beyond_namespace())
      pending_.has_all_pods = true;
    else
      pending_.namespaces.insert(policy.name_space);
  }
  pending_.policies.insert(client::object_key(now ? now : before));
  queued();
}

void PolicyController::on_pod(const Document& before, const Document& now) {
  if (is_same_to_policies(before, now)) return;
  pending_.pods.insert(client::object_key(now ? now : before));
  queued();
}

void PolicyController::on_namespace(const Document& before, const Document& now) {
  if (has_same_labels(before, now)) return;
  std::string name(client::name_of(now ? now : before));
  if (name == kNameServerNamespace) pending_.has_name_servers = true;
  pending_.namespaces.insert(std::move(name));
  queued();
}

PolicyController::Time PolicyController::next_time() const {
  Time out = std::min(check_at_, full_at_);
  for (const auto& each : {sweep_at_, retry_at_})
    if (each) out = std::min(out, *each);
  return out;
}

Task<> PolicyController::run() {
  for (auto* each : {&policies_, &pods_, &namespaces_}) co_await each->wait_for_sync();
  for (;;) {
    std::exception_ptr error;
    try {
      co_await turn();
    } catch (...) {
      error = std::current_exception();
    }
    if (error) failed(client::caught(error, tasks_));
    const Time next = next_time();
    (void)co_await wake_.wait_until(next);
  }
}

Task<> PolicyController::turn() {
  const auto begin = steady_clock::now();
  if (!knows_name_servers_) {
    check_at_ = begin + options_.check_period;
    co_return;
  }
  if (begin >= check_at_) check_due_ = true;
  if (begin >= full_at_) {
    whole_due_ = true;
    full_at_ = begin + options_.full_sync_period;
  }
  if (check_due_) co_await check();
  const bool may_sync = !retry_at_ || begin >= *retry_at_;
  if (may_sync && (!pending_.is_empty() || whole_due_)) {
    co_await sync();
    const auto until = begin + options_.min_sync_period - steady_clock::now();
    if (until.count() > 0) co_await sleep_for(until);
  }
  if (sweep_at_ && steady_clock::now() >= *sweep_at_) {
    sweep_at_.reset();
    auto swept = co_await worker_.run([this] { return loader_.sweep(steady_clock::now()); });
    if (swept) {
      sweep_at_ = *swept;
    } else {
      log::warn(kPart, "unused rules stay: {}", swept.error().message);
      whole_due_ = true;
      wake_.set();
    }
  }
}

Task<> PolicyController::check() {
  check_due_ = false;
  check_at_ = steady_clock::now() + options_.check_period;
  if (!has_synced_) co_return;
  auto intact = co_await worker_.run([this] { return loader_.is_intact(); });
  const std::string problem = intact ? "" : intact.error().message;
  if (!problem.empty() && problem != check_problem_)
    log::error(kPart, "the rules cannot be read: {}", problem);
  check_problem_ = problem;
  if (intact && !*intact && !whole_due_) {
    log::warn(kPart, "the rules are not those that were loaded: all are loaded again");
    whole_due_ = true;
  }
  if (!intact || !*intact) co_return;
  auto denied = co_await worker_.run([this] { return loader_.denied(); });
  if (denied) std::ranges::copy(*denied, metrics_.denied.begin());
}

Changes PolicyController::changes_of(const Pending& pending) const {
  Changes out;
  for (const auto& key : pending.policies) out.policies.push_back({key, policies_.get(key)});
  if (pending.has_name_servers)
    out.name_servers =
        read_name_servers(name_server_service_, name_server_slices_, namespaces_.get(kNameServerNamespace));
  const auto add = [&](const Document& pod) {
    out.pods.push_back({client::object_key(pod), pod, namespaces_.get(client::namespace_of(pod))});
  };
  // Those that are gone are in no list.
  for (const auto& key : pending.pods) {
    const Document pod = pods_.get(key);
    if (!pod)
      out.pods.push_back({key, {}, {}});
    else if (!pending.has_all_pods && !pending.namespaces.contains(std::string(client::namespace_of(pod))))
      add(pod);
  }
  if (pending.has_all_pods)
    for (const auto& pod : pods_.list()) add(pod);
  else
    for (const auto& name_space : pending.namespaces)
      for (const auto& pod : pods_.list(name_space)) add(pod);
  return out;
}

Task<> PolicyController::sync() {
  const auto begin = steady_clock::now();
  const bool is_whole = std::exchange(whole_due_, false);
  in_flight_ = std::exchange(pending_, {});
  auto work = [this, is_whole, changes = changes_of(*in_flight_)]() mutable {
    if (is_whole) loader_.forget();
    return loader_.sync(std::move(changes));
  };
  auto done = co_await worker_.run(std::move(work));
  if (done)
    succeeded(*done, begin);
  else
    failed(done.error());
}

void PolicyController::succeeded(const PolicySyncResult& result, Time begin) {
  const auto took = steady_clock::now() - begin;
  in_flight_.reset();
  failures_ = 0;
  retry_at_.reset();
  if (!has_synced_)
    log::info(kPart, "the rules of {} NetworkPolicies are loaded ({:.1f} ms)", result.policies,
              std::chrono::duration<double, std::milli>(took).count());
  has_synced_ = metrics_.has_synced = true;
  metrics_.refused = result.refused;
  if (result.refused) full_at_ = std::min<Time>(full_at_, steady_clock::now() + kRefusedAgain);
  metrics_.sync.observe(took);
  metrics_.full_syncs += result.is_whole;
  metrics_.last_sync_s = seconds_now();
  metrics_.policies = result.policies;
  std::ranges::copy(result.isolated, metrics_.isolated.begin());
  sweep_at_ = result.sweep_at;
}

// Everything is loaded anew after the pause: what the kernel has is not what was thought.
void PolicyController::failed(const Status& why) {
  ++metrics_.sync_failures;
  const int doublings = std::min(failures_++, 10);
  const auto pause = std::min(kLeastBackoff * (1 << doublings), kMostBackoff);
  log::error(kPart, "the rules are not up to date, next try in {} ms: {}", pause.count(), why.message);
  if (Pending not_done = std::exchange(in_flight_, {}).value_or(Pending{}); !not_done.is_empty()) {
    pending_.policies.merge(not_done.policies);
    pending_.pods.merge(not_done.pods);
    pending_.namespaces.merge(not_done.namespaces);
    pending_.has_all_pods |= not_done.has_all_pods;
    pending_.has_name_servers |= not_done.has_name_servers;
  }
  whole_due_ = true;
  retry_at_ = steady_clock::now() + pause;
}

}  // namespace rusternetes::kube_proxy::network_policy
