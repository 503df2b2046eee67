#include "store/endpoint.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <fstream>
#include <sstream>

namespace rusternetes::bench {
namespace {

Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream in(path);
  if (!in) return internal_error("cannot read " + path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials(const EndpointOptions& options) {
  if (options.ca_file.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions tls;
  RN_TRY(tls.pem_root_certs, read_file(options.ca_file));
  RN_TRY(tls.pem_cert_chain, read_file(options.cert_file));
  RN_TRY(tls.pem_private_key, read_file(options.key_file));
  return grpc::SslCredentials(tls);
}

}  // namespace

Result<Channels> connect(const EndpointOptions& options, std::chrono::milliseconds timeout) {
  RN_TRY(const auto secrets, credentials(options));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Else all channels to one address share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A server that starts is asked again soon.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20);
  Channels channels;
  for (std::size_t i = 0; i < options.connections; ++i)
    channels.push_back(grpc::CreateCustomChannel(options.endpoint, secrets, arguments));
  const auto end = std::chrono::system_clock::now() + timeout;
  for (const auto& channel : channels)
    if (!channel->WaitForConnected(end))
      return internal_error(fmt::format("no connection to {} within {} ms", options.endpoint, timeout.count()));
  return channels;
}

}  // namespace rusternetes::bench
