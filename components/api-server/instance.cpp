#include "api-server/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/udp.hpp>

#include "api-server/actions.h"
#include "api-server/admission/node_restriction.h"
#include "api-server/admission/rbac_escalation.h"
#include "api-server/allocation_repair.h"
#include "api-server/authn/openid_documents.h"
#include "api-server/authn/request_authenticator.h"
#include "api-server/authz/modes.h"
#include "api-server/bootstrap/policy.h"
#include "api-server/default_service_cidr.h"
#include "api-server/in_process_client.h"
#include "api-server/initial_objects.h"
#include "api-server/kubernetes_service.h"
#include "api-server/openapi/openapi_paths.h"
#include "api-server/review_actions.h"
#include "api-server/token_action.h"
#include "apimachinery/api/rbac_v1.h"
#include "base/log.h"
#include "client/informer.h"
#include "client/object_builder.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

// The address that the host's routes choose for what goes out; connecting a datagram socket sends nothing.
std::string advertised(const std::string& bind_address) {
  if (bind_address != "0.0.0.0" && bind_address != "::" && !bind_address.empty()) return bind_address;
  asio::io_context context;
  boost::system::error_code error;
  asio::ip::udp::socket socket(context);
  const asio::ip::udp::endpoint documentation(asio::ip::make_address("192.0.2.1"), 9);  // RFC 5737
  socket.open(asio::ip::udp::v4(), error);
  if (!error) socket.connect(documentation, error);
  const auto local = error ? asio::ip::udp::endpoint() : socket.local_endpoint(error);
  return error ? bind_address : local.address().to_string();
}

}  // namespace

struct Instance::Impl {
  Impl(storage::Store& s, InstanceOptions o) : store(s), options(std::move(o)), cacher(store, Registry::builtin()) {}

  storage::Store& store;
  InstanceOptions options;
  Cacher cacher;
  std::shared_ptr<ServiceAccountTokens> tokens;
  std::unique_ptr<Authenticator> authenticator;
  AuthorizerSet authorizers;
  std::unique_ptr<AdmissionChain> admission;
  std::unique_ptr<Resources> resources;
  std::unique_ptr<ApiServer> server;
  std::vector<std::unique_ptr<EventThread>> threads;
  std::unique_ptr<http::Server> listener;
  std::unique_ptr<Upkeep> upkeep;
  std::unique_ptr<KubernetesService> kubernetes_service;
  std::unique_ptr<DefaultServiceCidr> default_service_cidr;
  std::unique_ptr<AllocationRepair> allocation_repair;
  std::uint16_t port = 0;
  OpenIdDocuments openid;

  // The one that clients are told.
  std::string address() const { return fmt::format("{}:{}", options.advertise_address, port); }
  Task<> start_kubernetes_service();
  Task<> start_repair();
  Task<> stop_services();
  Task<> stop_listener(std::chrono::milliseconds grace);
  Result<void> make_authentication();
  Result<void> make_server();
  void serve_openid();
  Task<> bootstrap(std::unique_ptr<client::ApiClient> client, Result<void>& outcome);
};

Instance::Instance(storage::Store& store, InstanceOptions options) : impl_(std::make_unique<Impl>(store, std::move(options))) {}
Instance::~Instance() { stop(std::chrono::milliseconds(0)); }

User Instance::service_account(std::string_view name_space, std::string_view name) {
  User user;
  user.name = fmt::format("system:serviceaccount:{}:{}", name_space, name);
  user.groups = {std::string(group_service_accounts), fmt::format("system:serviceaccounts:{}", name_space), std::string(group_authenticated)};
  return user;
}

User Instance::node(std::string_view name) {
  User user;
  user.name = fmt::format("system:node:{}", name);
  user.groups = {std::string(group_nodes), std::string(group_authenticated)};
  return user;
}

Result<void> Instance::Impl::make_authentication() {
  ServiceAccountTokenOptions token_options;
  token_options.issuers = options.service_account_issuers;
  token_options.api_audiences = options.api_audiences;
  for (const auto& pem : options.service_account_key_pems) {
    RN_TRY(auto keys, JwtKey::all_from_pem(pem));
    for (auto& key : keys) token_options.verification_keys.push_back(std::move(key));
  }
  if (!options.service_account_signing_key_pem.empty()) {
    RN_TRY(token_options.signing_key, JwtKey::from_pem(options.service_account_signing_key_pem));
  }
  tokens = std::make_shared<ServiceAccountTokens>(std::move(token_options), cacher);
  Authenticator::Options auth;
  auth.is_anonymous_allowed = options.anonymous_auth;
  auth.api_audiences = tokens->api_audiences();
  auth.service_accounts = tokens;
  if (!options.token_auth_file.empty()) {
    RN_TRY(auth.token_file, TokenFile::load(options.token_auth_file));
  }
  authenticator = std::make_unique<Authenticator>(std::move(auth));
  RN_TRY(authorizers, make_authorizer(options.authorization_modes, cacher));
  return {};
}

