#include "api-server/kubernetes_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "api-server/initial_objects.h"
#include "api-server/storage_codec.h"
#include "api-server/store_call.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/cidr.h"
#include "apimachinery/edit.h"
#include "base/log.h"
#include "client/ensure.h"
#include "client/object_builder.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

constexpr client::Resource namespaces{"", "v1", "namespaces"}, services{"", "v1", "services"}, endpoints{"", "v1", "endpoints"},
    slices{"discovery.k8s.io", "v1", "endpointslices"};
constexpr std::string_view leases_prefix = "/registry/masterleases/";
constexpr const char* name_space = "default";
constexpr const char* name = "kubernetes";
// Servers that start together write the same objects.
constexpr int kRaces = 6;
constexpr std::chrono::milliseconds kLeastPause{10};

}  // namespace

KubernetesService::KubernetesService(storage::Store& store, std::unique_ptr<client::ApiClient> client, KubernetesServiceOptions options)
    : store_(store), client_(std::move(client)), options_(std::move(options)), tasks_(client_->executor()) {}

bool KubernetesService::stands_behind() const {
  const auto address = IpAddress::parse(options_.advertise_address);
  return address && !address->is_loopback() && !address->is_unspecified();
}

void KubernetesService::start() { tasks_.spawn("kubernetes service", run()); }

Task<> KubernetesService::run() {
  for (;;) {
    co_await sleep_for(options_.interval);
    auto done = co_await reconcile();
    const std::string problem = done ? std::string() : done.error().message;
    if (problem != problem_ && !problem.empty()) log::warn("api-server", "the Service kubernetes: {}", problem);
    problem_ = problem;
  }
}

Task<> KubernetesService::stop() {
  co_await tasks_.stop();
  if (!lease_) co_return;
  auto revoke = [&store = store_, id = std::exchange(lease_, 0)](auto done) { store.lease_revoke(id, std::move(done)); };
  auto revoked = co_await store_call<void>(revoke);
  if (!revoked) log::warn("api-server", "the lease of this server's address: {}", revoked.error().message);
  auto written = co_await ensure_endpoints();
  if (!written) log::warn("api-server", "the endpoints of the Service kubernetes: {}", written.error().message);
}

Task<Result<void>> KubernetesService::reconcile() {
  auto pause = kLeastPause;
  for (int race = 1;; ++race, pause *= 2) {
    auto tried = co_await try_reconcile();
    if (tried || race == kRaces || !may_be_race(tried.error())) co_return tried;
    co_await sleep_for(pause);
  }
}

Task<Result<void>> KubernetesService::try_reconcile() {
  auto service = co_await ensure_service();
  if (!service) co_return service;
  if (stands_behind()) {
    auto kept = co_await keep_lease();
    if (!kept) co_return kept;
  }
  co_return co_await ensure_endpoints();
}

// Nothing is written as long as the lease and the key are there. The key may go without the lease: by hand, or with another
// process of the same address that had written it under its own.
Task<Result<void>> KubernetesService::keep_lease() {
  if (!lease_) co_return co_await grant_lease();
  auto keep = [&store = store_, id = lease_](auto done) { store.lease_keep_alive(id, std::move(done)); };
  auto kept = co_await store_call<storage::LeaseInfo>(keep);
  if (!kept && kept.error().is("LeaseNotFound")) co_return co_await grant_lease();
  if (!kept) co_return kept.error();
  const auto listed = co_await servers();
  if (!listed) co_return listed.error();
  if (std::ranges::find(*listed, options_.advertise_address) == listed->end()) co_return co_await grant_lease();
  co_return Result<void>{};
}

Task<Result<void>> KubernetesService::grant_lease() {
  auto grant = [&store = store_, ttl = options_.lease_ttl.count()](auto done) { store.lease_grant(0, ttl, std::move(done)); };
  auto granted = co_await store_call<storage::LeaseInfo>(grant);
  if (!granted) co_return granted.error();
  const auto& kind = *client_->registry()->find_kind("v1", "Endpoints");
  const Document document = client::ObjectBuilder::from_json(
      core_v1::Endpoints::schema_type(), fmt::format(R"({{"metadata":{{}},"subsets":[{{"addresses":[{{"ip":"{}"}}]}}]}})", options_.advertise_address));
  auto request = std::make_shared<storage::TxnRequest>();
  request->success.push_back(storage::PutRequest{.key = std::string(leases_prefix) + options_.advertise_address,
                                                 .value = encode_for_storage(kind, document.root()),
                                                 .lease = granted->id});
  auto put = [&store = store_, request](auto done) { store.txn(std::move(*request), std::move(done)); };
  auto written = co_await store_call<storage::TxnResponse>(put);
  if (!written) co_return written.error();
  lease_ = granted->id;
  co_return Result<void>{};
}

