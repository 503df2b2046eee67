#include "storage/etcd/errors.h"

#include <catch2/catch.hpp>

using namespace rusternetes::storage::etcd;

TEST_CASE("a call whose connection a server closes is one that another server may answer, and may have happened") {
  for (const grpc::Status& status : {grpc::Status(grpc::StatusCode::UNKNOWN, "Stream removed"),
                                     grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed"),
                                     grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded")}) {
    CHECK(is_server_failing(status));
    CHECK_FALSE(is_surely_unsent(status));
  }
  // What a server has answered.
  CHECK_FALSE(is_server_failing(grpc::Status(grpc::StatusCode::UNKNOWN, "etcdserver: corrupt cluster")));
  CHECK_FALSE(is_server_failing(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "Stream removed")));
  CHECK(is_surely_unsent(grpc::Status(grpc::StatusCode::UNAVAILABLE, "etcdserver: no leader")));
}
