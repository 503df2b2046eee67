#pragma once
// A host with an engine's bridge, as a cluster in containers has it: two nodes with a Pod each and an
// api-server on the bridge, and the world outside. Every container, and the host, is a namespace.

#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host-agent/host_agent.h"
#include "host_lines.h"
#include "memory_api.h"
#include "network/namespace.h"
#include "network/nft.h"
#include "world.h"

namespace rusternetes::host_agent::testing {

using kube_proxy::testing::MemoryApi;
using network::NetworkNamespace;
using namespace network::testing;

Result<std::string> nft(const NetworkNamespace& where, const std::string& commands);
// Polls until it holds.
bool eventually(const std::function<bool()>& holds,
                std::chrono::milliseconds limit = std::chrono::milliseconds(5000));

// A bridge of the host; containers get addresses of `network`.0/24, whose .1 is the host's.
class BridgeNetwork {
 public:
  BridgeNetwork(NetworkNamespace host, std::string bridge, const std::string& network);
  NetworkNamespace add_container(int number);
  IpAddress address(int number) const { return *IpAddress::parse(network_ + "." + std::to_string(number)); }
  IpPrefix range() const { return *IpPrefix::parse(network_ + ".0/24"); }
  const std::string& bridge() const { return bridge_; }

 private:
  NetworkNamespace host_;
  std::string bridge_, network_;
};

struct BridgeWorld {
  // `pods`: "10.244" for 10.244.1.2 and 10.244.2.2, the Pods of the two nodes. 10.96.0.10 is a Service that
  // both nodes answer for.
  explicit BridgeWorld(std::string bridge = "podman1");

  NetworkNamespace outside = new_namespace(), host = new_namespace();
  BridgeNetwork network;
  NetworkNamespace node1, node2, api;

  HostAgentOptions options() const;
  // What netavark (1.4) has for a network: its packets get the host's address on their way elsewhere.
  void masquerade_as_netavark() const;
  // As Docker does when it turned forwarding on.
  void forbid_forwarding() const;
  std::string docker_user() const { return nft(host, "list chain ip filter DOCKER-USER").value(); }
  // The gateway of the host's route to exactly this range; of the cluster's own, unless another protocol is
  // named.
  std::string route(const char* range, int protocol = network::cluster_route_protocol) const;
  bool is_dropped(const char* range) const;
};

// A Node and a ServiceCIDR as the API has them.
client::Document node_object(const std::string& name, const IpAddress& address, const std::string& pods,
                             bool is_ready = true);
client::Document service_cidr(const std::string& name, const std::string& range,
                              const std::string& condition = {});

// The agent on a thread of its own in the world's host, over an API in memory.
class Agent {
 public:
  Agent(const NetworkNamespace& host, const HostAgentOptions& options);
  ~Agent();
  void start();
  void stop();
  void set(const std::string& resource, const client::Document& object);
  void remove(const std::string& resource, const std::string& name);
  // The API is not to be read until it is allowed again.
  void forbid(bool is_forbidden);
  HostKeeper::Report report();
  // The reasons of the events that were recorded.
  std::vector<std::string> events();
  // The patches of ServiceCIDRs' status, of which the first is refused: NAME, and of what was dropped by then
  // NAME dropped. An accepted one has the condition from then on.
  std::vector<std::string> confirmed();

 private:
  void on_thread(const std::function<void()>& work);
  Result<client::Document> confirm(const std::string& resource, const std::string& name, const std::string& body);
  NetworkNamespace host_;
  HostAgentOptions options_;
  EventThread thread_;
  std::shared_ptr<MemoryApi::Shared> api_;
  std::vector<std::string> confirmed_;
  std::unique_ptr<HostAgent> agent_;
};

}  // namespace rusternetes::host_agent::testing
