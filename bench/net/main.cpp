// bench_net: a load of plain TCP and the server that it meets, one static program, so that it runs in a Pod
// as well.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "net/load.h"
#include "net/server.h"

using namespace rusternetes::bench;

namespace {

constexpr const char kUsage[] =
    "usage: bench_net load ADDRESS PORT connections|requests WORKERS MILLISECONDS\n"
    "       bench_net serve HTTP-PORT STREAM-PORT\n";

double percentile(const std::vector<float>& sorted, double percent) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(percent / 100 * static_cast<double>(sorted.size() - 1) + 0.5)];
}

int load(char** words) {
  const LoadMode mode = std::strcmp(words[2], "requests") == 0 ? LoadMode::requests : LoadMode::connections;
  LoadReport report;
  if (!run_load(words[0], std::atoi(words[1]), mode, static_cast<std::size_t>(std::atoi(words[3])),
                std::atoi(words[4]), report))
    return 2;
  std::printf(
      R"({"operations":%zu,"seconds":%.4f,"per_second":%.1f,"client_cpu_seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,)"
      R"("failures":%zu,"first_failure":"%s"})"
      "\n",
      report.latencies_ms.size(), report.seconds,
      static_cast<double>(report.latencies_ms.size()) / report.seconds, report.client_cpu_seconds,
      percentile(report.latencies_ms, 50), percentile(report.latencies_ms, 99), report.failures,
      report.first_failure.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 7 && std::strcmp(argv[1], "load") == 0) return load(argv + 2);
  if (argc == 4 && std::strcmp(argv[1], "serve") == 0) return serve(std::atoi(argv[2]), std::atoi(argv[3]));
  std::fputs(kUsage, stderr);
  return 2;
}
