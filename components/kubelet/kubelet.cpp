#include "kubelet/kubelet.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "apimachinery/api/core_v1.h"
#include "base/log.h"
#include "kubelet/container/resources.h"
#include "kubelet/network_socket.h"
#include "kubelet/node/housekeeping.h"
#include "kubelet/node/routes.h"
#include "kubelet/pod/pod_worker.h"
#include "kubelet/server/server.h"
#include "network/namespace.h"

namespace rusternetes::kubelet {

using client::Informer;
using client::Resource;

namespace {
constexpr Resource pods{"", "v1", "pods"}, nodes{"", "v1", "nodes"}, services{"", "v1", "services"};
constexpr auto kRetry = std::chrono::seconds(1);

Informer::Options with_fields(std::string selector) {
  Informer::Options out;
  out.field_selector = std::move(selector);
  return out;
}
}  // namespace

struct Kubelet::Impl {
  Impl(client::ApiClient& client, engine::Runtime& runtime, KubeletOptions given, client::ApiClient* node_reader)
      : options(std::move(given)),
        client(client),
        runtime(runtime),
        tasks(client.executor()),
        files("kubelet-files"),
        events(client, "kubelet", options.node_name, *options.clock),
        objects(client, *options.clock),
        images(runtime, objects, events, tasks, *options.clock),
        volumes(client, objects, options, files),
        network(options),
        holder(client.executor(), runtime, options, network),
        node(client, runtime, options, files, events, [this] { return why_not_ready(); }, [this](const Document& now) { on_node(now); }),
        pod_informer(client, pods, with_fields("spec.nodeName=" + options.node_name)),
        node_informer(client, nodes, with_fields("metadata.name=" + options.node_name)),
        service_informer(client, services),
        cgroups(options.cgroup_mount),
        prober(runtime),
        hooks(runtime, events, prober),
        context{options, client, runtime, events, objects, images, volumes, network, holder, node, service_informer,
                cgroups, files, tasks, prober, hooks, options.clock->now()},
        housekeeping(context) {
    if (node_reader) routes = std::make_unique<Routes>(*node_reader, options, network);
    pod_informer.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
    node_informer.add_handler({[this](const Document&, const Document& now) { node.observe(now); }});
  }

  std::string why_not_ready() {
    const auto reason = network.not_ready();
    return reason.empty() ? reason
                          : "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:" + reason;
  }

  Task<Result<void>> start() {
    std::error_code ec;
    for (const auto& folder : {options.root_dir, options.root_dir + "/pods", options.log_dir}) {
      std::filesystem::create_directories(folder, ec);
      if (ec) co_return internal_error(fmt::format("make {}: {}", folder, ec.message()));
    }
    std::filesystem::permissions(options.root_dir, std::filesystem::perms(0750), ec);
    auto networked = co_await network.start();
    if (!networked) co_return networked.error();
    auto opened = rusternetes::network::NetworkNamespace::open(network.pinned_path());
    if (!opened) co_return opened.error();
    prober.set_open_socket(sockets_in(*std::move(opened)));  // probes and hooks go from the node to its Pods
    if (!options.serving_certificate_pem.empty()) {
      server = std::make_unique<KubeletServer>(KubeletServer::Parts{
          options, client, runtime, files,
          [this](std::string_view name_space, std::string_view name) { return find_pod(name_space, name); },
          [this] { return pod_informer.list(); }, [this] { return health(); }});
      const std::string address = options.bind_address.empty() ? options.node_ip : options.bind_address;
      auto socket = co_await network.listen(address, options.port);
      if (!socket) co_return socket.error();
      auto served = server->start(*socket);
      if (!served) co_return served.error();
    }
    events.start(tasks);
    node_informer.start(tasks);
    service_informer.start(tasks);
    pod_informer.start(tasks);
    node.start(tasks, server ? server->port() : 0);
    if (routes) routes->start(tasks);
    tasks.spawn("runtime events", watch_runtime());
    tasks.spawn("pods", adopt_and_run());
    co_return Result<void>{};
  }

  Task<> stop() {
    if (server) co_await server->stop();
    co_await tasks.stop();
    workers.clear();
  }

  // Nothing is started before what runs is known: its addresses are taken, and Pods that the API has forgotten are ended.
  Task<> adopt_and_run() {
    co_await node.wait_until_known();
    // A node that has just been made has no rules yet: what its Pods, host-network ones too, send to a Service
    // would leave it.
    co_await network.wait_for_service_drop();
    node.trigger();
    for (;;) {
      auto sandboxes = co_await runtime.list_pod_sandboxes();
      if (sandboxes) {
        for (const auto& sandbox : *sandboxes) adopt_addresses(sandbox);
        co_await pod_informer.wait_for_sync();
        is_running = true;
        for (const auto& pod : pod_informer.list()) on_pod({}, pod);
        for (const auto& sandbox : *sandboxes)
          if (!workers.contains(sandbox.uid)) end_orphan(sandbox);
        begin_holder();
        break;
      }
      log::warn("kubelet", "containers cannot be listed: {}", sandboxes.error().message);
      co_await sleep_for(kRetry);
    }
    log::info("kubelet", "node {}: {} Pods", options.node_name, workers.size());
    co_await housekeeping.run([this](const std::string& uid) { return workers.contains(uid); });
  }

  void adopt_addresses(const engine::Sandbox& sandbox) {
    auto noted = sandbox.annotations.find(annotation::kPodIps);
    if (noted == sandbox.annotations.end() || sandbox.state != engine::SandboxState::ready) return;
    std::vector<std::string> addresses;
    for (std::size_t at = 0; at < noted->second.size();) {
      const auto comma = std::min(noted->second.find(',', at), noted->second.size());
      addresses.push_back(noted->second.substr(at, comma - at));
      at = comma + 1;
    }
    if (auto adopted = network.pool().adopt(sandbox.uid, addresses); !adopted)
      log::warn("kubelet", "sandbox of {}/{}: {}", sandbox.namespace_name, sandbox.name, adopted.error().message);
  }

