#include "storage/etcd/errors.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "storage/store.h"

namespace rusternetes::storage::etcd {
namespace {

struct Known {
  std::string_view text;
  int code;
  const char* reason;
};
constexpr std::array known = {
    Known{"required revision has been compacted", 410, reason_compacted},
    Known{"required revision is a future revision", 400, reason_future_revision},
    Known{"database space exceeded", 500, reason_no_space},
    Known{"requested lease not found", 404, "LeaseNotFound"},
    Known{"lease already exists", 409, "LeaseExists"},
    Known{"too many requests", 429, "TooManyRequests"},
    Known{"key not found", 404, "KeyNotFound"},
    Known{"key is not provided", 400, "EmptyKey"},
};

}  // namespace

Status to_status(const grpc::Status& status) {
  const std::string& message = status.error_message();
  for (const auto& one : known)
    if (message.find(one.text) != std::string::npos) return {one.code, one.reason, std::string(one.text)};
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return internal_error("etcdserver: request timed out");
  return internal_error(message.empty() ? fmt::format("etcd: error {}", static_cast<int>(status.error_code()))
                                        : message);
}

bool is_server_failing(const grpc::Status& status) {
  // gRPC's words for a call whose connection the server has closed, where it knows no better.
  if (status.error_code() == grpc::StatusCode::UNKNOWN)
    return status.error_message() == "Stream removed" || status.error_message() == "No status received";
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
}

bool is_surely_unsent(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return false;
  const std::string& message = status.error_message();
  // gRPC's words for a channel without a connection, and etcd's for a request it has not proposed.
  for (const std::string_view text :
       {"failed to connect to all addresses", "DNS resolution failed", "etcdserver: no leader"})
    if (message.find(text) != std::string::npos) return true;
  return false;
}

}  // namespace rusternetes::storage::etcd
