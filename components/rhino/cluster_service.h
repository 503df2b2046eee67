#pragma once
// etcdserverpb.Cluster, of one member that stays alone: changes are refused in the words of an etcd that may
// not change.

#include "etcd/rpc.grpc.pb.h"
#include "rhino/errors.h"
#include "rhino/member.h"
#include "rhino/unary.h"

namespace rusternetes::rhino {

class ClusterService final : public etcdserverpb::Cluster::CallbackService {
 public:
  explicit ClusterService(Member& member) : member_(member) {}

  grpc::ServerUnaryReactor* MemberList(grpc::CallbackServerContext* context,
                                       const etcdserverpb::MemberListRequest*,
                                       etcdserverpb::MemberListResponse* response) override {
    member_.fill(*response->mutable_header());
    response->mutable_header()->set_revision(0);  // as etcd, which does not look at its data here
    auto& self = *response->add_members();
    self.set_id(member_.member_id());
    self.set_name(member_.options().name);
    for (const auto& url : member_.options().peer_urls) self.add_peerurls(url);
    for (const auto& url : member_.options().client_urls) self.add_clienturls(url);
    return finish(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* MemberAdd(grpc::CallbackServerContext* context,
                                      const etcdserverpb::MemberAddRequest* request,
                                      etcdserverpb::MemberAddResponse*) override {
    return finish(context,
                  request->peerurls().empty() ? errors::member_bad_urls() : errors::not_enough_started());
  }
  grpc::ServerUnaryReactor* MemberRemove(grpc::CallbackServerContext* context,
                                         const etcdserverpb::MemberRemoveRequest* request,
                                         etcdserverpb::MemberRemoveResponse*) override {
    return finish(context, known(request->id()) ? errors::not_enough_started() : errors::member_not_found());
  }
  grpc::ServerUnaryReactor* MemberUpdate(grpc::CallbackServerContext* context,
                                         const etcdserverpb::MemberUpdateRequest* request,
                                         etcdserverpb::MemberUpdateResponse*) override {
    return finish(context, known(request->id()) ? errors::not_capable() : errors::member_not_found());
  }
  grpc::ServerUnaryReactor* MemberPromote(grpc::CallbackServerContext* context,
                                          const etcdserverpb::MemberPromoteRequest* request,
                                          etcdserverpb::MemberPromoteResponse*) override {
    return finish(context, known(request->id()) ? errors::not_a_learner() : errors::member_not_found());
  }

 private:
  bool known(std::uint64_t id) const { return id == member_.member_id(); }
  Member& member_;
};

}  // namespace rusternetes::rhino
