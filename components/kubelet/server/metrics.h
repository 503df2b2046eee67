#pragma once
// What the kubelet tells of itself and of what runs: /metrics, /metrics/resource, /stats/summary, /pods and /runningpods.

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/worker.h"
#include "kubelet/server/summary.h"

namespace rusternetes::kubelet {

// The requests that the kubelet's server answers, by path, as kubelet_http_* count them.
class ServerMetrics {
 public:
  // One request, until it is answered; a stream until its session has ended.
  class Mark {
   public:
    Mark(ServerMetrics& all, std::string_view method, std::string_view path);
    ~Mark();
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    ServerMetrics& all_;
    std::string labels_;
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  };
  // In the text form that Prometheus scrapes.
  std::string text() const;

 private:
  struct Series {
    std::uint64_t count = 0, in_flight = 0;
    double seconds = 0;
    std::array<std::uint64_t, 12> buckets{};
  };
  std::map<std::string, Series> series_;
};

// "/containerLogs/ns/pod/c" is counted as "containerLogs", "/metrics/resource" as itself.
std::string counted_path(std::string_view path);

// The lines of /metrics/resource.
std::string resource_metrics(const Summary& summary);
// If the summary cannot be made.
std::string failed_resource_metrics();

class MetricsEndpoints {
 public:
  using Parts = SummarySource::Parts;
  explicit MetricsEndpoints(Parts parts);

  struct Answer {
    int status = 200;
    std::string type, body;
  };
  static bool serves(const std::vector<std::string>& path);
  // From the runtime's executor. `path` is one that it serves.
  Task<Answer> answer(std::vector<std::string> path, std::map<std::string, std::string> query);
  ServerMetrics& server() { return server_; }

 private:
  Task<Answer> summary(bool only_cpu_and_memory);
  Task<Answer> resource();
  Task<Answer> own();
  Task<Answer> running_pods();

  Parts parts_;
  SummarySource source_;
  ServerMetrics server_;
};

}  // namespace rusternetes::kubelet
