#include "storage/etcd/convert.h"

namespace rusternetes::storage::etcd {

namespace pb = etcdserverpb;

namespace {

void compare_to_proto(const Compare& compare, pb::Compare& out) {
  out.set_key(compare.key);
  out.set_range_end(compare.range_end);
  switch (compare.relation) {
    case Compare::Relation::equal: out.set_result(pb::Compare::EQUAL); break;
    case Compare::Relation::greater: out.set_result(pb::Compare::GREATER); break;
    case Compare::Relation::less: out.set_result(pb::Compare::LESS); break;
    case Compare::Relation::not_equal: out.set_result(pb::Compare::NOT_EQUAL); break;
  }
  switch (compare.target) {
    case Compare::Target::version:
      out.set_target(pb::Compare::VERSION);
      out.set_version(compare.number);
      break;
    case Compare::Target::create_revision:
      out.set_target(pb::Compare::CREATE);
      out.set_create_revision(compare.number);
      break;
    case Compare::Target::mod_revision:
      out.set_target(pb::Compare::MOD);
      out.set_mod_revision(compare.number);
      break;
    case Compare::Target::value:
      out.set_target(pb::Compare::VALUE);
      out.set_value(compare.text);
      break;
    case Compare::Target::lease:
      out.set_target(pb::Compare::LEASE);
      out.set_lease(compare.number);
      break;
  }
}

void operation_to_proto(const Operation& operation, pb::RequestOp& out) {
  if (auto* range = std::get_if<RangeRequest>(&operation)) {
    to_proto(*range, *out.mutable_request_range());
  } else if (auto* put = std::get_if<PutRequest>(&operation)) {
    auto& to = *out.mutable_request_put();
    to.set_key(put->key);
    if (put->value && !put->ignore_value) to.set_value(*put->value);
    if (!put->ignore_lease) to.set_lease(put->lease);
    to.set_prev_kv(put->previous);
    to.set_ignore_value(put->ignore_value);
    to.set_ignore_lease(put->ignore_lease);
  } else if (auto* removal = std::get_if<DeleteRequest>(&operation)) {
    auto& to = *out.mutable_request_delete_range();
    to.set_key(removal->key);
    to.set_range_end(removal->range_end);
    to.set_prev_kv(removal->previous);
  } else {
    to_proto(*std::get<std::shared_ptr<TxnRequest>>(operation), *out.mutable_request_txn());
  }
}

}  // namespace

void to_proto(const RangeRequest& request, pb::RangeRequest& out) {
  out.set_key(request.key);
  out.set_range_end(request.range_end);
  out.set_limit(request.limit);
  out.set_revision(request.revision);
  out.set_keys_only(request.keys_only);
  out.set_count_only(request.count_only);
}

void to_proto(const TxnRequest& request, pb::TxnRequest& out) {
  for (const auto& compare : request.compares) compare_to_proto(compare, *out.add_compare());
  for (const auto& operation : request.success) operation_to_proto(operation, *out.add_success());
  for (const auto& operation : request.failure) operation_to_proto(operation, *out.add_failure());
}

KeyValue from_proto(mvccpb::KeyValue& kv, bool has_value) {
  KeyValue out;
  out.key = std::move(*kv.mutable_key());
  if (has_value) out.value = std::make_shared<const std::string>(std::move(*kv.mutable_value()));
  out.create_revision = kv.create_revision();
  out.mod_revision = kv.mod_revision();
  out.version = kv.version();
  out.lease = kv.lease();
  return out;
}

RangeResponse from_proto(pb::RangeResponse& response, bool has_values) {
  RangeResponse out;
  out.revision = response.header().revision();
  out.count = response.count();
  out.more = response.more();
  out.kvs.reserve(static_cast<std::size_t>(response.kvs_size()));
  for (auto& kv : *response.mutable_kvs()) out.kvs.push_back(from_proto(kv, has_values));
  return out;
}

TxnResponse from_proto(const TxnRequest& request, pb::TxnResponse& response, Revision revision) {
  TxnResponse out;
  out.revision = revision;
  out.succeeded = response.succeeded();
  const auto& operations = out.succeeded ? request.success : request.failure;
  for (int i = 0; i < response.responses_size(); ++i) {
    auto& one = *response.mutable_responses(i);
    const auto& operation = operations[static_cast<std::size_t>(i)];
    switch (one.response_case()) {
      case pb::ResponseOp::kResponsePut: {
        auto& put = *one.mutable_response_put();
        PutResponse to{put.header().revision(), std::nullopt};
        if (put.has_prev_kv()) to.previous = from_proto(*put.mutable_prev_kv());
        out.responses.emplace_back(std::move(to));
        break;
      }
      case pb::ResponseOp::kResponseDeleteRange: {
        auto& removed = *one.mutable_response_delete_range();
        DeleteResponse to{removed.header().revision(), removed.deleted(), {}};
        for (auto& kv : *removed.mutable_prev_kvs()) to.previous.push_back(from_proto(kv));
        out.responses.emplace_back(std::move(to));
        break;
      }
      case pb::ResponseOp::kResponseTxn:
        out.responses.emplace_back(std::make_shared<TxnResponse>(from_proto(
            *std::get<std::shared_ptr<TxnRequest>>(operation), *one.mutable_response_txn(), revision)));
        break;
      default:
        out.responses.emplace_back(
            from_proto(*one.mutable_response_range(), !std::get<RangeRequest>(operation).keys_only));
    }
  }
  return out;
}

Event from_proto(mvccpb::Event& event) {
  Event out;
  out.type = event.type() == mvccpb::Event::DELETE ? Event::Type::remove : Event::Type::put;
  out.kv = from_proto(*event.mutable_kv(), out.type == Event::Type::put);
  if (event.has_prev_kv()) out.previous = from_proto(*event.mutable_prev_kv());
  return out;
}

}  // namespace rusternetes::storage::etcd
