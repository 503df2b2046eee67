#include "rusternetes/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "addons/addons.h"
#include "apimachinery/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/detect.h"
#include "engine/engine.h"
#include "engine/runtime.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node_status.h"
#include "pause/embedded_pause.h"
#include "rusternetes/idle_cgroups.h"

namespace rusternetes {

namespace {
using std::chrono::milliseconds;
constexpr client::Resource nodes{"", "v1", "nodes"};
constexpr milliseconds kLeastRetry{100}, kMostRetry{2'000};
// For an engine that neither answers nor refuses: then start() goes on without it.
constexpr std::chrono::seconds kPatience{5};
}  // namespace

struct Node::Impl {
  Impl(const ProcessOptions& o, const ProcessPki& p, const NodeSetup& s, api_server::Instance& a)
      : options(o), pki(p), setup(s), api(a) {}
  const ProcessOptions& options;
  const ProcessPki& pki;
  const NodeSetup& setup;
  api_server::Instance& api;
  std::unique_ptr<EventThread> thread;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<engine::Runtime> runtime;
  std::unique_ptr<client::ApiClient> client, node_reader;
  std::unique_ptr<kubelet::Kubelet> kubelet;
  std::unique_ptr<TaskGroup> tasks;
  std::unique_ptr<AsyncEvent> tried;  // once
  std::optional<Result<std::string>> outcome;  // of the first try
  bool has_started = false;                    // start() has returned: nobody is there to hear a refusal

