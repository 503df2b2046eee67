#include "fake_cluster.h"

#include <fmt/format.h>
#include <grpcpp/server_builder.h>

#include <chrono>

namespace rusternetes::storage::etcd::testing {

namespace pb = etcdserverpb;

FakeCluster::Member::Member(FakeCluster& owner) : cluster(owner) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  builder.RegisterService(&leases);
  server = builder.BuildAndStart();
}

FakeCluster::FakeCluster(std::size_t members) {
  for (std::size_t i = 0; i < members; ++i) members_.push_back(std::make_unique<Member>(*this));
}

FakeCluster::~FakeCluster() {
  {
    std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_.notify_all();
  for (auto& member : members_) member->server->Shutdown(std::chrono::system_clock::now());
}

EtcdOptions FakeCluster::options() const {
  EtcdOptions out;
  for (const auto& member : members_) out.servers.push_back(fmt::format("http://127.0.0.1:{}", member->port));
  out.patience = std::chrono::milliseconds(100);
  out.attempt_timeout = std::chrono::milliseconds(800);
  out.read_timeout = std::chrono::milliseconds(5'000);
  return out;
}

void FakeCluster::release() {
  {
    std::lock_guard lock(mutex_);
    is_released_ = true;
  }
  wake_.notify_all();
}

std::map<std::string, FakeCluster::Value> FakeCluster::data() {
  std::lock_guard lock(mutex_);
  return data_;
}

// What the client sends, and no more: compares of mod_revision, puts, removals and ranges of single keys.
bool FakeCluster::apply(const pb::TxnRequest& request, pb::TxnResponse& response) {
  std::lock_guard lock(mutex_);
  bool holds = true;
  for (const auto& compare : request.compare()) {
    const auto it = data_.find(compare.key());
    holds &= (it == data_.end() ? 0 : it->second.mod_revision) == compare.mod_revision();
  }
  response.set_succeeded(holds);
  const auto& operations = holds ? request.success() : request.failure();
  const auto next = revision_ + 1;
  for (const auto& operation : operations) {
    auto& out = *response.add_responses();
    if (operation.has_request_put()) {
      Value& value = data_[operation.request_put().key()];
      if (value.version++ == 0) value.create_revision = next;
      value.mod_revision = revision_ = next;
      value.value = operation.request_put().value();
      out.mutable_response_put()->mutable_header()->set_revision(next);
    } else if (operation.has_request_delete_range()) {
      const auto count = data_.erase(operation.request_delete_range().key());
      if (count > 0) revision_ = next;
      out.mutable_response_delete_range()->set_deleted(static_cast<std::int64_t>(count));
    } else {
      auto& range = *out.mutable_response_range();
      const auto it = data_.find(operation.request_range().key());
      if (it == data_.end()) continue;
      auto& kv = *range.add_kvs();
      kv.set_key(it->first);
      kv.set_value(it->second.value);
      kv.set_create_revision(it->second.create_revision);
      kv.set_mod_revision(it->second.mod_revision);
      kv.set_version(it->second.version);
    }
  }
  response.mutable_header()->set_revision(revision_);
  return holds;
}

grpc::Status FakeCluster::Member::hang(grpc::ServerContext& context) {
  std::unique_lock lock(cluster.mutex_);
  while (!cluster.is_over_ && !context.IsCancelled())
    cluster.wake_.wait_for(lock, std::chrono::milliseconds(20));
  return {grpc::StatusCode::CANCELLED, "given up"};
}

grpc::Status FakeCluster::Member::Leases::LeaseGrant(grpc::ServerContext* context,
                                                     const pb::LeaseGrantRequest* request,
                                                     pb::LeaseGrantResponse* response) {
  if (member.mode != Mode::well) return member.hang(*context);
  response->set_id(request->id() == 0 ? 77 : request->id());
  response->set_ttl(request->ttl());
  return grpc::Status::OK;
}

grpc::Status FakeCluster::Member::Range(grpc::ServerContext* context, const pb::RangeRequest*,
                                        pb::RangeResponse* response) {
  if (mode == Mode::paused) return hang(*context);
  std::lock_guard lock(cluster.mutex_);
  response->mutable_header()->set_revision(cluster.revision_);
  return grpc::Status::OK;
}

grpc::Status FakeCluster::Member::Put(grpc::ServerContext* context, const pb::PutRequest* request,
                                      pb::PutResponse* response) {
  if (mode != Mode::well) return hang(*context);
  pb::TxnRequest whole;
  *whole.add_success()->mutable_request_put() = *request;
  pb::TxnResponse answer;
  cluster.apply(whole, answer);
  response->mutable_header()->set_revision(answer.header().revision());
  return grpc::Status::OK;
}

grpc::Status FakeCluster::Member::Txn(grpc::ServerContext* context, const pb::TxnRequest* request,
                                      pb::TxnResponse* response) {
  ++transactions;
  switch (mode) {
    case Mode::well:
      cluster.apply(*request, *response);
      return grpc::Status::OK;
    case Mode::lose:
    case Mode::paused:
      return hang(*context);
    case Mode::apply_and_hang:
      cluster.apply(*request, *response);
      return hang(*context);
    case Mode::apply_and_break:
      cluster.apply(*request, *response);
      return {grpc::StatusCode::UNAVAILABLE, "Socket closed"};
    case Mode::delay:
      break;
  }
  {
    std::unique_lock lock(cluster.mutex_);
    cluster.wake_.wait(lock, [&] { return cluster.is_over_ || cluster.is_released_; });
  }
  cluster.apply(*request, *response);
  ++decided;
  return grpc::Status::OK;
}

}  // namespace rusternetes::storage::etcd::testing
