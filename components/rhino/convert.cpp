#include "rhino/convert.h"

#include <algorithm>

namespace rusternetes::rhino {

using namespace etcdserverpb;

namespace {

bool is_filtered(const RangeRequest& request) {
  return request.min_mod_revision() || request.max_mod_revision() || request.min_create_revision() ||
         request.max_create_revision();
}

void filter(const RangeRequest& request, std::vector<storage::KeyValue>& kvs) {
  std::erase_if(kvs, [&](const storage::KeyValue& kv) {
    return (request.max_mod_revision() && kv.mod_revision > request.max_mod_revision()) ||
           (request.min_mod_revision() && kv.mod_revision < request.min_mod_revision()) ||
           (request.max_create_revision() && kv.create_revision > request.max_create_revision()) ||
           (request.min_create_revision() && kv.create_revision < request.min_create_revision());
  });
}

template <class Field>
void sort_by(std::vector<storage::KeyValue>& kvs, bool is_descending, Field field) {
  std::stable_sort(kvs.begin(), kvs.end(), [&](const storage::KeyValue& a, const storage::KeyValue& b) {
    return is_descending ? field(b) < field(a) : field(a) < field(b);
  });
}

// As etcd: another target than the key is sorted by, ascending, even if no order is asked for.
void sort(const RangeRequest& request, std::vector<storage::KeyValue>& kvs) {
  const bool is_descending = request.sort_order() == RangeRequest::DESCEND;
  switch (request.sort_target()) {
    case RangeRequest::KEY:
      if (is_descending) std::reverse(kvs.begin(), kvs.end());
      break;
    case RangeRequest::VERSION: sort_by(kvs, is_descending, [](const auto& kv) { return kv.version; }); break;
    case RangeRequest::CREATE:
      sort_by(kvs, is_descending, [](const auto& kv) { return kv.create_revision; });
      break;
    case RangeRequest::MOD:
      sort_by(kvs, is_descending, [](const auto& kv) { return kv.mod_revision; });
      break;
    case RangeRequest::VALUE:
      sort_by(kvs, is_descending, [](const auto& kv) -> const std::string& { return *kv.value; });
      break;
    default: break;
  }
}

storage::Compare compare_of(const Compare& compare) {
  storage::Compare out;
  out.key = compare.key();
  out.range_end = compare.range_end();
  switch (compare.target()) {
    case Compare::VERSION:
      out.target = storage::Compare::Target::version;
      out.number = compare.version();
      break;
    case Compare::CREATE:
      out.target = storage::Compare::Target::create_revision;
      out.number = compare.create_revision();
      break;
    case Compare::VALUE:
      out.target = storage::Compare::Target::value;
      out.text = compare.value();
      break;
    case Compare::LEASE:
      out.target = storage::Compare::Target::lease;
      out.number = compare.lease();
      break;
    default:
      out.target = storage::Compare::Target::mod_revision;
      out.number = compare.mod_revision();
  }
  switch (compare.result()) {
    case Compare::GREATER: out.relation = storage::Compare::Relation::greater; break;
    case Compare::LESS: out.relation = storage::Compare::Relation::less; break;
    case Compare::NOT_EQUAL: out.relation = storage::Compare::Relation::not_equal; break;
    default: out.relation = storage::Compare::Relation::equal;
  }
  return out;
}

storage::Operation operation_of(RequestOp& operation) {
  switch (operation.request_case()) {
    case RequestOp::kRequestPut: return rhino::to_store(*operation.mutable_request_put());
    case RequestOp::kRequestDeleteRange: return rhino::to_store(operation.request_delete_range());
    case RequestOp::kRequestTxn:
      return std::make_shared<storage::TxnRequest>(rhino::to_store(*operation.mutable_request_txn()));
    default: return rhino::to_store(operation.request_range());
  }
}

}  // namespace

storage::RangeRequest to_store(const RangeRequest& request) {
  storage::RangeRequest out;
  out.key = request.key();
  out.range_end = request.range_end();
  out.revision = request.revision();
  const bool is_cut_later = request.sort_order() != RangeRequest::NONE || is_filtered(request);
  out.limit = is_cut_later ? 0 : std::max<std::int64_t>(0, request.limit());
  // As etcd: without an order it is the first keys, and one more, that are sorted.
  if (out.limit > 0 && request.sort_target() != RangeRequest::KEY) ++out.limit;
  out.keys_only = request.keys_only() && request.sort_target() != RangeRequest::VALUE;
  out.count_only = request.count_only();
  return out;
}

bool is_as_stored(const RangeRequest& request) {
  return request.sort_order() == RangeRequest::NONE && request.sort_target() == RangeRequest::KEY &&
         !is_filtered(request);
}

storage::PutRequest to_store(PutRequest& request) {
  storage::PutRequest out;
  out.key = request.key();
  out.value = std::make_shared<const std::string>(std::move(*request.mutable_value()));
  out.lease = request.lease();
  out.previous = request.prev_kv();
  out.ignore_value = request.ignore_value();
  out.ignore_lease = request.ignore_lease();
  return out;
}

storage::DeleteRequest to_store(const DeleteRangeRequest& request) {
  return {request.key(), request.range_end(), request.prev_kv()};
}

storage::TxnRequest to_store(TxnRequest& request) {
  storage::TxnRequest out;
  out.compares.reserve(static_cast<std::size_t>(request.compare_size()));
  for (const auto& compare : request.compare()) out.compares.push_back(compare_of(compare));
  for (auto& operation : *request.mutable_success()) out.success.push_back(operation_of(operation));
  for (auto& operation : *request.mutable_failure()) out.failure.push_back(operation_of(operation));
  return out;
}

void to_proto(const storage::KeyValue& kv, mvccpb::KeyValue& out) {
  out.set_key(kv.key);
  out.set_create_revision(kv.create_revision);
  out.set_mod_revision(kv.mod_revision);
  out.set_version(kv.version);
  if (kv.value) out.set_value(*kv.value);
  out.set_lease(kv.lease);
}

void to_proto(const RangeRequest& request, storage::RangeResponse answer, RangeResponse& out) {
  out.mutable_header()->set_revision(answer.revision);
  out.set_count(answer.count);
  out.set_more(answer.more);
  if (request.count_only()) return;
  filter(request, answer.kvs);
  sort(request, answer.kvs);
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(0, request.limit()));
  if (limit > 0 && answer.kvs.size() > limit) {
    answer.kvs.resize(limit);
    out.set_more(true);
  }
  out.mutable_kvs()->Reserve(static_cast<int>(answer.kvs.size()));
  for (auto& kv : answer.kvs) {
    if (request.keys_only()) kv.value = nullptr;
    to_proto(kv, *out.add_kvs());
  }
}

