#pragma once
// An api-server put together: store, caches, who may do what, admission, the pipeline, its listeners. Both the api-server
// program and the all-in-one process run one.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apimachinery/registry.h"
#include "api-server/request_context.h"
#include "api-server/allocation_repair_options.h"
#include "api-server/upkeep.h"
#include "base/task.h"
#include "base/worker.h"
#include "client/api_client.h"
#include "http/client.h"
#include "http/server.h"
#include "storage/store.h"

namespace rusternetes::api_server {

struct InstanceOptions {
  std::string bind_address = "0.0.0.0";
  std::uint16_t secure_port = 6443;  // 0: any free one
  std::optional<http::ServerTls> tls;  // absent: plain HTTP, which is for loopback only
  // What discovery tells clients, and where Pods find this server behind the Service "kubernetes". If empty, the bind
  // address, or, where that is every address, the one from which this host speaks to others.
  std::string advertise_address;
  std::vector<std::string> authorization_modes = {"Node", "RBAC"};
  std::vector<std::string> enable_admission_plugins, disable_admission_plugins;
  std::string token_auth_file;
  bool anonymous_auth = true;
  std::vector<std::string> service_account_issuers = {"https://kubernetes.default.svc.cluster.local"};
  std::vector<std::string> service_account_key_pems;
  std::string service_account_signing_key_pem;
  std::vector<std::string> api_audiences;
  std::vector<std::string> service_cluster_ip_ranges = {"10.96.0.0/16"};
  std::optional<http::ClientTls> kubelet_client;  // for pods/log
  bool allow_privileged = true;  // whether Pods may ask for privileged containers
  std::chrono::seconds event_ttl{3600};  // how long an Event lives after its last write; 0: for ever
  std::chrono::milliseconds request_timeout{60'000};
  UpkeepOptions upkeep;
  AllocationRepairOptions allocation_repair;
  const Clock* clock = &Clock::system();  // outlives the instance; of objects' times, and of when Events end
  int io_threads = 2;
  std::size_t max_requests_inflight = 400, max_mutating_requests_inflight = 200;
  // Whether client certificates of this group are cluster administrators by a binding of ours (kubeadm's scheme).
  std::string admin_group;
  // What this cluster holds beside what every one does, addresses of its own programs for one. Looked for at
  // each start.
  struct Addon {
    client::Resource resource;
    apimachinery::Document object;
    bool is_left_alone = false;  // once there; else it is written over where it says something else
  };
  std::vector<Addon> addons;
};

class Instance {
 public:
  // `store` outlives the instance.
  Instance(storage::Store& store, InstanceOptions options);
  ~Instance();

  // Loads the caches, listens, writes what a new cluster holds. Blocking.
  Result<void> start();
  // A further listening socket, made in another network namespace; owned from here on. After start().
  Result<void> adopt_listener(int fd);
  // Run-time kinds come or go: caches, routes, discovery and OpenAPI follow (invariant 2). Blocking; from any thread.
  Result<void> set_registry(std::shared_ptr<const apimachinery::Registry> registry);
  // Lets what is under way end, for at most `grace`. Blocking.
  void stop(std::chrono::milliseconds grace);
  std::uint16_t port() const;

  // An identity of this process; calls and results on `executor`. Ends before stop().
  std::unique_ptr<client::ApiClient> make_client(User user, asio::any_io_executor executor, std::string user_agent);
  static User service_account(std::string_view name_space, std::string_view name);
  static User node(std::string_view name);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes::api_server
