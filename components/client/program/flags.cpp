#include "program/flags.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "apimachinery/time.h"
#include "apimachinery/uid.h"
#include "base/nearest.h"
#include "base/release.h"

namespace rusternetes::program {

namespace {

Result<std::chrono::milliseconds> duration_of(std::string_view flag, const std::string& text) {
  auto parsed = apimachinery::parse_duration(text);
  if (!parsed) return internal_error(fmt::format("--{}: {}", flag, parsed.error().message));
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(*parsed));
}

}  // namespace

void add_common_flags(CLI::App& app, CommonFlags& flags) {
  app.allow_extras();  // so that explain_unknown() has the word
  app.add_option("--kubeconfig", flags.kubeconfig, "How to reach the API, and as whom");
  app.add_option(
         "--master", flags.masters,
         "Address of the API instead of the kubeconfig's; several, by commas, stand in for each other")
      ->delimiter(',');
  app.add_flag("--leader-elect", flags.leader_elect,
               "Act only while holding a Lease, so that several can run; =false acts at once")
      ->default_str("true");
  app.add_option("--leader-elect-lease-duration", flags.lease_duration,
                 "For how long the Lease holds without being renewed")
      ->capture_default_str();
  app.add_option("--leader-elect-renew-deadline", flags.renew_deadline,
                 "When to stop acting if the Lease cannot be renewed")
      ->capture_default_str();
  app.add_option("--leader-elect-retry-period", flags.retry_period,
                 "Between attempts to get or renew the Lease")
      ->capture_default_str();
  app.add_option("--leader-elect-resource-name", flags.lease_name, "Name of the Lease")
      ->capture_default_str();
  app.add_option("--leader-elect-resource-namespace", flags.lease_namespace, "Namespace of the Lease")
      ->capture_default_str();
  app.add_option("--bind-address", flags.bind_address, "Where /healthz, /livez and /readyz are served")
      ->capture_default_str();
  app.add_option("--secure-port", flags.secure_port, "Port of them, over TLS; 0: they are not served")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  app.add_option("--tls-cert-file", flags.tls_certificate_file,
                 "Certificate of that port; without it a self-signed one is made");
  app.add_option("--tls-private-key-file", flags.tls_key_file, "Its key");
  app.add_option("-v,--v", flags.verbosity, "Verbosity of the log; from 4 on, details")
      ->capture_default_str();
}

Result<client::RemoteOptions> remote_options(const CommonFlags& flags, std::string user_agent) {
  client::RemoteOptions options;
  if (!flags.kubeconfig.empty()) {
    RN_TRY(options, client::read_kubeconfig(flags.kubeconfig));
  } else if (flags.masters.empty()) {
    return internal_error("--kubeconfig says how to reach the API; it is missing, and so is --master");
  }
  if (!flags.masters.empty()) options.servers = flags.masters;
  options.user_agent = std::move(user_agent);
  return options;
}

Result<client::LeaderElector::Options> leader_options(const CommonFlags& flags) {
  client::LeaderElector::Options options;
  RN_TRY(options.lease_duration, duration_of("leader-elect-lease-duration", flags.lease_duration));
  RN_TRY(options.renew_deadline, duration_of("leader-elect-renew-deadline", flags.renew_deadline));
  RN_TRY(options.retry_period, duration_of("leader-elect-retry-period", flags.retry_period));
  options.name_space = flags.lease_namespace;
  options.lease_name = flags.lease_name;
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  options.identity = fmt::format("{}_{}", host, apimachinery::new_uid());
  RN_CHECK(client::LeaderElector::check(options));
  return options;
}

std::set<std::string_view> with_common_unsupported(std::set<std::string_view> own) {
  own.insert({
      "allow-metric-labels", "allow-metric-labels-manifest", "authentication-kubeconfig",
      "authentication-skip-lookup", "authentication-token-webhook-cache-ttl",
      "authentication-tolerate-lookup-failure", "authorization-always-allow-paths",
      "authorization-kubeconfig", "authorization-webhook-cache-authorized-ttl",
      "authorization-webhook-cache-unauthorized-ttl", "cert-dir", "client-ca-file", "contention-profiling",
      "disable-http2-serving", "disabled-metrics", "emulated-version", "feature-gates",
      "http2-max-streams-per-connection", "kube-api-burst", "kube-api-content-type", "kube-api-qps",
      "leader-elect-resource-lock", "log-flush-frequency", "log-json-info-buffer-size",
      "log-json-split-stream", "log-text-info-buffer-size", "log-text-split-stream", "logging-format",
      "min-compatibility-version", "permit-address-sharing", "permit-port-sharing", "profiling",
      "requestheader-allowed-names", "requestheader-client-ca-file", "requestheader-extra-headers-prefix",
      "requestheader-group-headers", "requestheader-uid-headers", "requestheader-username-headers",
      "show-hidden-metrics-for-version", "tls-cipher-suites", "tls-min-version", "tls-sni-cert-key",
      "vmodule"});
  return own;
}

std::string explain_unknown(const CLI::App& app, const std::vector<std::string>& words,
                            const std::set<std::string_view>& unsupported) {
  if (words.empty()) return {};
  const std::string& word = words.front();
  const auto dashes = word.find_first_not_of('-');
  if (dashes == 0 || dashes == word.npos) return fmt::format("unexpected argument \"{}\"", word);
  std::string name = word.substr(dashes);
  name = name.substr(0, name.find('='));
  if (unsupported.contains(name))
    return fmt::format("--{} is not supported: {} has no such feature yet; leave the flag out", name,
                       app.get_name());
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  if (const std::string near = nearest(name, names); !near.empty())
    return fmt::format("there is no flag --{}; did you mean --{}?", name, near);
  return fmt::format("there is no flag --{}; --help lists them", name);
}

std::optional<int> parse(CLI::App& app, int argc, char** argv,
                         const std::set<std::string_view>& unsupported) {
  app.set_version_flag("--version", version_line(app.get_name()));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  const std::string problem = explain_unknown(app, app.remaining(), unsupported);
  if (problem.empty()) return std::nullopt;
  std::cerr << app.get_name() << ": " << problem << "\n";
  return 1;
}

}  // namespace rusternetes::program