  kubelet::KubeletOptions kubelet_options() const;
  engine::DetectOptions detect_options() const;
  Task<> run(Result<std::string>& out);
  Task<> keep_trying();
  Task<Result<void>> find_engine();
  Task<Result<void>> start_kubelet();
  Task<Result<void>> tell_not_ready(std::string why);
  Task<> drop();
  Task<> end();
};

Node::Node(const ProcessOptions& options, const ProcessPki& pki, const NodeSetup& setup,
           api_server::Instance& api)
    : impl_(std::make_unique<Impl>(options, pki, setup, api)) {}
Node::~Node() { stop(); }

kubelet::KubeletOptions Node::Impl::kubelet_options() const {
  kubelet::KubeletOptions out;
  out.cluster = options.cluster_name;
  out.node_name = options.node_name;
  // The first is the gateway of Pods of its family.
  const auto node_addresses = split_list(options.node_address);
  out.node_ip = node_addresses.empty() ? std::string() : node_addresses.front();
  out.root_dir = options.root_dir;
  out.log_dir = options.root_dir + "/pod-logs";
  out.cgroup_root = fmt::format("/rusternetes-{}", options.cluster_name);
  if (options.has_own_node()) {
    out.netns_path =
        options.node_netns.empty() ? fmt::format("/proc/self/fd/{}", setup.node().fd()) : options.node_netns;
    out.host_network = engine::SandboxNetwork::container;
    out.node_dns = node_addresses;
  } else {
    out.uplink.clear();
  }
  out.cluster_cidrs = split_list(options.pod_cidr);
  for (const auto& range : split_list(options.service_cluster_ip_range)) out.cluster_cidrs.push_back(range);
  // settle() has seen to it that the range has room for it.
  const auto dns = addons::dns_service_address(options.service_cluster_ip_range);
  if (dns) out.cluster_dns = {*dns};
  out.no_masquerade_cidrs = split_list(options.host_address);
  out.serving_certificate_pem = pki.kubelet_certificate_pem;
  out.serving_key_pem = pki.kubelet_key_pem;
  out.client_ca_pem = pki.ca_pem;
  if (!options.has_own_node()) out.port = 0;  // several clusters may share the host
  return out;
}

engine::DetectOptions Node::Impl::detect_options() const {
  engine::DetectOptions detect;
  if (options.engine == "podman") detect.kind = engine::EngineKind::podman;
  if (options.engine == "docker") detect.kind = engine::EngineKind::docker;
  detect.socket_path = options.engine_socket;
  return detect;
}

Task<Result<void>> Node::Impl::find_engine() {
  auto found = co_await engine::detect_engine(thread->executor(), detect_options());
  if (!found) co_return found.error();
  engine = std::move(*found);
  engine::RuntimeOptions runtime_options;
  runtime_options.owner = fmt::format("{}/{}", options.cluster_name, options.node_name);
  const auto pause = pause_binary();
  runtime_options.pause_program.assign(reinterpret_cast<const char*>(pause.data()), pause.size());
  runtime = engine::make_runtime(*engine, std::move(runtime_options));
  co_return Result<void>{};
}

Task<Result<void>> Node::Impl::start_kubelet() {
  kubelet = std::make_unique<kubelet::Kubelet>(*client, *runtime, kubelet_options(), node_reader.get());
  auto started = co_await kubelet->start();
  if (!started) co_await drop();
  co_return started;
}

// A Node that the last process left as ready would get Pods. Absent is success.
Task<Result<void>> Node::Impl::tell_not_ready(std::string why) {
  auto node = co_await client->get(nodes, "", options.node_name);
  if (!node && node.error().is("NotFound")) co_return Result<void>{};
  if (!node) co_return node.error();
  const auto told = kubelet::with_not_ready(*node, why, apimachinery::to_microseconds(Clock::system().now()));
  auto updated = co_await client->update(nodes, "", options.node_name, "status", told, {});
  if (!updated) co_return updated.error();
  co_return Result<void>{};
}

// Ends with a kubelet that runs, or with a refusal while start() waits for one.
Task<> Node::Impl::keep_trying() {
  std::string problem;
  bool is_told = false;
  for (milliseconds pause = kLeastRetry;; pause = std::min(pause * 2, kMostRetry)) {
    auto done = co_await find_engine();
    const bool has_engine = done.has_value();
    const bool is_refusal = has_engine || done.error().is("Invalid") || done.error().is(engine::reason::kRootless);
    if (done) done = co_await start_kubelet();
    if (!outcome) {
      if (done)
        outcome.emplace(std::string());
      else if (is_refusal)
        outcome.emplace(done.error());
      else
        outcome.emplace(done.error().message);
    }
    tried->set();
    if (done && !problem.empty()) log::info("rusternetes", "the engine answers: the node begins");
    if (done || (is_refusal && !has_started)) co_return;
    const char* what = has_engine ? "the kubelet cannot start" : "container runtime is down";
    const std::string now = fmt::format("{}: {}", what, done.error().message);
    if (now != problem) {
      problem = now;
      is_told = false;
      log::warn("rusternetes", "the node waits: {}", problem);
    }
    if (!is_told) {
      auto told = co_await tell_not_ready(problem);
      if (!told) log::warn("rusternetes", "the Node cannot be shown as not ready: {}", told.error().message);
      is_told = told.has_value();
    }
    co_await sleep_for(pause);
  }
}

Task<> Node::Impl::run(Result<std::string>& out) {
  const auto executor = thread->executor();
  client = api.make_client(api_server::Instance::node(options.node_name), executor, "kubelet");
  node_reader = api.make_client(api_server::Instance::service_account("kube-system", "node-controller"),
                                executor, "kubelet");
  tasks = std::make_unique<TaskGroup>(executor);
  tried = std::make_unique<AsyncEvent>(executor);
  tasks->spawn("node", keep_trying());
  (void)co_await tried->wait_until(std::chrono::steady_clock::now() + kPatience);
  if (!outcome) {
    outcome = std::string("the engine does not answer");
    log::warn("rusternetes", "the node waits: {}", **outcome);
    auto told = co_await tell_not_ready("container runtime is down: " + **outcome);
    if (!told) log::warn("rusternetes", "the Node cannot be shown as not ready: {}", told.error().message);
  }
  has_started = true;
  out = *outcome;
}

Result<std::string> Node::start() {
  Impl& i = *impl_;
  i.thread = std::make_unique<EventThread>("node");
  Result<std::string> out;
  run_blocking(i.thread->executor(), i.run(out));
  return out;
}

Task<> Node::Impl::drop() {
  if (kubelet) co_await kubelet->stop();
  kubelet.reset();
  runtime.reset();
  engine.reset();
}

Task<> Node::Impl::end() {
  if (tasks) co_await tasks->stop();
  tasks.reset();
  co_await drop();
  client.reset();
  node_reader.reset();
  tried.reset();
}

void Node::stop() {
  Impl& i = *impl_;
  if (!i.thread) return;
  run_blocking(i.thread->executor(), i.end());
  i.thread->stop();
  i.thread.reset();
  if (i.options.is_by_hand())
    remove_idle_cgroups(fmt::format("/rusternetes-{}", i.options.cluster_name), std::chrono::seconds(3));
}

}  // namespace rusternetes
