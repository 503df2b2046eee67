// kubelet: the node agent as a program of its own. The flags are kubelet's own where it has them.

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "apimachinery/registry.h"
#include "base/log.h"
#include "base/open_files.h"
#include "base/release.h"
#include "client/remote_client.h"
#include "engine/detect.h"
#include "kubelet/kubelet.h"
#include "kubelet/mount_namespace.h"
#include "pause/embedded_pause.h"
#include "uplink/uplink_watch.h"

using namespace rusternetes;

namespace {

struct Flags {
  std::string kubeconfig, node_kubeconfig, runtime_endpoint, engine, pause_image = "localhost/rusternetes/pause:1";
  std::string serving_certificate, serving_key, client_ca, host_network_container, mount_namespace;
  client::RemoteOptions api, node_reader;  // of the kubeconfigs
  std::vector<std::string> masters, labels, cluster_dns, node_dns;
  int verbosity = 0;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return internal_error(fmt::format("cannot read {}", path));
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

constexpr std::chrono::milliseconds kLeastRetry{100}, kMostRetry{2'000};

// Blocked before any thread begins, so that all inherit it.
sigset_t end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

bool is_told_to_end() {
  const sigset_t signals = end_signals();
  const timespec now{};
  return ::sigtimedwait(&signals, nullptr, &now) > 0;
}

// Null where there is none to watch.
Result<std::unique_ptr<uplink::UplinkWatch>> watch_uplink(const kubelet::KubeletOptions& options) {
  if (options.uplink.empty()) return std::unique_ptr<uplink::UplinkWatch>();
  RN_TRY(const auto node, options.netns_path.empty() ? network::NetworkNamespace::current()
                                                     : network::NetworkNamespace::open(options.netns_path));
  return uplink::end_without(node, options.uplink, "kubelet");
}

std::string host_name() {
  char text[256] = {};
  ::gethostname(text, sizeof text - 1);
  return text;
}

void add_flags(CLI::App& app, Flags& flags, kubelet::KubeletOptions& options) {
  app.add_option("--kubeconfig", flags.kubeconfig, "How to reach the API, as system:node:NAME")->required();
  app.add_option("--master", flags.masters,
                 "Address of the API instead of the kubeconfig's; several, by commas, stand in for each "
                 "other")
      ->delimiter(',');
  app.add_option("--routes-kubeconfig", flags.node_kubeconfig, "An identity that may list Nodes: keeps routes to the other nodes' Pods");
  app.add_option("--hostname-override", options.node_name, "Name of the node; default: the host's name");
  app.add_option("--node-ip", options.node_ip, "Address of the node; default: that of the link with the default route");
  app.add_option("--root-dir", options.root_dir, "Folder of the kubelet")->capture_default_str();
  app.add_option("--pod-log-dir", options.log_dir, "Folder of the containers' logs")->capture_default_str();
  app.add_option("--cgroup-root", options.cgroup_root, "Cgroup above kubepods");
  app.add_option("--address", options.bind_address, "Address of the kubelet's server; default: the node's");
  app.add_option("--port", options.port, "Port of the kubelet's server")->capture_default_str();
  app.add_option("--tls-cert-file", flags.serving_certificate, "Certificate of the server; without it there is none");
  app.add_option("--tls-private-key-file", flags.serving_key, "Its key");
  app.add_option("--client-ca-file", flags.client_ca, "Who signs clients' certificates");
  app.add_option("--register-node", options.register_node, "Make the Node object when it is missing")->capture_default_str();
  app.add_option("--node-labels", flags.labels, "key=value, labels of the Node")->delimiter(',');
  app.add_option("--max-pods", options.max_pods, "Most Pods of the node")->capture_default_str();
  app.add_option("--cluster-dns", flags.cluster_dns, "Servers of Pods' resolv.conf")->delimiter(',');
  app.add_option("--node-dns", flags.node_dns, "Servers of Pods that get the node's resolv.conf, where that names only loopback ones; default: --cluster-dns")->delimiter(',');
  app.add_option("--cluster-domain", options.cluster_domain, "Domain of the cluster")->capture_default_str();
  app.add_option("--resolv-conf", options.resolv_conf, "The node's own resolv.conf")->capture_default_str();
  app.add_option("--container-runtime-endpoint", flags.runtime_endpoint, "The engine's API socket; default: where it usually is");
  app.add_option("--engine", flags.engine, "podman or docker; default: whichever runs");
  app.add_option("--pod-infra-container-image", flags.pause_image, "Image of sandboxes")->capture_default_str();
  app.add_option("--cluster-name", options.cluster, "Tells clusters of one host apart")->capture_default_str();
  app.add_option("--cluster-cidr", options.cluster_cidrs, "Ranges of the cluster that Pods reach with their own address")->delimiter(',');
  app.add_option("--non-masquerade-cidr", options.no_masquerade_cidrs, "Ranges and addresses beside --cluster-cidr that Pods reach with their own address: the host's, for one")->delimiter(',');
  app.add_option("--service-cluster-ip-range", options.service_ranges, "Ranges of Services: no Pod is begun before the node drops what is left untranslated of them, as kube-proxy has it do")->delimiter(',');
  app.add_option("--node-netns", options.netns_path, "The node's network namespace; default: that of the process");
  app.add_option("--node-uplink", options.uplink,
                 "The node's link to the outside: without it for 2 s the kubelet ends with code 1, so that "
                 "who restarts it puts it into the node's new namespace; empty: the host is the node")
      ->capture_default_str();
  app.add_option("--host-network-container", flags.host_network_container, "Container whose network is that of host-network Pods; default: with --node-netns one that the kubelet makes, else the host's");
  app.add_option("--mount-namespace", flags.mount_namespace, "Mount namespace to work in, such as /proc/1/ns/mnt, the host's, for a kubelet in a container; kubeconfigs and certificates are read before");
  app.add_option("-v,--v", flags.verbosity, "Verbosity of the log; from 4 on, details")->capture_default_str();
}

// Before any thread begins.
Result<void> complete(Flags& flags, kubelet::KubeletOptions& options) {
  RN_TRY(flags.api, client::read_kubeconfig(flags.kubeconfig));
  if (!flags.node_kubeconfig.empty()) {
    RN_TRY(flags.node_reader, client::read_kubeconfig(flags.node_kubeconfig));
  }
  if (options.node_name.empty()) options.node_name = host_name();
  options.cluster_dns = flags.cluster_dns;
  options.node_dns = flags.node_dns;
  for (const auto& label : flags.labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos) return internal_error(fmt::format("--node-labels: {} is not key=value", label));
    options.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (flags.serving_certificate.empty() != flags.serving_key.empty())
    return internal_error("--tls-cert-file and --tls-private-key-file go together");
  if (!flags.serving_certificate.empty()) {
    RN_TRY(options.serving_certificate_pem, read_file(flags.serving_certificate));
    RN_TRY(options.serving_key_pem, read_file(flags.serving_key));
  }
  if (!flags.client_ca.empty()) {
    RN_TRY(options.client_ca_pem, read_file(flags.client_ca));
  }
  if (!flags.host_network_container.empty() || !options.netns_path.empty()) {
    options.host_network = engine::SandboxNetwork::container;
    options.holder_container = flags.host_network_container;
  }
  return flags.mount_namespace.empty() ? Result<void>() : kubelet::enter_mount_namespace(flags.mount_namespace);
}

// Everything of one node, on one thread.
class Program {
 public:
  Program(Flags flags, kubelet::KubeletOptions options) : flags_(std::move(flags)), options_(std::move(options)) {}

  Result<void> start() {
    Result<void> outcome;
    run_blocking(thread_.executor(), run(outcome));
    return outcome;
  }
  // Why start() failed: there is nothing to tell.
  bool was_told_to_end() const { return is_told_to_end_; }
  void stop() {
    run_blocking(thread_.executor(), end());
    thread_.stop();
  }

 private:
  Result<std::unique_ptr<client::ApiClient>> make_client(client::RemoteOptions remote) {
    remote.user_agent = "kubelet";
    if (!flags_.masters.empty()) remote.servers = flags_.masters;
    return client::make_remote_client(thread_.executor(), std::move(remote), apimachinery::Registry::builtin());
  }

  // Started before the engine, or while that one restarts, it is waited for.
  Task<Result<std::unique_ptr<engine::Engine>>> find_engine() {
    engine::DetectOptions detect;
    if (flags_.engine == "podman") detect.kind = engine::EngineKind::podman;
    if (flags_.engine == "docker") detect.kind = engine::EngineKind::docker;
    detect.socket_path = flags_.runtime_endpoint.starts_with("unix://") ? flags_.runtime_endpoint.substr(7) : flags_.runtime_endpoint;
    for (auto pause = kLeastRetry;; pause = std::min(pause * 2, kMostRetry)) {
      if ((is_told_to_end_ = is_told_to_end())) break;
      auto found = co_await engine::detect_engine(thread_.executor(), detect);
      if (found || !found.error().is(engine::reason::kUnreachable)) co_return found;
      if (pause == kLeastRetry)
        log::warn("kubelet", "waiting for the container engine: {}", found.error().message);
      co_await sleep_for(pause);
    }
    co_return internal_error("told to end before there was a container engine");
  }

  Task<> run(Result<void>& outcome) {
    auto found = co_await find_engine();
    if (!found) {
      outcome = found.error();
      co_return;
    }
    engine_ = *std::move(found);
    engine::RuntimeOptions runtime;
    runtime.owner = fmt::format("{}/{}", options_.cluster, options_.node_name);
    runtime.pause_image = flags_.pause_image;
    const auto pause = pause_binary();
    runtime.pause_program.assign(reinterpret_cast<const char*>(pause.data()), pause.size());
    runtime_ = engine::make_runtime(*engine_, std::move(runtime));
    auto client = make_client(flags_.api);
    if (!client) {
      outcome = client.error();
      co_return;
    }
    client_ = *std::move(client);
    if (!flags_.node_kubeconfig.empty()) {
      auto reader = make_client(flags_.node_reader);
      if (!reader) {
        outcome = reader.error();
        co_return;
      }
      node_reader_ = *std::move(reader);
    }
    kubelet_ = std::make_unique<kubelet::Kubelet>(*client_, *runtime_, options_, node_reader_.get());
    outcome = co_await kubelet_->start();
  }

  Task<> end() {
    if (kubelet_) co_await kubelet_->stop();
    kubelet_.reset();
    runtime_.reset();
    engine_.reset();
    node_reader_.reset();
    client_.reset();
  }

  Flags flags_;
  kubelet::KubeletOptions options_;
  bool is_told_to_end_ = false;
  EventThread thread_{"kubelet"};
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<engine::Runtime> runtime_;
  std::unique_ptr<client::ApiClient> client_, node_reader_;
  std::unique_ptr<kubelet::Kubelet> kubelet_;
};

}  // namespace

int main(int argc, char** argv) {
  raise_open_files();
  const sigset_t signals = end_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  Flags flags;
  kubelet::KubeletOptions options;
  CLI::App app{"The node agent: runs the Pods that are bound to its node", "kubelet"};
  app.footer("Example:\n  kubelet --kubeconfig /etc/kubernetes/kubelet.conf --hostname-override node-1 --node-ip 10.213.0.2");
  add_flags(app, flags, options);
  app.set_version_flag("--version", version_line(app.get_name()));
  CLI11_PARSE(app, argc, argv);
  if (flags.verbosity >= 4) log::set_level(log::Level::debug);
  if (auto completed = complete(flags, options); !completed) {
    std::cerr << "kubelet: " << completed.error().message << "\n";
    return 1;
  }
  const auto watch = watch_uplink(options);
  if (!watch) {
    std::cerr << "kubelet: " << watch.error().message << "\n";
    return 1;
  }
  Program program(std::move(flags), std::move(options));
  auto started = program.start();
  if (!started && !program.was_told_to_end())
    std::cerr << "kubelet: " << started.error().message << "\n";
  else if (started) {
    int received = 0;
    sigwait(&signals, &received);
    log::info("kubelet", "stopping; Pods run on");
  }
  program.stop();
  return started || program.was_told_to_end() ? 0 : 1;
}
