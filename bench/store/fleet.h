#pragma once
// Many workers, each with one request under way, that send the same kind of request as fast as it is answered.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "etcd/rpc.pb.h"
#include "store/endpoint.h"

namespace rusternetes::bench {

// One request and its answer; which of both kinds it is says `is_range`.
struct Operation {
  bool is_range = false;
  etcdserverpb::TxnRequest txn;
  etcdserverpb::TxnResponse txn_answer;
  etcdserverpb::RangeRequest range;
  etcdserverpb::RangeResponse range_answer;
  void clear();
};

// What the workers do. Called on gRPC's threads, for several n at a time.
struct Work {
  std::function<void(std::size_t n, Operation& operation)> make;
  // Why the answer is not what it must be, or nothing.
  std::function<std::string(std::size_t n, const Operation& operation)> check;
};

struct FleetReport {
  double seconds = 0;
  double client_cpu_seconds = 0, server_cpu_seconds = 0;
  std::vector<float> latencies_ms;  // sorted
};

// Requests `from` .. `from + count - 1`. The first that fails ends the run, and so does one that takes a minute.
Result<FleetReport> run_fleet(const Channels& channels, std::size_t workers, std::size_t from, std::size_t count,
                              const Work& work, int server_pid = 0);

// One request on this thread.
Result<void> ask(grpc::Channel& channel, const etcdserverpb::RangeRequest& request,
                 etcdserverpb::RangeResponse& answer);
Result<void> ask(grpc::Channel& channel, const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse& answer);

// A percentile (0 to 100) of what is sorted; 0 of nothing.
double percentile(const std::vector<float>& sorted, double percent);
// User and system time of this process so far.
double own_cpu_seconds();
// The same of another process of this host; 0 of pid 0 or if there is none.
double cpu_seconds_of(int pid);
float milliseconds_since(std::chrono::steady_clock::time_point begin);

}  // namespace rusternetes::bench
