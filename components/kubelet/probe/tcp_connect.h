#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/task.h"
#include "http/client.h"

namespace rusternetes::kubelet {

// Connects and closes again. An error is in the words of Go's dialer: "dial tcp 10.0.0.5:80: connect: connection refused".
Task<Result<void>> tcp_connect(http::OpenSocket open_socket, std::string host, std::uint16_t port, std::chrono::milliseconds timeout);

}  // namespace rusternetes::kubelet