Task<Result<std::vector<std::string>>> KubernetesService::servers() {
  storage::RangeRequest request;
  request.key = leases_prefix;
  request.range_end = storage::prefix_end(leases_prefix);
  request.keys_only = true;
  auto read = [&store = store_, &request](auto done) { store.range(request, std::move(done)); };
  RN_CO_TRY(const auto found, co_await store_call<storage::RangeResponse>(read));
  std::vector<std::string> out;
  for (const auto& one : found.kvs) out.push_back(one.key.substr(leases_prefix.size()));
  std::sort(out.begin(), out.end());  // as text, as Kubernetes has them
  co_return out;
}

Task<Result<void>> KubernetesService::ensure_service() {
  auto present = co_await client_->get(services, name_space, name);
  if (present && has_ports_) co_return Result<void>{};
  if (!present && !present.error().is("NotFound")) co_return present.error();
  auto range = Cidr::parse(options_.service_range);
  if (!range) co_return range.error();
  const std::string ports =
      fmt::format(R"([{{"name":"https","protocol":"TCP","port":443,"targetPort":{}}}])", options_.port);
  if (!present) {
    auto folder = co_await client_->get(namespaces, "", name_space);
    if (!folder && !folder.error().is("NotFound")) co_return folder.error();
    if (!folder) {
      const Document made = client::ObjectBuilder::from_json(core_v1::Namespace::schema_type(), R"({"metadata":{"name":"default"}})");
      auto created = co_await client_->create(namespaces, "", "", "", made, {});
      if (!created && !created.error().is("AlreadyExists")) co_return created.error();
    }
    const Document wanted = client::ObjectBuilder::from_json(
        core_v1::Service::schema_type(),
        fmt::format(R"({{"metadata":{{"name":"{}","namespace":"{}","labels":{{"provider":"kubernetes","component":"apiserver"}}}},
            "spec":{{"type":"ClusterIP","clusterIP":"{}","ports":{},"sessionAffinity":"None","ipFamilyPolicy":"SingleStack"}}}})",
                    name, name_space, range->at(1).to_string(), ports));
    auto created = co_await client_->create(services, name_space, "", "", wanted, {});
    if (!created && !created.error().is("AlreadyExists")) co_return created.error();
  } else {
    const Document wanted = client::ObjectBuilder::from_json(
        core_v1::Service::schema_type(), fmt::format(R"({{"metadata":{{"name":"{}","namespace":"{}"}},"spec":{{"type":"ClusterIP","ports":{}}}}})", name,
                                                     name_space, ports));
    auto updated = co_await client::ensure_object(*client_, services, wanted);
    if (!updated) co_return updated.error();
  }
  has_ports_ = true;
  co_return Result<void>{};
}

Task<Result<void>> KubernetesService::ensure_endpoints() {
  auto found = co_await servers();
  if (!found) co_return found.error();
  if (found->empty()) co_return Result<void>{};
  std::string addresses, listed;
  for (const auto& one : *found) {
    const char* comma = addresses.empty() ? "" : ",";
    addresses += fmt::format(R"({}{{"ip":"{}"}})", comma, one);
    listed += fmt::format(R"({}{{"addresses":["{}"],"conditions":{{"ready":true}}}})", comma, one);
  }
  const std::string ports = fmt::format(R"([{{"name":"https","port":{},"protocol":"TCP"}}])", options_.port);
  auto first = co_await client::ensure_object(
      *client_, endpoints, client::ObjectBuilder::from_json(
                     core_v1::Endpoints::schema_type(),
                     fmt::format(R"({{"metadata":{{"name":"{}","namespace":"{}","labels":{{"endpointslice.kubernetes.io/skip-mirror":"true"}}}},
                         "subsets":[{{"addresses":[{}],"ports":{}}}]}})", name, name_space, addresses, ports)));
  if (!first) co_return first;
  const bool is_v6 = found->front().find(':') != std::string::npos;
  co_return co_await client::ensure_object(
      *client_, slices, client::ObjectBuilder::from_json(
                  discovery_v1::EndpointSlice::schema_type(),
                  fmt::format(R"({{"metadata":{{"name":"{0}","namespace":"{1}","labels":{{"kubernetes.io/service-name":"{0}"}}}},
                      "addressType":"{2}","endpoints":[{3}],"ports":{4}}})", name, name_space, is_v6 ? "IPv6" : "IPv4", listed, ports)),
      true);
}

}  // namespace rusternetes::api_server