void Instance::Impl::serve_openid() {
  if (tokens->keys().empty()) return;
  auto documents = openid_documents(options.service_account_issuers.empty() ? "" : options.service_account_issuers[0], "", address(), tokens->keys());
  if (!documents) {
    log::warn("api-server", "OpenID discovery is not served: {}", documents.error().message);
    return;
  }
  openid = std::move(*documents);
  auto serve = [](const std::string& body, std::string_view type) {
    return [&body, type](HandlerContext context) -> Task<Result<void>> {
      http::ResponseHead head;
      head.headers.add("content-type", std::string(type));
      head.headers.add("cache-control", std::string(openid_cache_control));
      std::vector<http::Slice> slices;
      slices.push_back(http::Slice::literal(body));
      co_return co_await context.exchange->respond(std::move(head), std::move(slices));
    };
  };
  server->add_path(std::string(openid_configuration_path), serve(openid.configuration, openid_configuration_media_type));
  server->add_path(std::string(openid_keys_path), serve(openid.keys, openid_keys_media_type));
}

Result<void> Instance::Impl::make_server() {
  auto chain = make_admission(cacher, options.enable_admission_plugins, options.disable_admission_plugins);
  if (!chain) return chain.error();
  admission = std::make_unique<AdmissionChain>(std::move(*chain));
  admission->add(make_rbac_escalation(authorizers.rbac, authorizers.chain));
  const auto names = [](const std::vector<std::string>& list) { return std::find(list.begin(), list.end(), "NodeRestriction") != list.end(); };
  if (names(options.enable_admission_plugins)) admission->add(make_node_token_audience(cacher, *authorizers.chain));
  resources = std::make_unique<Resources>(cacher, *admission, Resources::Options{.clock = options.clock, .allow_privileged = options.allow_privileged, .lifetimes = {options.event_ttl}});
  ServerOptions server_options;
  server_options.request_timeout = options.request_timeout;
  server_options.max_requests_inflight = options.max_requests_inflight;
  server_options.max_mutating_requests_inflight = options.max_mutating_requests_inflight;
  server_options.server_address = address();
  server = std::make_unique<ApiServer>(*resources, *authorizers.chain, [this](const http::RequestHead& head, const http::Peer& peer) {
    return authenticate_request(*authenticator, *authorizers.chain, head, peer);
  }, server_options);
  add_core_actions(*server, *admission);
  add_review_actions(*server, *authenticator, *authorizers.chain);
  if (!tokens->keys().empty()) add_token_action(*server, *admission, *tokens);
  add_pod_log(*server, options.kubelet_client);
  return {};
}

Result<void> Instance::start() {
  Impl& i = *impl_;
  if (i.options.advertise_address.empty()) i.options.advertise_address = advertised(i.options.bind_address);
  RN_CHECK(i.cacher.start());
  RN_CHECK(i.make_authentication());
  for (int n = 0; n < i.options.io_threads; ++n) i.threads.push_back(std::make_unique<EventThread>(fmt::format("http-{}", n)));
  http::Server::Options listener;
  listener.name = "api-server";
  for (auto& thread : i.threads) listener.executors.push_back(thread->executor());
  listener.handler = [&i](std::shared_ptr<http::Exchange> exchange) { return i.server->handle(std::move(exchange)); };
  i.listener = std::make_unique<http::Server>(std::move(listener));
  if (i.options.tls) {
    RN_TRY(i.port, i.listener->listen_tls(i.options.bind_address, i.options.secure_port, *i.options.tls));
  } else {
    RN_TRY(i.port, i.listener->listen_plain(i.options.bind_address, i.options.secure_port));
  }
  RN_CHECK(i.make_server());
  i.serve_openid();
  add_openapi_paths(*i.server);
  User self;
  self.name = "system:apiserver";
  self.groups = {std::string(group_masters), std::string(group_authenticated)};
  const auto executor = i.threads[0]->executor();
  Result<void> seeded;
  auto client = make_in_process_client(*i.server, self, executor, "api-server");
  run_blocking(executor, i.bootstrap(std::move(client), seeded));
  RN_CHECK(seeded);
  KubernetesServiceOptions service;
  service.advertise_address = i.options.advertise_address;
  service.port = i.port;
  if (!i.options.service_cluster_ip_ranges.empty()) service.service_range = i.options.service_cluster_ip_ranges[0];
  i.kubernetes_service = std::make_unique<KubernetesService>(i.store, make_in_process_client(*i.server, self, executor, "api-server"), service);
  run_blocking(executor, i.start_kubernetes_service());
  i.upkeep = std::make_unique<Upkeep>(i.store, executor, i.options.upkeep);
  i.upkeep->start();
  i.default_service_cidr = std::make_unique<DefaultServiceCidr>(i.cacher, make_in_process_client(*i.server, self, executor, "api-server"),
                                                                i.options.service_cluster_ip_ranges, *i.options.clock);
  i.allocation_repair = std::make_unique<AllocationRepair>(i.cacher, make_in_process_client(*i.server, self, executor, "api-server"),
                                                           *i.options.clock, i.options.allocation_repair);
  run_blocking(executor, i.start_repair());
  i.listener->start();
  return {};
}

