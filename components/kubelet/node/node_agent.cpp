#include "kubelet/node/node_agent.h"

#include <fmt/format.h>

#include <charconv>

#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/object_builder.h"

namespace rusternetes::kubelet {

using namespace apimachinery;
using client::Resource;
using std::chrono::milliseconds;

namespace {

constexpr Resource nodes{"", "v1", "nodes"};
constexpr Resource leases{"coordination.k8s.io", "v1", "leases"};
constexpr char kLeaseNamespace[] = "kube-node-lease";
constexpr milliseconds kLeastRetry{100}, kMostRetry{5'000};

std::int64_t version_of(const Document& object) {
  if (!object) return -1;
  const auto text = meta_v1::ObjectMeta(object.root().get(2)).resourceVersion();
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

bool is_newer(const Document& object, const Document& than) { return version_of(object) > version_of(than); }

NodeAgent::NodeAgent(client::ApiClient& client, engine::Runtime& runtime, const KubeletOptions& options, WorkerThread& worker,
                     client::EventRecorder& events, std::function<std::string()> not_ready,
                     std::function<void(const Document& node)> on_node)
    : client_(client), runtime_(runtime), options_(options), worker_(worker), events_(events), not_ready_(std::move(not_ready)), on_node_(std::move(on_node)),
      wake_(client.executor()), known_(client.executor()), registered_(client.executor()) {}

void NodeAgent::start(TaskGroup& tasks, std::uint16_t kubelet_port) {
  input_.kubelet_port = kubelet_port;
  tasks.spawn("node status", keep_status());
  tasks.spawn("node lease", keep_lease());
}

void NodeAgent::observe(Document node) {
  if (!node) return;
  if (is_newer(node, node_)) return adopt(std::move(node));
  // News of before our own last write; or the store was put back, and this is what there is now.
  if (is_newer(node_, node)) is_doubtful_ = true, wake_.set();
}

void NodeAgent::adopt(Document node) {
  if (!node_) wake_.set();
  node_ = std::move(node);
  // A store that was put back to a snapshot has forgotten what was said since: it is said again at once.
  if (reported_at_ != SteadyTime{} && ready_heartbeat_us(node_) < told_heartbeat_us_) {
    reported_at_ = {};
    wake_.set();
  }
  on_node_(node_);
}

Task<> NodeAgent::wait_until_known() {
  while (!is_known_) {
    co_await known_.wait();
    known_.set();  // for whoever else waits
  }
}

Task<Result<void>> NodeAgent::measure() {
  const std::string folder = options_.root_dir;
  auto read = [folder] { return std::pair(read_machine(), read_load(folder)); };
  auto measured = co_await worker_.run(read);
  input_.machine = std::move(measured.first);
  input_.load = measured.second;
  auto version = co_await runtime_.version();
  if (version) {
    version_ = *version;
    runtime_name_ = version->runtime_name;
    input_.runtime_version = fmt::format("{}://{}", version->runtime_name, version->runtime_version);
  }
  auto status = co_await runtime_.status();
  input_.not_ready = version && status.is_ready ? not_ready_()
                                                : fmt::format("container runtime is down: {}", version ? status.message : version.error().message);
  auto images = co_await runtime_.list_images();
  if (images) {
    input_.images = *std::move(images);
    image_refs_.clear();
    for (const auto& image : input_.images)
      if (!image.repo_digests.empty()) image_refs_[image.id] = image.repo_digests.front();
  }
  allocatable_ = node_allocatable(options_, input_);
  if (version && !is_known_) {
    is_known_ = true;
    known_.set();
  }
  input_.now_us = to_microseconds(options_.clock->now());
  co_return Result<void>{};
}

Task<Result<void>> NodeAgent::ensure_registered() {
  if (is_registered_) co_return Result<void>{};
  if (options_.register_node) {
    auto created = co_await client_.create(nodes, "", "", "", new_node(options_, input_), {});
    if (created) {
      observe(*created);
      log::info("kubelet", "node {} registered", options_.node_name);
    } else if (!created.error().is("AlreadyExists")) {
      co_return created.error();
    }
  }
  if (!node_) {
    auto found = co_await client_.get(nodes, "", options_.node_name);
    if (!found) co_return found.error();
    observe(*found);
  }
  const Document labelled = with_labels(node_, options_, input_.machine);
  if (!labelled.is_same(node_)) {
    auto updated = co_await client_.update(nodes, "", options_.node_name, "", labelled, {});
    if (!updated) {
      node_ = {};
      co_return updated.error();
    }
    observe(*updated);
  }
  is_registered_ = true;
  registered_.set();
  events_.normal(node_, "v1", "Node", "Starting", "Starting kubelet.");
  co_return Result<void>{};
}

// The Node as the api-server has it now.
Task<Result<void>> NodeAgent::read_again() {
  is_doubtful_ = false;
  const Document before = node_;
  auto fresh = co_await client_.get(nodes, "", options_.node_name);
  if (!fresh) {
    is_doubtful_ = !fresh.error().is("NotFound");
    co_return fresh.error();
  }
  if (node_.is_same(before))
    adopt(*fresh);
  else
    observe(*fresh);  // a watch event has come meanwhile
  co_return Result<void>{};
}

Task<Result<void>> NodeAgent::report() {
  if (is_doubtful_) {
    auto read = co_await read_again();
    if (!read && !read.error().is("NotFound")) co_return read.error();
  }
  for (int attempt = 0; attempt < 5; ++attempt) {
    const Document wanted = with_status(node_, options_, input_);
    const auto age = options_.clock->steady_now() - reported_at_;
    const bool is_due = reported_at_ == SteadyTime{} || age >= options_.node_status_report_frequency;
    if (!is_due && is_same_but_heartbeats(node_, wanted)) co_return Result<void>{};
    auto updated = co_await client_.update(nodes, "", options_.node_name, "status", wanted, {});
    if (updated) {
      observe(*updated);
      reported_at_ = options_.clock->steady_now();
      told_heartbeat_us_ = ready_heartbeat_us(*updated);
      co_return Result<void>{};
    }
    if (updated.error().is("NotFound")) {  // deleted under us: register again
      is_registered_ = false;
      node_ = {};
    }
    if (!updated.error().is("Conflict")) co_return updated.error();
    RN_CO_CHECK(co_await read_again());
  }
  co_return internal_error("the Node changes faster than its status can be written");
}

Task<> NodeAgent::keep_status() {
  milliseconds retry = kLeastRetry;
  for (;;) {
    auto done = co_await measure();
    if (done) done = co_await ensure_registered();
    if (done) done = co_await report();
    milliseconds pause = options_.node_status_update_frequency;
    const std::string problem = done ? std::string() : done.error().message;
    if (problem != status_problem_) {
      if (done)
        log::info("kubelet", "node status: told again");
      else
        log::warn("kubelet", "node status: {}", problem);
    }
    status_problem_ = problem;
    if (done && input_.not_ready.empty()) {
      retry = kLeastRetry;
    } else {
      // What is missing may come at any moment (a Pod CIDR, the engine): look soon, then ever less often.
      pause = retry;
      retry = std::min(retry * 2, kMostRetry);
      if (is_registered_) {
        auto fresh = co_await client_.get(nodes, "", options_.node_name);
        if (fresh) observe(*fresh);
        if (node_) on_node_(node_);  // what failed with it is tried again
      }
    }
    (void)co_await wake_.wait_until(std::chrono::steady_clock::now() + pause);
  }
}

Task<Result<void>> NodeAgent::renew_lease() {
  using L = coordination_v1::Lease;
  using S = coordination_v1::LeaseSpec;
  using M = meta_v1::ObjectMeta;
  const Document node = node_;  // the member may be empty after any wait
  if (!node) co_return Result<void>{};  // deleted; it is being registered again
  if (!lease_) {
    auto found = co_await client_.get(leases, kLeaseNamespace, options_.node_name);
    if (found)
      lease_ = *found;
    else if (!found.error().is("NotFound"))
      co_return found.error();
  }
  std::unique_ptr<client::ObjectBuilder> builder = lease_ ? std::make_unique<client::ObjectBuilder>(lease_)
                                                          : std::make_unique<client::ObjectBuilder>(L::schema_type());
  Arena& arena = builder->arena();
  Value& metadata = ensure(arena, builder->root(), L::f_metadata);
  set_string(arena, metadata, M::f_name, options_.node_name);
  set_string(arena, metadata, M::f_namespace_, kLeaseNamespace);
  // The Lease goes with its Node.
  using R = meta_v1::OwnerReference;
  Value& owners = ensure(arena, metadata, M::f_ownerReferences, ValueKind::list);
  assign(owners, Value::empty(ValueKind::list));
  Value& owner = append_structure(arena, owners);
  set_string(arena, owner, R::f_apiVersion, "v1");
  set_string(arena, owner, R::f_kind, "Node");
  set_string(arena, owner, R::f_name, options_.node_name);
  set_string(arena, owner, R::f_uid, client::uid_of(node));
  Value& spec = ensure(arena, builder->root(), L::f_spec);
  set_string(arena, spec, S::f_holderIdentity, options_.node_name);
  set_integer(arena, spec, S::f_leaseDurationSeconds, std::chrono::duration_cast<std::chrono::seconds>(options_.lease_duration).count());
  set_time(arena, spec, S::f_renewTime, to_microseconds(options_.clock->now()));
  const Document wanted = builder->freeze();
  Result<Document> written = Status{};
  if (lease_)
    written = co_await client_.update(leases, kLeaseNamespace, options_.node_name, "", wanted, {});
  else
    written = co_await client_.create(leases, kLeaseNamespace, "", "", wanted, {});
  lease_ = written ? *written : Document{};  // whatever went wrong, look again
  if (!written) co_return written.error();
  co_return Result<void>{};
}

Task<> NodeAgent::keep_lease() {
  milliseconds retry = kLeastRetry;
  while (!is_registered_) co_await registered_.wait();
  for (;;) {
    auto done = co_await renew_lease();
    milliseconds pause = options_.lease_duration / 4;
    const std::string problem = done ? std::string() : done.error().message;
    if (!done && problem != lease_problem_) log::warn("kubelet", "node lease: {}", problem);
    lease_problem_ = problem;
    if (done) {
      retry = kLeastRetry;
    } else {
      pause = retry;
      retry = std::min(retry * 2, kMostRetry);
    }
    co_await sleep_for(pause);
  }
}

}  // namespace rusternetes::kubelet
