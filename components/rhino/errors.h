#pragma once
// etcd's errors: gRPC codes and texts as go.etcd.io/etcd/api/v3rpc/rpctypes has them, since clients match on
// both.

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace rusternetes::rhino {

namespace errors {

inline grpc::Status empty_key() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: key is not provided"};
}
inline grpc::Status key_not_found() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: key not found"};
}
inline grpc::Status value_provided() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: value is provided"};
}
inline grpc::Status lease_provided() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: lease is provided"};
}
inline grpc::Status too_many_ops() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: too many operations in txn request"};
}
inline grpc::Status duplicate_key() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"};
}
inline grpc::Status invalid_sort_option() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: invalid sort option"};
}
inline grpc::Status compacted() {
  return {grpc::StatusCode::OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"};
}
inline grpc::Status future_revision() {
  return {grpc::StatusCode::OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"};
}
inline grpc::Status no_space() {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"};
}
inline grpc::Status corrupt() { return {grpc::StatusCode::DATA_LOSS, "etcdserver: corrupt cluster"}; }
inline grpc::Status too_large() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: request is too large"};
}
inline grpc::Status too_many_requests() {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "etcdserver: too many requests"};
}
inline grpc::Status lease_not_found() {
  return {grpc::StatusCode::NOT_FOUND, "etcdserver: requested lease not found"};
}
inline grpc::Status lease_exists() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: lease already exists"};
}
inline grpc::Status lease_ttl_too_large() {
  return {grpc::StatusCode::OUT_OF_RANGE, "etcdserver: too large lease TTL"};
}
inline grpc::Status member_not_found() {
  return {grpc::StatusCode::NOT_FOUND, "etcdserver: member not found"};
}
inline grpc::Status not_enough_started() {
  return {grpc::StatusCode::FAILED_PRECONDITION,
          "etcdserver: re-configuration failed due to not enough started members"};
}
inline grpc::Status member_bad_urls() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: given member URLs are invalid"};
}
inline grpc::Status not_a_learner() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: can only promote a learner member"};
}
inline grpc::Status not_capable() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: not capable"};
}
inline grpc::Status bad_leader_transferee() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: bad leader transferee"};
}
inline grpc::Status stopped() { return {grpc::StatusCode::UNAVAILABLE, "etcdserver: server stopped"}; }
inline grpc::Status wrong_downgrade_format() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format"};
}
inline grpc::Status invalid_downgrade_target() {
  return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: invalid downgrade target version"};
}
inline grpc::Status no_downgrade() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: no inflight downgrade job"};
}
inline grpc::Status auth_not_enabled() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: authentication is not enabled"};
}
inline grpc::Status root_user_missing() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: root user does not exist"};
}
inline grpc::Status user_not_found() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: user name not found"};
}
inline grpc::Status role_not_found() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: role name not found"};
}

}  // namespace errors

// What the store refused, in etcd's words.
grpc::Status to_grpc(const Status& status);

}  // namespace rusternetes::rhino
