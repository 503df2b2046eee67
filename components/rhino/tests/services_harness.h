#pragma once
// All services over a store of a test's own, and a client in the same process.

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>

#include "etcd/rpc.grpc.pb.h"
#include "rhino/services.h"
#include "support/folder.h"

namespace rusternetes::rhino::testing {

class World {
 public:
  explicit World(ServicesOptions options = {}) : options_(std::move(options)) {
    options_.scratch_folder = folder_.path;
    open();
  }
  World(const World&) = delete;
  ~World() { close(); }
  void restart() {
    close();
    open();
  }
  void close() {
    if (!server_) return;
    channel.reset();
    kv.reset();
    watch.reset();
    lease.reset();
    maintenance.reset();
    services->stop();
    server_->Shutdown();
    server_.reset();
    services.reset();
    store.reset();
  }

  etcdserverpb::PutResponse put(const std::string& key, const std::string& value) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    const auto status = kv->Put(&context, request, &response);
    REQUIRE(status.ok());
    return response;
  }
  grpc::Status compact(std::int64_t revision) {
    etcdserverpb::CompactionRequest request;
    request.set_revision(revision);
    etcdserverpb::CompactionResponse response;
    grpc::ClientContext context;
    return kv->Compact(&context, request, &response);
  }

  std::unique_ptr<storage::sqlite::SqliteStore> store;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Services> services;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;

 private:
  void open() {
    storage::sqlite::StoreOptions options;
    options.path = folder_.file("store.db");
    auto opened = storage::sqlite::SqliteStore::open(options);
    REQUIRE(opened);
    store = std::move(*opened);
    auto made = Services::make(*store, options_);
    REQUIRE(made);
    services = std::move(*made);
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(-1);
    services->add_to(builder);
    server_ = builder.BuildAndStart();
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    channel = server_->InProcessChannel(arguments);
    kv = etcdserverpb::KV::NewStub(channel);
    watch = etcdserverpb::Watch::NewStub(channel);
    lease = etcdserverpb::Lease::NewStub(channel);
    maintenance = etcdserverpb::Maintenance::NewStub(channel);
  }

  ServicesOptions options_;
  rusternetes::testing::Folder folder_{"rhino"};
  std::unique_ptr<grpc::Server> server_;
};

// A Watch stream, used from one thread.
class WatchClient {
 public:
  explicit WatchClient(World& world) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = world.watch->Watch(&context_);
  }
  ~WatchClient() {
    context_.TryCancel();
    if (!is_finished_) (void)stream_->Finish();
  }
  // Returns the answer that says it was made.
  etcdserverpb::WatchResponse create(
      const std::string& key, const std::string& range_end = {}, std::int64_t start = 0,
      const std::function<void(etcdserverpb::WatchCreateRequest&)>& more = {}) {
    etcdserverpb::WatchRequest request;
    auto& made = *request.mutable_create_request();
    made.set_key(key);
    made.set_range_end(range_end);
    made.set_start_revision(start);
    if (more) more(made);
    REQUIRE(stream_->Write(request));
    return read();
  }
  void cancel(std::int64_t id) {
    etcdserverpb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    REQUIRE(stream_->Write(request));
  }
  void ask_for_progress() {
    etcdserverpb::WatchRequest request;
    request.mutable_progress_request();
    REQUIRE(stream_->Write(request));
  }
  etcdserverpb::WatchResponse read() {
    etcdserverpb::WatchResponse response;
    REQUIRE(stream_->Read(&response));
    return response;
  }
  // The stream's end.
  grpc::Status finish() {
    etcdserverpb::WatchResponse response;
    while (stream_->Read(&response)) {
    }
    is_finished_ = true;
    return stream_->Finish();
  }

 private:
  bool is_finished_ = false;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>> stream_;
};

}  // namespace rusternetes::rhino::testing
