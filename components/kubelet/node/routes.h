#pragma once
// Routes from this node to the Pods of the others, kept from the Nodes' addresses and Pod CIDRs.

#include <vector>

#include "client/informer.h"
#include "kubelet/node/pod_network.h"

namespace rusternetes::kubelet {

// One route for each Pod CIDR of another node that has an address of the same family.
std::vector<network::PodCidrRoute> routes_to(const std::vector<apimachinery::Document>& nodes, std::string_view own_name);

class Routes {
 public:
  Routes(client::ApiClient& client, const KubeletOptions& options, PodNetwork& network);
  void start(TaskGroup& tasks);

 private:
  Task<> run();
  const KubeletOptions& options_;
  PodNetwork& network_;
  client::Informer nodes_;
  AsyncEvent changed_;
};

}  // namespace rusternetes::kubelet
