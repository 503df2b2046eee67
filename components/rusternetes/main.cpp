// rusternetes: a whole cluster in one process. The launcher starts it under its supervisor; by hand,
// --data-dir is enough.

#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <thread>

#include "base/log.h"
#include "base/open_files.h"
#include "base/release.h"
#include "rusternetes/process.h"

using namespace rusternetes;

namespace {
// Of twenty threads few allocate at a time. With an arena for each, what they freed stays with them: 40 MB idle instead of 36.
void bound_arenas() { ::mallopt(M_ARENA_MAX, static_cast<int>(std::max(2U, std::thread::hardware_concurrency() / 2))); }
}  // namespace

int main(int argc, char** argv) {
  raise_open_files();
  bound_arenas();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);                // its terminal is closed: links and rules must not stay
  sigprocmask(SIG_BLOCK, &signals, nullptr);  // before any thread, so that all inherit it
  signal(SIGPIPE, SIG_IGN);
  ProcessOptions options;
  CLI::App app{"A Kubernetes-compatible cluster in one process, on an embedded SQLite store", "rusternetes"};
  app.footer(
      "Example:\n  rusternetes --data-dir /var/lib/my-cluster\n  KUBECONFIG=/var/lib/my-cluster/kubeconfig "
      "kubectl get nodes");
  app.add_option("--data-dir", options.data_dir,
                 "Folder of the store, and of what is made when it is missing")
      ->required();
  app.add_option("--cluster-name", options.cluster_name,
                 "Name of the cluster; tells clusters of one host apart; default: one made of DATA_DIR");
  app.add_option("--pki-dir", options.pki_dir,
                 "Certificates, in kubeadm's file names; default: DATA_DIR/pki");
  app.add_option("--root-dir", options.root_dir, "The kubelet's folder; default: DATA_DIR/kubelet");
  app.add_option("--bind-address", options.bind_address, "Address of the API")->capture_default_str();
  app.add_option("--secure-port", options.secure_port, "Port of the API; 0 takes a free one")
      ->capture_default_str();
  app.add_flag("--tls", options.tls, "--tls=false: plain HTTP, on loopback only; tokens are still asked for")
      ->default_str("true");
  app.add_option("--pod-cidr", options.pod_cidr,
                 "Where Pods' addresses come from; default: a free range, 10.244.0.0/16 at best");
  app.add_option("--service-cluster-ip-range", options.service_cluster_ip_range,
                 "Where Services' addresses come from; default: a free range, 10.96.0.0/16 at best");
  app.add_option("--node-name", options.node_name, "Name of the node; default: the host's name");
  app.add_option("--node-network", options.node_network,
                 "own: a network namespace for the node; host: the host is the node")
      ->capture_default_str();
  app.add_option("--node-netns", options.node_netns,
                 "The node's namespace, as /proc/PID/ns/net; default: one is made");
  app.add_option("--node-address", options.node_address,
                 "The node's address; default: a free one of 10.213.0.0/16");
  app.add_option("--host-address", options.host_address,
                 "The host's address as the node sees it; default: the one before the node's");
  app.add_option("--publish", options.publish, "HOST:NODEPORT: a port of every address of the host that stands for a port of the node; may be repeated");
  app.add_flag("--network-policy", options.network_policy, "--network-policy=false: NetworkPolicies are not served, and their rules are removed")
      ->default_str("true");
  app.add_option("--engine", options.engine, "podman or docker; default: whichever runs");
  app.add_option("--engine-socket", options.engine_socket, "The engine's API socket");
  app.add_option("-v,--v", options.verbosity, "Verbosity of the log; from 4 on, details")
      ->capture_default_str();
  app.set_version_flag("--version", version_line(app.get_name()));
  CLI11_PARSE(app, argc, argv);
  if (options.verbosity >= 4) log::set_level(log::Level::debug);
  if (auto completed = complete(options); !completed) {
    std::cerr << "rusternetes: " << completed.error().message << "\n";
    return 1;
  }
  Process process(std::move(options));
  if (auto started = process.start(); !started) {
    std::cerr << "rusternetes: " << started.error().message << "\n";
    return 1;
  }
  int received = 0;
  sigwait(&signals, &received);
  log::info("rusternetes", "stopping");
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one does not wait
  process.stop();
  return 0;
}
