#include "load/words.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "client/remote_client.h"
#include "load/objects.h"
#include "load/pki.h"
#include "load/single.h"

namespace rusternetes::bench {

namespace {

std::string pod_path(std::size_t n) {
  return fmt::format("/api/v1/namespaces/{}/pods/{}", name_space, pod_name(n));
}

http::ClientRequest request(const char* method, std::string target, std::string body = {},
                            const char* type = nullptr) {
  http::ClientRequest out;
  out.method = method;
  out.target = std::move(target);
  out.headers.set("accept", "application/json");
  if (type) out.headers.set("content-type", type);
  out.body = std::move(body);
  return out;
}

constexpr const char* merge_patch = "application/merge-patch+json";

MakeRequest requests_of(const std::string& word, std::size_t modulo) {
  if (word == "create")
    return [](std::size_t n) {
      return request("POST", fmt::format("/api/v1/namespaces/{}/pods", name_space), bare_pod(pod_name(n)),
                     "application/json");
    };
  if (word == "run")
    return [](std::size_t n) {
      return request("PATCH", pod_path(n) + "/status", running_status(n), merge_patch);
    };
  if (word == "patch")
    return [modulo](std::size_t n) {
      return request("PATCH", pod_path(n % modulo), small_patch(n), merge_patch);
    };
  if (word == "delete") return [](std::size_t n) { return request("DELETE", pod_path(n)); };
  // A stride that meets every Pod, so that neighbours in the map are not asked for one after the other.
  return [modulo](std::size_t n) { return request("GET", pod_path(n * 7919 % modulo)); };
}

}  // namespace

Result<std::string> run_word(const std::string& word, const Flags& flags) {
  if (word == "pki") {
    RN_CHECK(write_pki(flags.folder, flags.server));
    return std::string("{}");
  }
  RN_TRY(const auto remote, client::read_kubeconfig(flags.kubeconfig));
  const http::Endpoint endpoint{remote.servers.front(), remote.tls};
  if (word == "prepare") {
    RN_CHECK(prepare(endpoint));
    return std::string("{}");
  }
  if (word == "list") {
    RN_TRY(const auto report,
           run_lists(endpoint,
                     flags.encoding == "json" ? "application/json" : "application/vnd.kubernetes.protobuf",
                     flags.count));
    return fmt::format(R"({{"walls_ms":[{:.3f}],"bytes":{},"client_cpu_seconds":{:.3f}}})",
                       fmt::join(report.walls_ms, ","), report.bytes, own_cpu_seconds());
  }
  if (word == "watch") {
    RN_TRY(const auto latencies, run_watch(endpoint, flags.prefix, flags.count));
    return fmt::format(R"({{"operations":{},"p50_ms":{:.4f},"p99_ms":{:.4f}}})", latencies.size(),
                       percentile(latencies, 50), percentile(latencies, 99));
  }
  if (word == "running") {
    std::string manifest;
    if (!flags.create.empty()) {
      std::ifstream in(flags.create);
      if (!in) return internal_error("cannot read " + flags.create);
      std::stringstream text;
      text << in.rdbuf();
      manifest = text.str();
    }
    RN_TRY(const auto report, await_running(endpoint, flags.name_space, flags.name, manifest));
    return fmt::format(R"({{"created_ms":{:.3f},"running_ms":{:.3f},"running_at_ns":{}}})", report.created_ms,
                       report.running_ms, report.running_at_ns);
  }
  RN_TRY(const auto report,
         run_fleet(endpoint, flags.fleet, flags.from, flags.count, requests_of(word, flags.modulo)));
  if (report.failures > 0)
    return internal_error(fmt::format("{} of {} requests failed; the first: {}", report.failures, flags.count,
                                      report.first_failure));
  return fmt::format(
      R"({{"operations":{},"seconds":{:.4f},"per_second":{:.1f},"client_cpu_seconds":{:.3f},"p50_ms":{:.3f},"p99_ms":{:.3f}}})",
      report.operations, report.seconds, static_cast<double>(report.operations) / report.seconds,
      report.client_cpu_seconds, percentile(report.latencies_ms, 50), percentile(report.latencies_ms, 99));
}

}  // namespace rusternetes::bench