  void end_orphan(const engine::Sandbox& sandbox) {
    log::info("kubelet", "pod {}/{} is not in the API any more: ending it", sandbox.namespace_name, sandbox.name);
    auto worker = begin(orphan_pod(sandbox));
    worker->removed({});
  }

  std::shared_ptr<PodWorker> begin(Document pod) {
    const std::string uid(client::uid_of(pod));
    auto worker = std::make_shared<PodWorker>(context, pod);
    workers[uid] = worker;
    tasks.spawn("pod " + client::object_key(pod), run_worker(worker, uid));
    return worker;
  }

  Task<> run_worker(std::shared_ptr<PodWorker> worker, std::string uid) {
    co_await worker->run();
    auto it = workers.find(uid);
    if (it != workers.end() && it->second == worker) workers.erase(it);
  }

  void on_pod(const Document& before, const Document& now) {
    if (!is_running) return;
    if (before && (!now || client::uid_of(before) != client::uid_of(now)))
      if (auto it = workers.find(std::string(client::uid_of(before))); it != workers.end()) it->second->removed(before);
    if (!now) return;
    if (auto it = workers.find(std::string(client::uid_of(now))); it != workers.end())
      it->second->update(now);
    else
      begin(now);
  }

  void on_node(const Document& now) {
    const core_v1::Node view(&now.root());
    std::vector<std::string> cidrs;
    for (const auto cidr : view.spec().podCIDRs()) cidrs.emplace_back(cidr);
    if (cidrs.empty() && !view.spec().podCIDR().empty()) cidrs.emplace_back(view.spec().podCIDR());
    if (!cidrs.empty()) tasks.spawn("pod cidrs", take_cidrs(std::move(cidrs)));
  }

  Task<> take_cidrs(std::vector<std::string> cidrs) {
    const bool was_ready = network.not_ready().empty();
    auto set = co_await network.set_pod_cidrs(cidrs);
    if (!set) log::error("kubelet", "Pod CIDR {}: {}", fmt::join(cidrs, ","), set.error().message);
    if (was_ready == network.not_ready().empty()) co_return;
    node.trigger();
    for (auto& [uid, worker] : workers) worker->wake();
  }

  Task<> watch_runtime() {
    co_await runtime.watch_events([this](const engine::RuntimeEvent& event) { on_runtime_event(event); });
  }

  // Host-network Pods do not need it to go on, but the next one to join it should not have to wait.
  void begin_holder() {
    const auto wants = [](const auto& entry) { return is_host_network(pod_view(entry.second->pod())); };
    if (holder.is_needed() && std::any_of(workers.begin(), workers.end(), wants)) tasks.spawn("network holder", keep_holder());
  }

  Task<> keep_holder() {
    auto kept = co_await holder.ensure();
    if (!kept) log::warn("kubelet", "{}", kept.error().message);
  }

  void on_runtime_event(const engine::RuntimeEvent& event) {
    if (event.kind == engine::RuntimeEvent::Kind::relist) {
      for (auto& [uid, worker] : workers) worker->wake();
      begin_holder();
      return;
    }
    if (event.is_holder) {
      if (event.kind == engine::RuntimeEvent::Kind::died) begin_holder();
      return;
    }
    if (server && event.kind != engine::RuntimeEvent::Kind::created && event.kind != engine::RuntimeEvent::Kind::started)
      server->container_ended(event.id);
    auto it = workers.find(event.pod_uid);
    if (it != workers.end()) it->second->runtime_event(event.id);
  }

  // With the status that its worker knows, which is newer than the API's.
  Document find_pod(std::string_view name_space, std::string_view name) {
    const Document listed = pod_informer.get(fmt::format("{}/{}", name_space, name));
    if (!listed) return {};
    auto it = workers.find(std::string(client::uid_of(listed)));
    return it == workers.end() ? listed : it->second->pod();
  }

  std::string health() const { return is_running ? "ok" : "containers are not known yet"; }

  KubeletOptions options;
  client::ApiClient& client;
  engine::Runtime& runtime;
  TaskGroup tasks;
  WorkerThread files;
  client::EventRecorder events;
  Objects objects;
  Images images;
  VolumeManager volumes;
  PodNetwork network;
  NetworkHolder holder;
  NodeAgent node;
  Informer pod_informer, node_informer, service_informer;
  Cgroups cgroups;
  Prober prober;
  LifecycleHooks hooks;
  WorkerContext context;
  Housekeeping housekeeping;
  std::unique_ptr<Routes> routes;
  std::unique_ptr<KubeletServer> server;
  std::map<std::string, std::shared_ptr<PodWorker>> workers;  // by UID
  bool is_running = false;
};

Kubelet::Kubelet(client::ApiClient& client, engine::Runtime& runtime, KubeletOptions options, client::ApiClient* node_reader)
    : impl_(std::make_unique<Impl>(client, runtime, std::move(options), node_reader)) {}
Kubelet::~Kubelet() = default;

Task<Result<void>> Kubelet::start() { return impl_->start(); }
Task<> Kubelet::stop() { return impl_->stop(); }
std::uint16_t Kubelet::port() const { return impl_->server ? impl_->server->port() : 0; }
std::string Kubelet::why_not_ready() const { return impl_->why_not_ready(); }
std::string Kubelet::health() const { return impl_->health(); }

}  // namespace rusternetes::kubelet
