#include "api-server/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

namespace rusternetes::api_server {
namespace {

// kube-apiserver v1.35's flags that have no counterpart here (yet).
const std::set<std::string_view>& unsupported() {
  static const std::set<std::string_view> names = {
      "admission-control-config-file", "aggregator-reject-forwarding-redirect", "allow-metric-labels", "allow-metric-labels-manifest",
      "anonymous-auth-config", "apiserver-count", "audit-log-batch-buffer-size", "audit-log-batch-max-size", "audit-log-batch-max-wait",
      "audit-log-batch-throttle-burst", "audit-log-batch-throttle-enable", "audit-log-batch-throttle-qps", "audit-log-compress", "audit-log-format",
      "audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize", "audit-log-mode", "audit-log-path", "audit-log-truncate-enabled",
      "audit-log-truncate-max-batch-size", "audit-log-truncate-max-event-size", "audit-log-version", "audit-policy-file", "audit-webhook-batch-buffer-size",
      "audit-webhook-config-file", "audit-webhook-mode", "authentication-config", "authentication-token-webhook-cache-ttl",
      "authentication-token-webhook-config-file", "authentication-token-webhook-version", "authorization-config", "authorization-webhook-cache-authorized-ttl",
      "authorization-webhook-cache-unauthorized-ttl", "authorization-webhook-config-file", "authorization-webhook-version", "contention-profiling",
      "coordinated-leadership-lease-duration", "cors-allowed-origins", "debug-socket-path", "default-not-ready-toleration-seconds",
      "default-unreachable-toleration-seconds", "default-watch-cache-size", "delete-collection-workers", "disable-http2-serving", "disabled-metrics",
      "egress-selector-config-file", "emulated-version", "emulation-forward-compatible", "enable-aggregator-routing", "enable-bootstrap-token-auth",
      "enable-garbage-collector", "enable-logs-handler", "enable-priority-and-fairness", "encryption-provider-config",
      "encryption-provider-config-automatic-reload", "endpoint-reconciler-type", "etcd-cafile", "etcd-certfile", "etcd-compaction-interval",
      "etcd-count-metric-poll-period", "etcd-db-metric-poll-interval", "etcd-healthcheck-timeout", "etcd-keyfile", "etcd-prefix", "etcd-readycheck-timeout",
      "etcd-servers-overrides", "event-ttl", "external-hostname", "feature-gates", "goaway-chance", "http2-max-streams-per-connection",
      "kubelet-port", "kubelet-preferred-address-types", "kubelet-read-only-port", "kubelet-timeout", "kubernetes-service-node-port", "lease-reuse-duration-seconds",
      "livez-grace-period", "log-flush-frequency", "log-json-info-buffer-size", "log-json-split-stream", "log-text-info-buffer-size", "log-text-split-stream",
      "logging-format", "max-connection-bytes-per-sec", "min-compatibility-version", "min-request-timeout", "oidc-ca-file", "oidc-client-id",
      "oidc-groups-claim", "oidc-groups-prefix", "oidc-issuer-url", "oidc-required-claim", "oidc-signing-algs", "oidc-username-claim", "oidc-username-prefix",
      "peer-advertise-ip", "peer-advertise-port", "peer-ca-file", "permit-address-sharing", "permit-port-sharing", "profiling", "proxy-client-cert-file",
      "proxy-client-key-file", "requestheader-allowed-names", "requestheader-client-ca-file", "requestheader-extra-headers-prefix",
      "requestheader-group-headers", "requestheader-uid-headers", "requestheader-username-headers", "runtime-config", "runtime-config-emulation-forward-compatible",
      "service-account-extend-token-expiration", "service-account-jwks-uri", "service-account-lookup", "service-account-max-token-expiration",
      "service-account-signing-endpoint", "service-node-port-range", "show-hidden-metrics-for-version", "shutdown-delay-duration",
      "shutdown-send-retry-after", "shutdown-watch-termination-grace-period", "storage-backend", "storage-initialization-timeout", "storage-media-type",
      "strict-transport-security-directives", "target-ram-mb", "tls-cipher-suites", "tls-curve-preferences", "tls-min-version", "tls-sni-cert-key",
      "tracing-config-file", "vmodule", "watch-cache", "watch-cache-sizes"};
  return names;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string explain_unknown_flags(const std::vector<std::string>& words, const std::vector<const CLI::Option*>& known) {
  for (const auto& word : words) {
    if (!word.starts_with("-")) continue;
    std::string name = word.substr(word.find_first_not_of('-') == std::string::npos ? word.size() : word.find_first_not_of('-'));
    name = name.substr(0, name.find('='));
    if (unsupported().contains(name)) return fmt::format("--{} is not supported: this api-server has no such feature yet; leave the flag out", name);
    std::string nearest;
    std::size_t best = 1000;
    for (const auto* option : known)
      for (const auto& candidate : option->get_lnames())
        if (const std::size_t d = distance(name, candidate); d < best) best = d, nearest = candidate;
    if (best <= std::max<std::size_t>(3, name.size() / 3)) return fmt::format("there is no flag --{}; did you mean --{}?", name, nearest);
    return fmt::format("there is no flag --{}; --help lists them", name);
  }
  if (!words.empty()) return fmt::format("unexpected argument \"{}\"", words[0]);
  return {};
}

}  // namespace rusternetes::api_server