Result<void> Instance::adopt_listener(int fd) { return impl_->listener->adopt_listener(fd, impl_->options.tls); }

Result<void> Instance::set_registry(std::shared_ptr<const Registry> registry) {
  RN_CHECK(impl_->cacher.set_registry(std::move(registry)));
  impl_->server->rebuild_discovery();
  return {};
}

std::uint16_t Instance::port() const { return impl_->port; }

void Instance::stop(std::chrono::milliseconds grace) {
  Impl& i = *impl_;
  if (i.threads.empty()) return;
  if (i.server) i.server->begin_shutdown();
  run_blocking(i.threads[0]->executor(), i.stop_services());
  if (i.listener) run_blocking(i.threads[0]->executor(), i.stop_listener(grace));
  for (auto& thread : i.threads) thread->stop();
  i.listener.reset();
  i.threads.clear();
  i.cacher.stop();
}

std::unique_ptr<client::ApiClient> Instance::make_client(User user, asio::any_io_executor executor, std::string user_agent) {
  return make_in_process_client(*impl_->server, std::move(user), std::move(executor), std::move(user_agent));
}

Task<> Instance::Impl::start_kubernetes_service() {
  auto done = co_await kubernetes_service->reconcile();
  if (!done) log::warn("api-server", "the Service kubernetes: {}", done.error().message);
  kubernetes_service->start();
}

Task<> Instance::Impl::start_repair() {
  default_service_cidr->start();
  allocation_repair->start();
  co_return;
}

// Clients are told first that this server goes, so that their next watch is another one's.
Task<> Instance::Impl::stop_listener(std::chrono::milliseconds grace) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  if (server)
    tasks.spawn("end of watches", [](ApiServer& ending) -> Task<> {
      co_await sleep_for(std::chrono::milliseconds(100));
      ending.end_watches();
    }(*server));
  co_await listener->stop(grace);
  co_await tasks.stop();
}

Task<> Instance::Impl::stop_services() {
  if (allocation_repair) co_await allocation_repair->stop();
  allocation_repair.reset();
  if (default_service_cidr) co_await default_service_cidr->stop();
  default_service_cidr.reset();
  if (kubernetes_service) co_await kubernetes_service->stop();
  kubernetes_service.reset();
  if (upkeep) co_await upkeep->stop();
  upkeep.reset();
}

// What a new cluster holds; later starts put back what a release added.
Task<> Instance::Impl::bootstrap(std::unique_ptr<client::ApiClient> client, Result<void>& outcome) {
  for (const auto& object : bootstrap::objects_with_service_cidrs(options.service_cluster_ip_ranges)) {
    auto done = co_await write_bootstrap_object(*client, *object.kind, object.document);
    if (!done) {
      outcome = internal_error(fmt::format("{} of a new cluster was not written: {}", object.kind->kind, done.error().message));
      co_return;
    }
  }
  for (const auto& addon : options.addons) {
    auto done = co_await write_addon(*client, addon);
    if (!done && addon.is_left_alone) {  // a cluster whose objects stand in the way serves nevertheless
      log::error("api-server", "the add-on {} {} was not made: {}", addon.resource.resource,
                 client::name_of(addon.object), done.error().message);
    } else if (!done) {
      outcome = internal_error(fmt::format("{} {}: {}", addon.resource.resource, client::name_of(addon.object), done.error().message));
      co_return;
    }
  }
  if (options.admin_group.empty()) co_return;
  using B = rbac_v1::ClusterRoleBinding;
  const Document binding = client::ObjectBuilder::from_json(B::schema_type(), fmt::format(
      R"({{"metadata":{{"name":"{0}"}},"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}},"subjects":[{{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"{0}"}}]}})",
      options.admin_group));
  const Kind* kind = client->registry()->find_kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding");
  auto done = co_await write_bootstrap_object(*client, *kind, binding);
  if (!done) outcome = done.error();
}

}  // namespace rusternetes::api_server
