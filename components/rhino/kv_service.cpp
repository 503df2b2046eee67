#include "rhino/kv_service.h"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "rhino/checks.h"
#include "rhino/convert.h"
#include "rhino/errors.h"
#include "rhino/range_wire.h"
#include "rhino/unary.h"

namespace rusternetes::rhino {

using namespace etcdserverpb;

namespace {

// A read of more keys than this is a long one.
constexpr std::int64_t short_range = 1000;

bool is_long(const RangeRequest& request) {
  if (request.range_end().empty() || request.count_only()) return false;
  return request.limit() <= 0 || request.limit() > short_range ||
         request.sort_target() != RangeRequest::KEY || request.sort_order() != RangeRequest::NONE ||
         request.revision() > 0;
}

}  // namespace

grpc::Status KvService::answer(const RangeRequest& request, grpc::ByteBuffer& response) {
  auto asked = to_store(request);
  asked.revision = std::max<std::int64_t>(0, asked.revision);  // etcd takes a negative one for none here
  if (!is_as_stored(request)) {
    auto found = member_.store().range(asked);
    if (!found) return to_grpc(found.error());
    RangeResponse answer;
    member_.fill(*answer.mutable_header(), found->revision);
    to_proto(request, std::move(*found), answer);
    bool is_own = false;
    return grpc::SerializationTraits<RangeResponse>::Serialize(answer, &response, &is_own);
  }
  RangeWire wire;
  auto found = member_.store().range(asked, [&](std::size_t place, const storage::KeyValue& kv,
                                                std::string_view value) { wire.add(place, kv, value); });
  if (!found) return to_grpc(found.error());
  ResponseHeader header;
  member_.fill(header, found->revision);
  response = wire.finish(header, *found);
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* KvService::Range(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* bytes, grpc::ByteBuffer* response) {
  RangeRequest request;
  grpc::ByteBuffer taken(*bytes);  // a reference; to parse empties it
  if (auto refused = grpc::SerializationTraits<RangeRequest>::Deserialize(&taken, &request); !refused.ok())
    return finish(context, refused);
  if (auto refused = check(request); !refused.ok()) return finish(context, refused);
  if (member_.has_alarm(CORRUPT)) return finish(context, errors::corrupt());
  ++member_.counters.ranges;
  if (!is_long(request)) return finish(context, answer(request, *response));
  auto* reactor = context->DefaultReactor();
  try {
    reader_.post([this, request = std::move(request), response, reactor] {
      reactor->Finish(answer(request, *response));
    });
  } catch (const std::length_error&) {
    reactor->Finish(errors::too_many_requests());
  }
  return reactor;
}

grpc::Status KvService::check_write(std::size_t bytes, bool has_put) {
  if (bytes > member_.options().max_request_bytes) return errors::too_large();
  if (member_.has_alarm(CORRUPT)) return errors::corrupt();
  if (has_put && !member_.has_room(bytes)) return errors::no_space();
  return grpc::Status::OK;
}

// The requests belong to gRPC, which leaves them alone until the call has ended; their values move into the
// store.
grpc::ServerUnaryReactor* KvService::Put(grpc::CallbackServerContext* context, const PutRequest* request,
                                         PutResponse* response) {
  if (auto refused = check(*request); !refused.ok()) return finish(context, refused);
  if (auto refused = check_write(request->ByteSizeLong(), true); !refused.ok())
    return finish(context, refused);
  // Where both the lease and the key that is to stay are missing, etcd names the lease.
  if (request->lease() != 0 && request->ignore_value() &&
      !member_.store().lease_time_to_live(request->lease(), false))
    return finish(context, errors::lease_not_found());
  auto* reactor = context->DefaultReactor();
  storage::TxnRequest txn;
  txn.success.emplace_back(to_store(*const_cast<PutRequest*>(request)));
  member_.store().txn(std::move(txn), [this, response, reactor](Result<storage::TxnResponse> done) {
    if (!done) return reactor->Finish(to_grpc(done.error()));
    ++member_.counters.puts;
    to_proto(std::get<storage::PutResponse>(done->responses[0]), *response);
    member_.fill(*response->mutable_header(), done->revision);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* KvService::DeleteRange(grpc::CallbackServerContext* context,
                                                 const DeleteRangeRequest* request,
                                                 DeleteRangeResponse* response) {
  if (auto refused = check(*request); !refused.ok()) return finish(context, refused);
  if (auto refused = check_write(request->ByteSizeLong(), false); !refused.ok())
    return finish(context, refused);
  auto* reactor = context->DefaultReactor();
  storage::TxnRequest txn;
  txn.success.emplace_back(to_store(*request));
  member_.store().txn(std::move(txn), [this, response, reactor](Result<storage::TxnResponse> done) {
    if (!done) return reactor->Finish(to_grpc(done.error()));
    ++member_.counters.deletes;
    to_proto(std::get<storage::DeleteResponse>(done->responses[0]), *response);
    member_.fill(*response->mutable_header(), done->revision);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* KvService::Txn(grpc::CallbackServerContext* context, const TxnRequest* request,
                                         TxnResponse* response) {
  if (auto refused = check(*request, member_.options().max_txn_ops); !refused.ok())
    return finish(context, refused);
  const bool writes = !is_read_only(*request);
  const std::size_t bytes = writes ? request->ByteSizeLong() : 0;
  if (auto refused = check_write(bytes, has_put(*request)); !refused.ok()) return finish(context, refused);
  auto* reactor = context->DefaultReactor();
  auto txn = to_store(*const_cast<TxnRequest*>(request));
  member_.store().txn(std::move(txn), [this, request, response, reactor](Result<storage::TxnResponse> done) {
    if (!done) return reactor->Finish(to_grpc(done.error()));
    ++member_.counters.txns;
    const auto revision = done->revision;
    to_proto(*request, std::move(*done), *response);
    member_.fill(*response->mutable_header(), revision);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* KvService::Compact(grpc::CallbackServerContext* context,
                                             const CompactionRequest* request, CompactionResponse* response) {
  if (member_.has_alarm(CORRUPT)) return finish(context, errors::corrupt());
  auto* reactor = context->DefaultReactor();
  member_.store().compact(request->revision(), [this, request, response, reactor](Result<void> done) {
    if (!done) return reactor->Finish(to_grpc(done.error()));
    ++member_.counters.compactions;
    member_.fill(*response->mutable_header());
    if (!request->physical()) return reactor->Finish(grpc::Status::OK);
    member_.store().when_compacted([reactor] { reactor->Finish(grpc::Status::OK); });
  });
  return reactor;
}

}  // namespace rusternetes::rhino
