#pragma once
// What an api-server of Kubernetes asks its store: the shapes of its transactions and ranges (k8s.io/apiserver,
// storage/etcd3; go.etcd.io/etcd/client/v3/kubernetes). kine answers no others.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "etcd/rpc.pb.h"

namespace rusternetes::bench {

// Where the load lies. A prefix ends with "/".
inline constexpr const char* objects_prefix = "/registry/pods/";

std::string object_key(std::size_t n);
// `bytes` long, the like of which does not come again: it begins with the nanoseconds of the steady clock.
std::string fresh_value(std::size_t bytes);
// When the value was made; the epoch if it was not made by fresh_value.
std::chrono::steady_clock::time_point made_at(std::string_view value);
std::string range_end_of(std::string prefix);

void make_create(std::string key, std::string value, etcdserverpb::TxnRequest& request);
void make_update(std::string key, std::int64_t revision, std::string value, etcdserverpb::TxnRequest& request);
void make_delete(std::string key, std::int64_t revision, etcdserverpb::TxnRequest& request);
void make_get(std::string key, etcdserverpb::RangeRequest& request);
// Keys from `from` on (a prefix, or what follows the last key of the page before); `revision` 0: now; `limit` 0: all.
void make_page(std::string from, const std::string& prefix, std::int64_t limit, std::int64_t revision,
               etcdserverpb::RangeRequest& request);

}  // namespace rusternetes::bench
