#include "rusternetes/node.h"

#include <fmt/format.h>

#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "base/log.h"
#include "engine/detect.h"
#include "engine/engine.h"
#include "engine/runtime.h"
#include "kubelet/kubelet.h"
#include "pause/embedded_pause.h"
#include "rusternetes/idle_cgroups.h"

namespace rusternetes {

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

  kubelet::KubeletOptions kubelet_options() const;
  Task<> run(Result<void>& outcome);
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
  } else {
    out.uplink.clear();
  }
  out.cluster_cidrs = split_list(options.pod_cidr);
  for (const auto& range : split_list(options.service_cluster_ip_range)) out.cluster_cidrs.push_back(range);
  out.no_masquerade_cidrs = split_list(options.host_address);
  out.serving_certificate_pem = pki.kubelet_certificate_pem;
  out.serving_key_pem = pki.kubelet_key_pem;
  out.client_ca_pem = pki.ca_pem;
  if (!options.has_own_node()) out.port = 0;  // several clusters may share the host
  return out;
}

Task<> Node::Impl::run(Result<void>& outcome) {
  const auto executor = thread->executor();
  engine::DetectOptions detect;
  if (options.engine == "podman") detect.kind = engine::EngineKind::podman;
  if (options.engine == "docker") detect.kind = engine::EngineKind::docker;
  detect.socket_path = options.engine_socket;
  auto found = co_await engine::detect_engine(executor, detect);
  if (!found) {
    outcome = found.error();
    co_return;
  }
  engine = std::move(*found);
  engine::RuntimeOptions runtime_options;
  runtime_options.owner = fmt::format("{}/{}", options.cluster_name, options.node_name);
  const auto pause = pause_binary();
  runtime_options.pause_program.assign(reinterpret_cast<const char*>(pause.data()), pause.size());
  runtime = engine::make_runtime(*engine, std::move(runtime_options));
  client = api.make_client(api_server::Instance::node(options.node_name), executor, "kubelet");
  node_reader = api.make_client(api_server::Instance::service_account("kube-system", "node-controller"),
                                executor, "kubelet");
  kubelet = std::make_unique<kubelet::Kubelet>(*client, *runtime, kubelet_options(), node_reader.get());
  outcome = co_await kubelet->start();
}

Result<void> Node::start() {
  Impl& i = *impl_;
  i.thread = std::make_unique<EventThread>("node");
  Result<void> outcome;
  run_blocking(i.thread->executor(), i.run(outcome));
  return outcome;
}

Task<> Node::Impl::end() {
  if (kubelet) co_await kubelet->stop();
  kubelet.reset();
  runtime.reset();
  engine.reset();
  client.reset();
  node_reader.reset();
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
