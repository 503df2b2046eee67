#include "api-server/flags.h"

namespace rusternetes::api_server {

const std::set<std::string_view>& unsupported_flags() {
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
      "encryption-provider-config-automatic-reload", "endpoint-reconciler-type",
      "etcd-count-metric-poll-period", "etcd-db-metric-poll-interval", "etcd-healthcheck-timeout", "etcd-readycheck-timeout",
      "etcd-servers-overrides", "external-hostname", "feature-gates", "goaway-chance", "http2-max-streams-per-connection",
      "kubelet-port", "kubelet-preferred-address-types", "kubelet-read-only-port", "kubelet-timeout", "kubernetes-service-node-port", "lease-reuse-duration-seconds",
      "livez-grace-period", "log-flush-frequency", "log-json-info-buffer-size", "log-json-split-stream", "log-text-info-buffer-size", "log-text-split-stream",
      "logging-format", "max-connection-bytes-per-sec", "min-compatibility-version", "min-request-timeout", "oidc-ca-file", "oidc-client-id",
      "oidc-groups-claim", "oidc-groups-prefix", "oidc-issuer-url", "oidc-required-claim", "oidc-signing-algs", "oidc-username-claim", "oidc-username-prefix",
      "peer-advertise-ip", "peer-advertise-port", "peer-ca-file", "permit-address-sharing", "permit-port-sharing", "profiling", "proxy-client-cert-file",
      "proxy-client-key-file", "requestheader-allowed-names", "requestheader-client-ca-file", "requestheader-extra-headers-prefix",
      "requestheader-group-headers", "requestheader-uid-headers", "requestheader-username-headers", "runtime-config", "runtime-config-emulation-forward-compatible",
      "service-account-extend-token-expiration", "service-account-jwks-uri", "service-account-lookup", "service-account-max-token-expiration",
      "service-account-signing-endpoint", "service-node-port-range", "show-hidden-metrics-for-version", "shutdown-delay-duration",
      "shutdown-send-retry-after", "shutdown-watch-termination-grace-period", "storage-initialization-timeout", "storage-media-type",
      "strict-transport-security-directives", "target-ram-mb", "tls-cipher-suites", "tls-curve-preferences", "tls-min-version", "tls-sni-cert-key",
      "tracing-config-file", "vmodule", "watch-cache", "watch-cache-sizes"};
  return names;
}

}  // namespace rusternetes::api_server
