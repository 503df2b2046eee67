#include "rhino/server.h"

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/log.h"
#include "http/server.h"
#include "rhino/front.h"
#include "rhino/server_tls.h"

namespace rusternetes::rhino {
namespace {

// What a message may be larger than --max-request-bytes, as etcd has it: the services themselves refuse in
// etcd's words.
constexpr std::size_t grpc_overhead_bytes = 512 * 1024;
constexpr int ping_strikes = 2;
constexpr int metadata_bytes = 1 << 20;  // 8 KiB otherwise, less than some tokens
constexpr int handshake_timeout_ms = 10'000;

void log_grpc(gpr_log_func_args* args) {
  if (args->severity == GPR_LOG_SEVERITY_ERROR)
    log::debug("grpc", "{}", args->message);  // handshakes of strangers, for the most part
}

int milliseconds(std::chrono::nanoseconds duration) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, 1, INT_MAX));
}

void set_limits(grpc::ServerBuilder& builder, const Flags& flags) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(flags.max_request_bytes + grpc_overhead_bytes));
  builder.SetMaxSendMessageSize(-1);
  if (flags.max_concurrent_streams > 0 && flags.max_concurrent_streams <= INT_MAX)
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(flags.max_concurrent_streams));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, metadata_bytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, handshake_timeout_ms);
  if (flags.keepalive_min_time.count() > 0)
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               milliseconds(flags.keepalive_min_time));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, ping_strikes);
  // Go's servers ping connections without calls, too; here that also lets clients do it.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  if (flags.keepalive_interval.count() > 0 && flags.keepalive_timeout.count() > 0) {
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(flags.keepalive_interval));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(flags.keepalive_timeout));
  }
  // Reflection alone is synchronous: one thread waits for it.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

// Once a process, before the first server.
void prepare_grpc() {
  static const bool is_done = [] {
    ::gpr_set_log_function(&log_grpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)is_done;
}

}  // namespace

struct Server::Impl {
  explicit Impl(Options o) : options(std::move(o)), endpoints(options.endpoints) {}

  Result<void> open_doors() {
    const auto& flags = options.flags;
    const bool is_split = !flags.listen_client_http_urls.empty();
    using Serves = FrontDoor::Serves;
    for (const auto& url : flags.listen_client_urls)
      RN_CHECK(open_door(url, is_split ? Serves::grpc : Serves::grpc_and_http));
    for (const auto& url : flags.listen_client_http_urls) RN_CHECK(open_door(url, Serves::http));
    for (const auto& url : flags.listen_metrics_urls) RN_CHECK(open_door(url, Serves::metrics));
    return {};
  }

  Result<void> open_door(const Url& url, FrontDoor::Serves serves) {
    if (!url.is_secure() && !options.flags.tls.is_empty() && serves != FrontDoor::Serves::metrics)
      log::warn("rhino", "{} is served in plain text, although there are certificates", url.text());
    for (auto& door : doors) {
      if (url.host + url.path != door.asked || url.port() == "0") continue;
      if (door.door.serves != serves)
        return Status(400, "BadRequest",
                      fmt::format("cannot bind both --listen-client-urls and --listen-client-http-urls on "
                                  "the same url {}",
                                  url.text()));
      (url.is_secure() ? door.door.takes_tls : door.door.takes_plain) = true;
      return {};
    }
    RN_TRY(auto socket, listen_on(url, {.reuse_port = options.flags.reuse_port}));
    urls.push_back(socket.url);
    FrontDoor door{std::move(socket), serves, !url.is_secure(), url.is_secure()};
    doors.push_back({url.host + url.path, std::move(door)});
    return {};
  }

  Result<void> load_certificates() {
    if (std::none_of(doors.begin(), doors.end(), [](const Asked& each) { return each.door.takes_tls; }))
      return {};
    RN_TRY(certificates, ServerCertificates::load(options.flags.tls));
    return {};
  }

  Result<void> start_grpc() {
    prepare_grpc();
    grpc::ServerBuilder builder;
    set_limits(builder, options.flags);
    using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    plain = builder.experimental().AddExternalConnectionAcceptor(Type::FROM_FD,
                                                                 grpc::InsecureServerCredentials());
    if (certificates)
      secure = builder.experimental().AddExternalConnectionAcceptor(Type::FROM_FD,
                                                                    certificates->grpc_credentials());
    if (options.add_services) options.add_services(builder);
    grpc = builder.BuildAndStart();
    if (!grpc) return internal_error("gRPC does not start");
    return {};
  }

  void start_http() {
    http::Server::Options both;
    both.name = "rhino";
    both.executors = {http_thread.executor()};
    both.handler = [this](std::shared_ptr<http::Exchange> exchange) {
      return endpoints.serve_client(std::move(exchange));
    };
    http = std::make_unique<http::Server>(both);
    both.handler = [this](std::shared_ptr<http::Exchange> exchange) {
      return endpoints.serve_metrics(std::move(exchange));
    };
    metrics = std::make_unique<http::Server>(both);
    http->start();
    metrics->start();
  }

  Result<void> start_front() {
    Front::Options front_options;
    front_options.patience = options.patience;
    front_options.to_grpc = [this](int fd, bool is_tls) { give_to_grpc(fd, is_tls); };
    front_options.to_http = [this](int fd, bool is_tls, bool is_metrics) {
      (is_metrics ? metrics : http)->adopt_connection(fd, is_tls ? certificates->http_context() : nullptr);
    };
    std::vector<FrontDoor> all;
    for (auto& each : doors) {
      all.push_back(each.door);
      each.door.socket.fd = -1;
    }
    front = std::make_unique<Front>(std::move(front_options), std::move(all));
    return front->start();
  }

  void give_to_grpc(int fd, bool is_tls) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    (is_tls ? secure : plain)->HandleNewConnection(&connection);
  }

  Result<void> start() {
    RN_CHECK(open_doors());
    RN_CHECK(load_certificates());
    RN_CHECK(start_grpc());
    start_http();
    return start_front();
  }

  void stop(std::chrono::milliseconds grace) {
    if (is_stopped) return;
    is_stopped = true;
    if (grpc && grpc->GetHealthCheckService()) grpc->GetHealthCheckService()->SetServingStatus(false);
    if (front) front->stop();
    if (options.end_streams) options.end_streams();
    if (grpc) grpc->Shutdown(std::chrono::system_clock::now() + grace);
    for (auto* server : {&http, &metrics})
      if (*server) run_blocking(http_thread.executor(), (*server)->stop(std::chrono::milliseconds(500)));
    for (auto& each : doors)
      if (each.door.socket.fd >= 0) ::close(each.door.socket.fd);
  }

  struct Asked {
    std::string asked;  // host:port or path of the URL
    FrontDoor door;
  };

  Options options;
  HttpEndpoints endpoints;
  std::vector<Asked> doors;
  std::vector<Url> urls;
  std::unique_ptr<ServerCertificates> certificates;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> plain, secure;
  std::unique_ptr<grpc::Server> grpc;
  EventThread http_thread{"http"};
  std::unique_ptr<http::Server> http, metrics;
  std::unique_ptr<Front> front;
  bool is_stopped = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { stop(); }

Result<std::unique_ptr<Server>> Server::start(Options options) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Impl>(std::move(options))));
  RN_CHECK(server->impl_->start());
  return server;
}

std::vector<Url> Server::urls() const { return impl_->urls; }

void Server::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }

}  // namespace rusternetes::rhino
