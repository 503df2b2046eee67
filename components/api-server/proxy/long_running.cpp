#include "api-server/proxy/long_running.h"

#include <fmt/format.h>

namespace rusternetes::api_server {

bool is_connect(const RequestInfo& info) {
  return info.is_resource && (info.subresource == "exec" || info.subresource == "attach" || info.subresource == "portforward" ||
                              info.subresource == "proxy" || info.subresource == "log");
}

LongRunning::Mark::Mark(LongRunning& all, std::string labels) : all_(all), labels_(std::move(labels)) { all_.add(labels_, 1); }
LongRunning::Mark::~Mark() { all_.add(labels_, -1); }

void LongRunning::add(const std::string& labels, int by) {
  std::lock_guard lock(mutex_);
  running_[labels] += by;
}

std::string LongRunning::labels(const RequestInfo& info) {
  const std::string_view scope = !info.name.empty() ? "resource" : !info.name_space.empty() ? "namespace" : "cluster";
  return fmt::format("component=\"apiserver\",group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
                     info.api_group, info.resource, scope, info.subresource, is_connect(info) ? "CONNECT" : "WATCH", info.api_version);
}

std::string LongRunning::text() const {
  std::string out =
      "# HELP apiserver_longrunning_requests [STABLE] Long-running requests that run now.\n"
      "# TYPE apiserver_longrunning_requests gauge\n";
  std::lock_guard lock(mutex_);
  for (const auto& [labels, count] : running_) out += fmt::format("apiserver_longrunning_requests{{{}}} {}\n", labels, count);
  return out;
}

}  // namespace rusternetes::api_server
