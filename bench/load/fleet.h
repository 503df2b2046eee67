#pragma once
// Many workers that send the same kind of request as fast as it is answered, and how long that took. Answers
// are read to their end and thrown away: decoding them would measure this program.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "http/client.h"

namespace rusternetes::bench {

struct FleetOptions {
  std::size_t workers = 64;
  std::size_t connections = 8;  // HTTP/2 connections that the workers share
  std::size_t threads = 1;
};

struct FleetReport {
  std::size_t operations = 0;
  double seconds = 0;
  double client_cpu_seconds = 0;
  std::size_t failures = 0;
  std::string first_failure;
  std::vector<float> latencies_ms;  // sorted
};

// Request number n of a run; called on the fleet's threads, so it must be a pure function.
using MakeRequest = std::function<http::ClientRequest(std::size_t n)>;

// Sends requests `from` .. `from + count - 1`. Connections are opened before the clock starts.
Result<FleetReport> run_fleet(const http::Endpoint& endpoint, FleetOptions options, std::size_t from,
                              std::size_t count, MakeRequest make_request);

// A percentile (0 to 100) of what is sorted; 0 of nothing.
double percentile(const std::vector<float>& sorted, double percent);
// User and system time of this process so far.
double own_cpu_seconds();

}  // namespace rusternetes::bench
