#pragma once
// Watches of an etcd v3 endpoint, many on one stream if asked.

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "etcd/rpc.grpc.pb.h"
#include "store/endpoint.h"

namespace rusternetes::bench {

class WatchClient final : private grpc::ClientBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse> {
 public:
  // On a thread of gRPC's, one call at a time for each stream.
  using OnEvent = std::function<void(const mvccpb::Event& event)>;

  // Watches each of `prefixes` from now on; returns once the server has said that it does.
  static Result<std::unique_ptr<WatchClient>> open(const std::shared_ptr<grpc::Channel>& channel,
                                                   std::vector<std::string> prefixes, OnEvent on_event);
  ~WatchClient();

  // Why it has ended, or nothing.
  std::string failure() const;

 private:
  WatchClient(const std::shared_ptr<grpc::Channel>& channel, std::vector<std::string> prefixes, OnEvent on_event);
  void begin();
  void write_next();
  void OnWriteDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  std::unique_ptr<etcdserverpb::Watch::Stub> stub_;
  std::vector<std::string> prefixes_;
  OnEvent on_event_;
  grpc::ClientContext context_;
  etcdserverpb::WatchRequest request_;
  etcdserverpb::WatchResponse response_;
  std::size_t written_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::size_t created_ = 0;
  bool is_done_ = false;
  std::string failure_;
};

}  // namespace rusternetes::bench
