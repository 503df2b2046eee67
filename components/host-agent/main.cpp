// host-agent: what a host holds for a cluster whose nodes are containers. Runs in the host's network, with
// the right to change it.

#include <CLI/CLI.hpp>
#include <iostream>

#include "host-agent/flags.h"
#include "host-agent/host_agent.h"
#include "network/host_side.h"
#include "program/program.h"

using namespace rusternetes;

namespace {

class AgentService final : public program::Service {
 public:
  AgentService(const program::ClientMaker& clients, const network::NetworkNamespace& host,
               const host_agent::HostAgentOptions& options, host_agent::HostKeeper keeper)
      : agent_(clients.make(), host, options, std::move(keeper)) {}
  void start() override { agent_.start(); }
  Task<> stop() override { co_await agent_.stop(); }

 private:
  host_agent::HostAgent agent_;
};

void add_flags(CLI::App& app, program::CommonFlags& common, host_agent::Flags& flags, bool& is_cleanup) {
  app.allow_extras();
  app.add_option("--kubeconfig", common.kubeconfig, "How to reach the API, and as whom");
  app.add_option(
         "--master", common.masters,
         "Address of the API instead of the kubeconfig's; several, by commas, stand in for each other")
      ->delimiter(',');
  app.add_option("--cluster-name", flags.cluster_name, "Tells clusters of one host apart")
      ->capture_default_str();
  app.add_option("--network-cidr", flags.network_cidrs,
                 "Range of the engine's network on which the nodes are")
      ->delimiter(',');
  app.add_option("--gateway", flags.gateways, "The host's address in that network")->delimiter(',');
  app.add_option("--bridge", flags.bridge,
                 "The network's bridge on the host; default: the link with the gateway's address");
  app.add_option("--cluster-cidr", flags.cluster_cidrs, "Range of the Pods of all nodes")->delimiter(',');
  app.add_option("--service-cluster-ip-range", flags.service_ranges,
                 "Ranges of Services' addresses, beside those of the API's ServiceCIDRs")
      ->delimiter(',');
  app.add_option("--service-cidr-condition", flags.service_cidr_condition,
                 "Type of the condition that a ServiceCIDR gets when nothing of it can leave the host "
                 "untranslated; default: none");
  app.add_option("--publish", flags.publish,
                 "HOST:NODEPORT: a port of the host that stands for a NodePort; may be repeated")
      ->delimiter(',');
  app.add_flag("--cleanup", is_cleanup,
               "Remove all that the agent of this cluster has put on the host, and exit");
  app.add_option("-v,--v", common.verbosity, "Verbosity of the log; from 4 on, details")
      ->capture_default_str();
}

int fail(const Status& status) {
  std::cerr << "host-agent: " << status.message << "\n";
  return 1;
}

int clean_up(const network::NetworkNamespace& host, const host_agent::Flags& flags) {
  if (const auto checked = host_agent::check_cluster_name(flags); !checked) return fail(checked.error());
  const auto done = network::remove_cluster_host_side(host, flags.cluster_name);
  return done ? 0 : fail(done.error());
}

}  // namespace

int main(int argc, char** argv) {
  program::block_signals();
  program::CommonFlags common;
  common.leader_elect = false;  // every host has one of its own
  host_agent::Flags flags;
  bool is_cleanup = false;
  CLI::App app{"Keeps a host's routes and rules for a cluster whose nodes are containers", "host-agent"};
  app.footer(
      "Example:\n  host-agent --kubeconfig /etc/kubernetes/host-agent.conf --network-cidr 10.214.3.0/24 \\\n"
      "    --gateway 10.214.3.1 --cluster-cidr 10.244.0.0/16 --service-cluster-ip-range 10.96.0.0/16 \\\n"
      "    --publish 8080:30080\n  host-agent --cleanup --cluster-name demo");
  add_flags(app, common, flags, is_cleanup);
  if (const auto code = program::parse(app, argc, argv, {})) return *code;
  const auto host = network::NetworkNamespace::current();
  if (!host) return fail(host.error());
  if (is_cleanup) return clean_up(*host, flags);
  const auto options = host_agent::options_of(flags);
  if (!options) return fail(options.error());
  // Without the rights to it the program ends here.
  if (auto probe = host_agent::HostKeeper::open(*host, *options); !probe) return fail(probe.error());
  auto make = [&](const program::ClientMaker& clients) -> std::unique_ptr<program::Service> {
    auto keeper = host_agent::HostKeeper::open(*host, *options);
    RN_ASSERT(keeper, "a socket for questions to nftables");
    return std::make_unique<AgentService>(clients, *host, *options, *std::move(keeper));
  };
  return program::run("host-agent", "host-agent", std::move(common), make);
}
