#pragma once
// grpc.health.v1.Health/Check as a client needs it, without a gRPC library: one unary call over HTTP/2 with prior knowledge
// (gRPC over HTTP/2, "Requests" and "Responses") and two messages of one field each.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/task.h"
#include "http/client.h"

namespace rusternetes::kubelet {

// A HealthCheckRequest in its frame: a flag byte, four bytes of length, the message.
std::string frame_health_request(std::string_view service);
// The status of a framed HealthCheckResponse; an error says what is wrong with the bytes.
Result<int> read_health_response(std::string_view frame);
// "SERVING" for 1, ...; the number itself for what is none.
std::string health_status_name(int status);
// grpc-message: percent-encoded where it is not printable ASCII.
std::string decode_grpc_message(std::string_view text);
// "NotFound" for 5, as Go's gRPC names codes.
std::string grpc_code_name(int code);

// Empty when the service is healthy, else why not, in the words of a kubelet.
Task<std::string> check_grpc_health(http::OpenSocket open_socket, std::string host, std::uint16_t port, std::string service,
                                    std::chrono::milliseconds timeout);

}  // namespace rusternetes::kubelet
