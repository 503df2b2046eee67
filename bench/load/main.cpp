// bench_load: one measurement of one api-server, ours or another, as one line of JSON on standard output.

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "client/remote_client.h"
#include "load/fleet.h"
#include "load/objects.h"
#include "load/pki.h"
#include "load/single.h"

using namespace rusternetes;
using namespace rusternetes::bench;

namespace {

struct Flags {
  std::string kubeconfig, folder, server, encoding = "json", prefix = "watched", name_space = "default", name,
                                          create;
  std::size_t from = 0, count = 1000, modulo = 10'000;
  FleetOptions fleet;
};

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

void define(CLI::App& app, Flags& flags) {
  app.require_subcommand(1);
  auto* pki = app.add_subcommand("pki", "Write certificates and kubeconfigs for a control plane");
  pki->add_option("--folder", flags.folder, "Where to")->required();
  pki->add_option("--server", flags.server, "Address of the api-server in the kubeconfigs")->required();
  const std::pair<const char*, const char*> words[] = {
      {"prepare", "Make the namespace of the load"},
      {"create", "Create Pods"},
      {"run", "Patch the status of Pods to Running"},
      {"patch", "Merge-patch a label and an annotation of Pods"},
      {"get", "Get Pods"},
      {"delete", "Delete Pods"},
      {"list", "List all Pods, one request at a time"},
      {"watch", "Time from a create call to its event at another client"},
      {"running", "Watch a Pod until it is Running"}};
  for (const auto& [word, help] : words) {
    auto* sub = app.add_subcommand(word, help);
    sub->add_option("--kubeconfig", flags.kubeconfig, "The api-server and who asks it")->required();
    const std::string_view name = word;
    if (name == "prepare") continue;
    if (name == "running") {
      sub->add_option("--namespace", flags.name_space)->capture_default_str();
      sub->add_option("--name", flags.name, "The Pod")->required();
      sub->add_option("--create", flags.create, "JSON of the Pod, created once the watch is open");
      continue;
    }
    sub->add_option("--count", flags.count, "How many requests")->capture_default_str();
    if (name == "watch")
      sub->add_option("--prefix", flags.prefix, "Of the Pods' names")->capture_default_str();
    if (name == "list")
      sub->add_option("--encoding", flags.encoding, "json or protobuf")
          ->check(CLI::IsMember({"json", "protobuf"}));
    if (name == "watch" || name == "list") continue;
    sub->add_option("--from", flags.from, "Number of the first")->capture_default_str();
    sub->add_option("--pods", flags.modulo, "patch, get: how many Pods there are")->capture_default_str();
    sub->add_option("--workers", flags.fleet.workers, "Requests under way at a time")->capture_default_str();
    sub->add_option("--connections", flags.fleet.connections, "HTTP/2 connections that the workers share")
        ->capture_default_str();
    sub->add_option("--threads", flags.fleet.threads, "Threads that the workers are spread over")
        ->capture_default_str();
  }
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  Flags flags;
  CLI::App app{"One measurement of an api-server", "bench_load"};
  define(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  const std::string word = app.get_subcommands().front()->get_name();
  auto result = run_word(word, flags);
  if (!result) {
    std::cerr << "bench_load " << word << ": " << result.error().message << "\n";
    return 1;
  }
  std::cout << *result << "\n";
  return 0;
}
