#pragma once
// The node's network as the kubelet keeps it: Pods' addresses and wires, the node's kernel settings, the rule by which Pods
// reach the outside, and routes to other nodes' Pods. Everything that blocks runs on one worker thread.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/worker.h"
#include "kubelet/node/ip_pool.h"
#include "kubelet/options.h"
#include "network/namespace.h"
#include "network/masquerade.h"
#include "network/pod_cidr_routes.h"
#include "network/rule_keeper.h"

namespace rusternetes::kubelet {

class PodNetwork {
 public:
  // Fills in options.node_ip when it is empty.
  explicit PodNetwork(KubeletOptions& options);
  ~PodNetwork();

  // Opens the node's namespace and prepares it. An error here is one of the environment.
  Task<Result<void>> start();
  // From the Node. Loads the masquerade rule for them, which is kept from then on; Pods get addresses once it stands. After a failure, which
  // not_ready() tells, call again: the same CIDRs are tried again.
  Task<Result<void>> set_pod_cidrs(std::vector<std::string> cidrs);
  // Returns once the node drops what is left untranslated of options.service_ranges.
  Task<> wait_for_service_drop();
  // Empty when Pods can be wired; else why not.
  std::string not_ready() const;

  IpPool& pool() { return pool_; }
  Task<Result<void>> wire(std::string pod_uid, std::vector<std::string> addresses, std::string netns_path);
  Task<Result<void>> unwire(std::string pod_uid);
  // UIDs of the cluster's Pods that have a wire.
  Task<Result<std::vector<std::string>>> wired();
  Task<Result<void>> sync_routes(std::vector<network::PodCidrRoute> routes);

  // Whether it is the node's own namespace ("/proc/PID/ns/net"). No: another one, or none since its process has ended.
  // An error tells nothing of it: no descriptor or memory was left.
  Result<bool> check_node(const std::string& netns_path) const;
  // The same for those who end a Pod on a no: true when it cannot be told.
  bool is_node(const std::string& netns_path) const;
  // The node's namespace as any process of the PID namespace can open it, for as long as what pins it lives.
  std::string pinned_path() const;

  // A listening TCP socket in the node's namespace.
  Task<Result<int>> listen(std::string address, std::uint16_t port);

 private:
  Task<Result<void>> load_masquerade(std::vector<std::string> cidrs);
  Task<Result<void>> hear_of_service_drop(std::vector<network::IpPrefix> ranges);
  KubeletOptions& options_;
  IpPool pool_;
  std::vector<std::string> cidrs_;
  std::shared_ptr<const network::NetworkNamespace> node_;
  int mtu_ = 0;
  std::vector<network::IpPrefix> service_ranges_;
  std::string missing_drop_;  // what is waited for
  std::string failure_ = "the node's network is not prepared yet";
  std::unique_ptr<WorkerThread> worker_;
  std::unique_ptr<network::RuleKeeper> keeper_;
};

// The port a listening socket is bound to.
std::uint16_t port_of(int fd);

}  // namespace rusternetes::kubelet
