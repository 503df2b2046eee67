#include "storage/etcd/endpoints.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <limits>
#include <random>

#include "base/log.h"

namespace rusternetes::storage::etcd {
namespace {

struct Target {
  std::string address;
  bool is_tls = false;
};

Result<Target> parse(const std::string& server) {
  for (const auto& [scheme, is_tls] : {std::pair{"http://", false}, std::pair{"https://", true}}) {
    if (!server.starts_with(scheme)) continue;
    std::string address = server.substr(std::string_view(scheme).size());
    while (address.ends_with('/')) address.pop_back();
    const auto colon = address.rfind(':');
    if (colon == std::string::npos || colon + 1 == address.size() || address.find('/') != std::string::npos)
      break;
    return Target{std::move(address), is_tls};
  }
  for (const auto& [scheme, is_tls] : {std::pair{"unix://", false}, std::pair{"unixs://", true}})
    if (server.starts_with(scheme))
      return Target{"unix:" + server.substr(std::string_view(scheme).size()), is_tls};
  return Status{
      400, "BadRequest",
      fmt::format("the etcd server {} is not of the form http://HOST:PORT or https://HOST:PORT", server)};
}

grpc::ChannelArguments arguments(const EtcdOptions& options) {
  grpc::ChannelArguments out;
  out.SetMaxReceiveMessageSize(-1);
  out.SetMaxSendMessageSize(-1);
  out.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_time.count()));
  out.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(options.keepalive_timeout.count()));
  out.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  out.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  out.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);  // how long a connection may take, too
  out.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  out.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  out.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  out.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // gRPC 1.51 aborts the process in its own repeats when a server ends a stream without a status, as etcd's does when
  // it is stopped (retry_filter.cc, GetCallStatus). What may be sent again is our own decision anyway.
  out.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return out;
}

}  // namespace

Result<std::unique_ptr<Endpoints>> Endpoints::make(const EtcdOptions& options) {
  if (options.servers.empty()) return Status{400, "BadRequest", "no etcd server is named"};
  if (options.certificate_pem.empty() != options.key_pem.empty())
    return Status{400, "BadRequest",
                  "a client certificate for etcd needs its key, and a key its certificate"};
  auto out = std::make_unique<Endpoints>();
  for (const auto& server : options.servers) {
    RN_TRY(const Target target, parse(server));
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (target.is_tls) {
      grpc::SslCredentialsOptions tls;
      tls.pem_root_certs = options.ca_pem;
      tls.pem_cert_chain = options.certificate_pem;
      tls.pem_private_key = options.key_pem;
      credentials = grpc::SslCredentials(tls);
    }
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->name = server;
    endpoint->channel = grpc::CreateCustomChannel(target.address, credentials, arguments(options));
    endpoint->kv = etcdserverpb::KV::NewStub(endpoint->channel);
    endpoint->watch = etcdserverpb::Watch::NewStub(endpoint->channel);
    endpoint->lease = etcdserverpb::Lease::NewStub(endpoint->channel);
    endpoint->maintenance = etcdserverpb::Maintenance::NewStub(endpoint->channel);
    out->all_.push_back(std::move(endpoint));
  }
  out->current_ = std::random_device{}() % out->all_.size();
  return out;
}

void Endpoints::prefer(const std::shared_ptr<Endpoint>& endpoint) {
  for (std::size_t i = 0; i < all_.size(); ++i)
    if (all_[i] == endpoint && current_.exchange(i) % all_.size() != i)
      log::info("etcd", "{} takes writes; going on with it", endpoint->name);
}

void Endpoints::failed(const std::shared_ptr<Endpoint>& endpoint) {
  if (all_.size() < 2) return;
  std::size_t now = current_.load();
  if (all_[now % all_.size()] != endpoint) return;
  if (current_.compare_exchange_strong(now, now + 1))
    log::warn("etcd", "{} does not answer; going on with {}", endpoint->name,
              all_[(now + 1) % all_.size()]->name);
}

}  // namespace rusternetes::storage::etcd
