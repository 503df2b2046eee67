#pragma once
// Connections to one etcd v3 endpoint.

#include <grpcpp/channel.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::bench {

struct EndpointOptions {
  std::string endpoint;                 // host:port
  std::string ca_file, cert_file, key_file;  // TLS if `ca_file` is there
  std::size_t connections = 8;
};

using Channels = std::vector<std::shared_ptr<grpc::Channel>>;

// `options.connections` connections of their own, all open when this returns, or an error after `timeout`.
Result<Channels> connect(const EndpointOptions& options, std::chrono::milliseconds timeout = std::chrono::seconds(10));

}  // namespace rusternetes::bench
