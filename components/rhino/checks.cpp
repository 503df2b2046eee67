#include "rhino/checks.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "rhino/errors.h"

namespace rusternetes::rhino {

using namespace etcdserverpb;

grpc::Status check(const RangeRequest& request) {
  if (request.key().empty()) return errors::empty_key();
  if (!RangeRequest::SortOrder_IsValid(request.sort_order()) ||
      !RangeRequest::SortTarget_IsValid(request.sort_target()))
    return errors::invalid_sort_option();
  return grpc::Status::OK;
}

grpc::Status check(const PutRequest& request) {
  if (request.key().empty()) return errors::empty_key();
  if (request.ignore_value() && !request.value().empty()) return errors::value_provided();
  if (request.ignore_lease() && request.lease() != 0) return errors::lease_provided();
  return grpc::Status::OK;
}

grpc::Status check(const DeleteRangeRequest& request) {
  return request.key().empty() ? errors::empty_key() : grpc::Status::OK;
}

namespace {

grpc::Status check_shape(const TxnRequest& request, std::ptrdiff_t max_ops);

grpc::Status check_shape(const RequestOp& operation, std::ptrdiff_t max_ops) {
  switch (operation.request_case()) {
    case RequestOp::kRequestRange: return check(operation.request_range());
    case RequestOp::kRequestPut: return check(operation.request_put());
    case RequestOp::kRequestDeleteRange: return check(operation.request_delete_range());
    case RequestOp::kRequestTxn: return check_shape(operation.request_txn(), max_ops);
    default: return errors::key_not_found();  // as etcd answers an empty operation
  }
}

grpc::Status check_shape(const TxnRequest& request, std::ptrdiff_t max_ops) {
  const std::ptrdiff_t most =
      std::max({request.compare_size(), request.success_size(), request.failure_size()});
  if (most > max_ops) return errors::too_many_ops();
  for (const auto& compare : request.compare())
    if (compare.key().empty()) return errors::empty_key();
  for (const auto* operations : {&request.success(), &request.failure()})
    for (const auto& operation : *operations)
      if (auto refused = check_shape(operation, max_ops - most); !refused.ok()) return refused;
  return grpc::Status::OK;
}

// As etcd sees a removal here: its end is taken as it stands, so that one of "\0", which means every key from
// the first on, holds nothing.
struct Interval {
  std::string_view from, to;
  bool holds(std::string_view key) const { return to.empty() ? key == from : key >= from && key < to; }
};

// What some operations write: keys put, and what is removed. The two branches of a nested transaction may put
// the same key.
struct Written {
  std::set<std::string_view> puts;
  std::vector<Interval> removals;
  bool is_removed(std::string_view key) const {
    return std::any_of(removals.begin(), removals.end(), [&](const Interval& one) { return one.holds(key); });
  }
};

using Operations = google::protobuf::RepeatedPtrField<RequestOp>;

bool collect(const Operations& operations, Written& out) {
  for (const auto& operation : operations) {
    if (operation.request_case() != RequestOp::kRequestDeleteRange) continue;
    const auto& removal = operation.request_delete_range();
    out.removals.push_back({removal.key(), removal.range_end()});
  }
  for (const auto& operation : operations) {
    if (operation.request_case() != RequestOp::kRequestTxn) continue;
    Written then, otherwise;
    if (!collect(operation.request_txn().success(), then) ||
        !collect(operation.request_txn().failure(), otherwise))
      return false;
    for (const auto& key : then.puts)
      if (out.is_removed(key) || !out.puts.insert(key).second) return false;
    for (const auto& key : otherwise.puts) {
      if (out.is_removed(key)) return false;
      if (!out.puts.insert(key).second && !then.puts.contains(key)) return false;
    }
    for (auto* branch : {&then, &otherwise})
      out.removals.insert(out.removals.end(), branch->removals.begin(), branch->removals.end());
  }
  for (const auto& operation : operations) {
    if (operation.request_case() != RequestOp::kRequestPut) continue;
    const std::string_view key = operation.request_put().key();
    if (out.is_removed(key) || !out.puts.insert(key).second) return false;
  }
  return true;
}

bool any_operation(const TxnRequest& request, bool (*is_one)(const RequestOp&)) {
  for (const auto* operations : {&request.success(), &request.failure()})
    for (const auto& operation : *operations) {
      if (operation.request_case() == RequestOp::kRequestTxn) {
        if (any_operation(operation.request_txn(), is_one)) return true;
      } else if (is_one(operation)) {
        return true;
      }
    }
  return false;
}

}  // namespace

grpc::Status check(const TxnRequest& request, std::size_t max_ops) {
  if (auto refused = check_shape(request, static_cast<std::ptrdiff_t>(max_ops)); !refused.ok())
    return refused;
  for (const auto* operations : {&request.success(), &request.failure()}) {
    Written written;
    if (!collect(*operations, written)) return errors::duplicate_key();
  }
  return grpc::Status::OK;
}

bool is_read_only(const TxnRequest& request) {
  return !any_operation(request,
                        [](const RequestOp& one) { return one.request_case() != RequestOp::kRequestRange; });
}

bool has_put(const TxnRequest& request) {
  return any_operation(request,
                       [](const RequestOp& one) { return one.request_case() == RequestOp::kRequestPut; });
}

}  // namespace rusternetes::rhino
