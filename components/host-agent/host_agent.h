#pragma once
// The loop of a cluster's host: hears of Nodes and ServiceCIDRs, and of what anybody changes in the host's
// rules, links and routes, and has the host's side brought to what it should be. It begins with what its
// flags say, before any api-server answers; when it stops, everything stays.

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/worker.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "host-agent/host_keeper.h"
#include "network/port_forwarder.h"

namespace rusternetes::host_agent {

class HostAgent {
 public:
  // Acts as the identity of `client` (system:host-agent), on its executor, whose thread is in the host's
  // namespace: the published ports listen there. `keeper` is of that namespace, too.
  HostAgent(std::unique_ptr<client::ApiClient> client, network::NetworkNamespace host,
            HostAgentOptions options, HostKeeper keeper);
  ~HostAgent();
  void start();
  Task<> stop();

  // Of the last look; empty before the first.
  const HostKeeper::Report& report() const { return report_; }
  int looks() const { return looks_; }

 private:
  ClusterState state() const;
  Task<> run();
  Task<> look();
  void tell();
  Task<bool> confirm_ranges();
  struct Kind {
    const char *name, *api_version, *reason;  // the reason of its events
  };
  void tell_problems(const Kind& kind, const client::Informer& mirror, const std::vector<Problem>& problems,
                     std::set<Problem>& told);
  Task<> heard(client::Informer& mirror);
  template <class Events>
  Task<> watch_kernel();

  std::unique_ptr<client::ApiClient> client_;
  network::NetworkNamespace host_;
  HostAgentOptions options_;
  client::Informer nodes_, service_cidrs_;
  client::EventRecorder events_;
  HostKeeper keeper_;
  network::PortForwarder forwarder_;
  HostKeeper::Report report_;
  std::vector<IpAddress> forward_to_;
  std::set<Problem> told_failures_, told_nodes_, told_ranges_;
  std::string told_bridge_;
  std::vector<IpAddress> told_entries_;
  std::chrono::steady_clock::time_point busy_until_{};
  int looks_ = 0, failures_ = 0;  // failures: looks in a row
  WorkerThread worker_;           // after the keeper, which is its alone
  AsyncEvent wake_;
  TaskGroup tasks_;
};

// A Node and a ServiceCIDR as they matter here.
NodeState node_state(const client::Document& node);
std::vector<AddedRange> added_ranges(const client::Document& service_cidr);

}  // namespace rusternetes::host_agent
