#include "rhino/maintenance_service.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "rhino/errors.h"
#include "rhino/hash_kv.h"
#include "rhino/snapshot_stream.h"
#include "rhino/unary.h"

namespace rusternetes::rhino {

using namespace etcdserverpb;

MaintenanceService::Reactor* MaintenanceService::Alarm(Context* context, const AlarmRequest* request,
                                                       AlarmResponse* response) {
  auto add = [&](const Member::Alarm& alarm) {
    auto& out = *response->add_alarms();
    out.set_memberid(alarm.first);
    out.set_alarm(alarm.second);
  };
  const Member::Alarm asked{request->memberid(), request->alarm()};
  switch (request->action()) {
    case AlarmRequest::GET:
      for (const auto& alarm : member_.alarms())
        if (request->alarm() == NONE || alarm.second == request->alarm()) add(alarm);
      break;
    case AlarmRequest::ACTIVATE:
      if (request->alarm() != NONE && AlarmType_IsValid(request->alarm()) && member_.set_alarm(asked, true))
        add(asked);
      break;
    case AlarmRequest::DEACTIVATE:
      if (member_.set_alarm(asked, false)) add(asked);
      break;
    default: break;
  }
  member_.fill(*response->mutable_header());
  return finish(context, grpc::Status::OK);
}

MaintenanceService::Reactor* MaintenanceService::Status(Context* context, const StatusRequest*,
                                                        StatusResponse* response) {
  auto used = member_.store().used_bytes();
  if (!used) return finish(context, to_grpc(used.error()));
  member_.fill(*response->mutable_header());
  const auto revision = static_cast<std::uint64_t>(response->header().revision());
  response->set_version(etcd_version);
  response->set_dbsize(member_.store().size_bytes());
  response->set_dbsizeinuse(*used);
  response->set_dbsizequota(member_.options().quota_bytes);
  response->set_leader(member_.member_id());
  // There is no log of Raft's: what was applied is what there is.
  response->set_raftindex(revision);
  response->set_raftappliedindex(revision);
  response->set_raftterm(member_.term());
  response->set_storageversion(etcd_cluster_version);
  response->mutable_downgradeinfo();
  for (const auto& [member, type] : member_.alarms())
    response->add_errors(fmt::format("memberID:{} alarm:{} ", member, AlarmType_Name(type)));
  return finish(context, grpc::Status::OK);
}

MaintenanceService::Reactor* MaintenanceService::Defragment(Context* context, const DefragmentRequest*,
                                                            DefragmentResponse*) {
  auto* reactor = context->DefaultReactor();
  member_.store().defragment(
      [reactor](Result<void> done) { reactor->Finish(done ? grpc::Status::OK : to_grpc(done.error())); });
  return reactor;
}

MaintenanceService::Reactor* MaintenanceService::Hash(Context* context, const HashRequest*,
                                                      HashResponse* response) {
  auto* reactor = context->DefaultReactor();
  worker_.post([this, reactor, response] {
    auto hash = hash_kv(member_.store(), 0);
    if (!hash) return reactor->Finish(to_grpc(hash.error()));
    response->set_hash(hash->hash);
    member_.fill(*response->mutable_header(), hash->current_revision);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

MaintenanceService::Reactor* MaintenanceService::HashKV(Context* context, const HashKVRequest* request,
                                                        HashKVResponse* response) {
  auto* reactor = context->DefaultReactor();
  worker_.post([this, reactor, request, response] {
    auto hash = hash_kv(member_.store(), request->revision());
    if (!hash) return reactor->Finish(to_grpc(hash.error()));
    response->set_hash(hash->hash);
    response->set_hash_revision(hash->hash_revision);
    response->set_compact_revision(hash->compact_revision);
    member_.fill(*response->mutable_header(), hash->current_revision);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerWriteReactor<SnapshotResponse>* MaintenanceService::Snapshot(Context*, const SnapshotRequest*) {
  auto stream = std::make_shared<SnapshotStream>(member_, streams_, worker_);
  stream->begin();
  return stream.get();
}

MaintenanceService::Reactor* MaintenanceService::MoveLeader(Context* context,
                                                            const MoveLeaderRequest* request,
                                                            MoveLeaderResponse*) {
  return finish(context, request->targetid() == member_.member_id() ? grpc::Status::OK
                                                                    : errors::bad_leader_transferee());
}

namespace {

// "X.Y" or "X.Y.Z".
bool is_version(std::string_view text) {
  int parts = 0;
  for (;;) {
    const std::size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc{} || end != part.data() + part.size()) return false;
    ++parts;
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
  }
  return parts == 2 || parts == 3;
}

}  // namespace

// There is but one format: nothing to go down to.
MaintenanceService::Reactor* MaintenanceService::Downgrade(Context* context, const DowngradeRequest* request,
                                                           DowngradeResponse*) {
  if (request->action() == DowngradeRequest::CANCEL) return finish(context, errors::no_downgrade());
  return finish(context, is_version(request->version()) ? errors::invalid_downgrade_target()
                                                        : errors::wrong_downgrade_format());
}

}  // namespace rusternetes::rhino
