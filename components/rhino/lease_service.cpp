#include "rhino/lease_service.h"

#include <algorithm>
#include <utility>

#include "rhino/errors.h"
#include "rhino/unary.h"

namespace rusternetes::rhino {

using namespace etcdserverpb;

namespace {

// What etcd allows with its defaults: at least one and a half election timeouts of a second, rounded up.
constexpr std::int64_t least_ttl_s = 2, most_ttl_s = 9'000'000'000;

// One renewal after the other: a request is read when the answer before it was written.
class KeepAlive final
    : public StreamReactor<grpc::ServerBidiReactor<LeaseKeepAliveRequest, LeaseKeepAliveResponse>> {
 public:
  KeepAlive(Member& member, Streams& streams) : StreamReactor(streams), member_(member) {}

  void OnReadDone(bool ok) override {
    if (!ok) return finish(grpc::Status::OK);
    response_.Clear();
    response_.set_id(request_.id());
    // Before the renewal: a lease that ended at a revision was not renewed at a later one.
    member_.fill(*response_.mutable_header());
    member_.store().lease_keep_alive(request_.id(), [this](Result<storage::LeaseInfo> kept) {
      if (kept) response_.set_ttl(kept->granted_ttl_s);
      if (!kept && !kept.error().is("LeaseNotFound")) return finish(to_grpc(kept.error()));
      write(response_);
    });
  }
  void OnWriteDone(bool ok) override {
    if (ok)
      read(request_);
    else
      finish(grpc::Status::OK);
  }

 private:
  void start() override { read(request_); }

  Member& member_;
  LeaseKeepAliveRequest request_;
  LeaseKeepAliveResponse response_;
};

}  // namespace

grpc::ServerUnaryReactor* LeaseService::LeaseGrant(grpc::CallbackServerContext* context,
                                                   const LeaseGrantRequest* request,
                                                   LeaseGrantResponse* response) {
  if (request->ttl() > most_ttl_s) return finish(context, errors::lease_ttl_too_large());
  if (!member_.has_room(0)) return finish(context, errors::no_space());
  auto* reactor = context->DefaultReactor();
  const auto ttl_s = std::max(request->ttl(), least_ttl_s);
  auto ended = [this, response, reactor](Result<storage::LeaseInfo> granted) {
    if (!granted) return reactor->Finish(to_grpc(granted.error()));
    ++member_.counters.leases_granted;
    response->set_id(granted->id);
    response->set_ttl(granted->granted_ttl_s);
    member_.fill(*response->mutable_header());
    reactor->Finish(grpc::Status::OK);
  };
  member_.store().lease_grant(request->id(), ttl_s, std::move(ended));
  return reactor;
}

grpc::ServerUnaryReactor* LeaseService::LeaseRevoke(grpc::CallbackServerContext* context,
                                                    const LeaseRevokeRequest* request,
                                                    LeaseRevokeResponse* response) {
  auto* reactor = context->DefaultReactor();
  member_.store().lease_revoke(request->id(), [this, response, reactor](Result<void> revoked) {
    if (!revoked) return reactor->Finish(to_grpc(revoked.error()));
    ++member_.counters.leases_revoked;
    member_.fill(*response->mutable_header());
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerBidiReactor<LeaseKeepAliveRequest, LeaseKeepAliveResponse>* LeaseService::LeaseKeepAlive(
    grpc::CallbackServerContext*) {
  auto stream = std::make_shared<KeepAlive>(member_, streams_);
  stream->begin();
  return stream.get();
}

grpc::ServerUnaryReactor* LeaseService::LeaseTimeToLive(grpc::CallbackServerContext* context,
                                                        const LeaseTimeToLiveRequest* request,
                                                        LeaseTimeToLiveResponse* response) {
  auto info = member_.store().lease_time_to_live(request->id(), request->keys());
  if (!info && !info.error().is("LeaseNotFound")) return finish(context, to_grpc(info.error()));
  response->set_id(request->id());
  member_.fill(*response->mutable_header());
  if (info) {
    response->set_ttl(info->ttl_s);
    response->set_grantedttl(info->granted_ttl_s);
    for (auto& key : info->keys) response->add_keys(std::move(key));
  } else {
    response->set_ttl(-1);
  }
  return finish(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* LeaseService::LeaseLeases(grpc::CallbackServerContext* context,
                                                    const LeaseLeasesRequest*,
                                                    LeaseLeasesResponse* response) {
  auto ids = member_.store().leases();
  if (!ids) return finish(context, to_grpc(ids.error()));
  for (const auto id : *ids) response->add_leases()->set_id(id);
  member_.fill(*response->mutable_header());
  return finish(context, grpc::Status::OK);
}

}  // namespace rusternetes::rhino
