#pragma once
// Connections or requests as fast as they are answered, over plain HTTP/1.1, from one thread.

#include <cstddef>
#include <string>
#include <vector>

namespace rusternetes::bench {

enum class LoadMode {
  connections,  // each request on a connection of its own
  requests,     // all of a worker's requests on one connection
};

struct LoadReport {
  double seconds = 0;  // the warm-up (a tenth of the time asked for) left out, as from what follows
  double client_cpu_seconds = 0;
  std::vector<float> latencies_ms;  // sorted; with connections from the call of connect on
  std::size_t failures = 0;         // refused, cut, answered wrongly, or not answered within 3 s
  std::string first_failure;
};

// `workers` at a time, for `milliseconds`. A connection is ended by a reset, so that none lingers and runs
// into the next one with its ports. False, and a complaint on standard error, if the address is none.
bool run_load(const std::string& address, int port, LoadMode mode, std::size_t workers, int milliseconds,
              LoadReport& report);

}  // namespace rusternetes::bench
