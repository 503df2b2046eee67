// bench_rules: how long a proxy, ours or another, takes from an EndpointSlice to the kernel's rule; one
// measurement as one line of JSON. It looks at the network namespace that it runs in.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "client/remote_client.h"
#include "rules/changes.h"
#include "rules/rule_watch.h"
#include "word_program.h"

using namespace rusternetes;
using namespace rusternetes::bench;

namespace {

struct Flags {
  std::string kubeconfig, node_address;
  Scale scale;
  std::size_t from = 0, count = 1;
  int quiet_ms = 1'200, timeout_s = 120;
};

// Says "listening" when whoever makes the rules may begin.
Result<std::string> await_all(const Flags& flags) {
  RN_TRY(auto watch, RuleWatch::open());
  std::puts("listening");
  std::fflush(stdout);
  RN_TRY(const auto seen,
         watch.wait_for_all(static_cast<std::uint16_t>(flags.scale.total()),
                            std::chrono::steady_clock::now() + std::chrono::seconds(flags.timeout_s)));
  return fmt::format(R"({{"seen_at_ns":{}}})",
                     std::chrono::duration_cast<std::chrono::nanoseconds>(seen.time_since_epoch()).count());
}

Result<std::string> run_word(const std::string& word, const Flags& flags) {
  if (flags.scale.total() == 0 || flags.scale.total() > 30'000)
    return internal_error("from 1 to 30,000 endpoints in all");
  if (word == "await") return await_all(flags);
  RN_TRY(const auto remote, client::read_kubeconfig(flags.kubeconfig));
  const http::Endpoint endpoint{remote.servers.front(), remote.tls};
  if (word == "prepare") {
    RN_CHECK(make_services(endpoint, flags.scale, flags.node_address));
    return std::string("{}");
  }
  RN_TRY(const auto report, change_endpoints(endpoint, flags.scale, flags.from, flags.count, flags.quiet_ms));
  return fmt::format(R"({{"rule_ms":[{:.3f}],"answer_ms":[{:.3f}]}})", fmt::join(report.rule_ms, ","),
                     fmt::join(report.answer_ms, ","));
}

void define(CLI::App& app, Flags& flags) {
  app.require_subcommand(1);
  const std::pair<const char*, const char*> words[] = {
      {"prepare", "Create the node, Services and EndpointSlices"},
      {"await", "Say \"listening\", then wait until the kernel has told of every endpoint"},
      {"change", "Change endpoints, one at a time, and wait for each in the kernel"}};
  for (const auto& [word, help] : words) {
    auto* sub = app.add_subcommand(word, help);
    sub->add_option("--services", flags.scale.services, "How many there are")->required();
    sub->add_option("--endpoints", flags.scale.endpoints, "Of each Service")->required();
    const std::string_view name = word;
    if (name == "await") {
      sub->add_option("--timeout", flags.timeout_s, "Seconds")->capture_default_str();
      continue;
    }
    sub->add_option("--kubeconfig", flags.kubeconfig, "The api-server and who asks it")->required();
    if (name == "prepare")
      sub->add_option("--node-address", flags.node_address, "The node's InternalIP")->required();
    if (name != "change") continue;
    sub->add_option("--from", flags.from, "Number of the first change")->capture_default_str();
    sub->add_option("--count", flags.count, "How many changes")->capture_default_str();
    sub->add_option("--quiet", flags.quiet_ms, "Milliseconds without any change before each")
        ->capture_default_str();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_word_program(argc, argv, "bench_rules", "From an EndpointSlice to the kernel's rule", define, run_word);
}
