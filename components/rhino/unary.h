#pragma once
// How calls end that need nothing of a reactor's but to be ended.

#include <grpcpp/support/server_callback.h>

#include <utility>

namespace rusternetes::rhino {

inline grpc::ServerUnaryReactor* finish(grpc::CallbackServerContext* context, grpc::Status status) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(std::move(status));
  return reactor;
}

}  // namespace rusternetes::rhino
