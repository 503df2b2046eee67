#pragma once
// The Service "kubernetes" of the namespace "default", by which Pods reach the API, and who stands behind it: each
// api-server keeps a lease below /registry/masterleases/ in the store, and each writes the Endpoints and the EndpointSlice of
// all that have one (the lease reconciler of kube-apiserver, pkg/controlplane/reconcilers/lease.go).

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "client/api_client.h"
#include "storage/store.h"

namespace rusternetes::api_server {

struct KubernetesServiceOptions {
  // Where Pods reach this server; a numeric address. With an empty one, or one of loopback, which no endpoint may have,
  // the Service is kept but this server does not stand behind it.
  std::string advertise_address;
  std::uint16_t port = 0;
  std::string service_range;  // "10.96.0.0/16": its first address is the Service's
  std::chrono::seconds interval{10};
  std::chrono::seconds lease_ttl{15};  // after so long without a word a server that died is left out
};

class KubernetesService {
 public:
  // `store` outlives it; `client` may do anything.
  KubernetesService(storage::Store& store, std::unique_ptr<client::ApiClient> client, KubernetesServiceOptions options);

  // Once, and from then on every interval. The Service's ports are put right the first time only: they may be changed.
  Task<Result<void>> reconcile();
  void start();
  // This server leaves the others' lists; the last one stays, since a cluster without an API has no better answer.
  Task<> stop();

 private:
  Task<> run();
  Task<Result<void>> try_reconcile();
  bool stands_behind() const;
  Task<Result<void>> keep_lease();
  Task<Result<void>> grant_lease();
  Task<Result<std::vector<std::string>>> servers();
  Task<Result<void>> ensure_service();
  Task<Result<void>> ensure_endpoints();

  storage::Store& store_;
  std::unique_ptr<client::ApiClient> client_;
  KubernetesServiceOptions options_;
  storage::LeaseId lease_ = 0;
  bool has_ports_ = false;
  std::string problem_;  // told once
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_server
