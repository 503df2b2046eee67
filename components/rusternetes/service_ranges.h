#pragma once
// ServiceCIDRs that users add: what their addresses need on the node and on its host stands before the first
// of them is given out, and goes when they have gone (network/service_ranges.h). The controller says when.

#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "base/worker.h"
#include "client/api_client.h"
#include "controller-manager/service_cidr_guard.h"
#include "network/node_link.h"
#include "rusternetes/node_setup.h"
#include "rusternetes/options.h"

namespace rusternetes {

class ServiceRanges final : public controller_manager::ServiceCidrGuard {
 public:
  static Result<std::shared_ptr<ServiceRanges>> make(const ProcessOptions& options, const NodeSetup& setup);

  // Those of the flags and those that stand for the API. From any thread.
  std::vector<network::IpPrefix> all() const;

  // A range that the host or the Pods use is refused (AlreadyExists, BadRequest): nothing of it stands then.
  Task<Result<void>> stand(std::vector<apimachinery::Cidr> blocks) override;
  Task<Result<void>> retain(std::vector<apimachinery::Cidr> blocks) override;
  // Before any Pod of the node has its network: those of the store. What cannot stand is logged.
  Task<> stand_known(client::ApiClient& client);

 private:
  ServiceRanges(network::NodeLink link, network::NetworkNamespace host, network::NetworkNamespace node);
  bool is_of_flags(const network::IpPrefix& range) const;
  Result<void> stand_one(const network::IpPrefix& range);

  const network::NodeLink link_;  // service_ranges: those of the flags
  const network::NetworkNamespace host_, node_;
  mutable std::mutex mutex_;
  std::set<network::IpPrefix> added_;
  WorkerThread worker_{"service-ranges"};
};

}  // namespace rusternetes