void to_proto(const storage::PutResponse& answer, PutResponse& out) {
  out.mutable_header()->set_revision(answer.revision);
  if (answer.previous) to_proto(*answer.previous, *out.mutable_prev_kv());
}

void to_proto(const storage::DeleteResponse& answer, DeleteRangeResponse& out) {
  out.mutable_header()->set_revision(answer.revision);
  out.set_deleted(answer.deleted);
  for (const auto& kv : answer.previous) to_proto(kv, *out.add_prev_kvs());
}

void to_proto(const TxnRequest& request, storage::TxnResponse answer, TxnResponse& out) {
  out.set_succeeded(answer.succeeded);
  out.mutable_header();  // only the outermost one tells a revision
  const auto& operations = answer.succeeded ? request.success() : request.failure();
  for (std::size_t i = 0; i < answer.responses.size(); ++i) {
    auto& response = *out.add_responses();
    if (auto* range = std::get_if<storage::RangeResponse>(&answer.responses[i]))
      to_proto(operations[static_cast<int>(i)].request_range(), std::move(*range),
               *response.mutable_response_range());
    else if (auto* put = std::get_if<storage::PutResponse>(&answer.responses[i]))
      to_proto(*put, *response.mutable_response_put());
    else if (auto* removed = std::get_if<storage::DeleteResponse>(&answer.responses[i]))
      to_proto(*removed, *response.mutable_response_delete_range());
    else
      to_proto(operations[static_cast<int>(i)].request_txn(),
               std::move(*std::get<std::shared_ptr<storage::TxnResponse>>(answer.responses[i])),
               *response.mutable_response_txn());
  }
}

void to_proto(const storage::Event& event, mvccpb::Event& out) {
  out.set_type(event.type == storage::Event::Type::put ? mvccpb::Event::PUT : mvccpb::Event::DELETE);
  to_proto(event.kv, *out.mutable_kv());
  if (event.previous) to_proto(*event.previous, *out.mutable_prev_kv());
}

}  // namespace rusternetes::rhino
