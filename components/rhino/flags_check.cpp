// What etcd's flags mean together, and which combinations it refuses.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "rhino/flags.h"
#include "rhino/flags_table.h"

namespace rusternetes::rhino {
namespace {

Status refuse(std::string message) { return Status(400, "BadRequest", std::move(message)); }

class Values {
 public:
  explicit Values(const FlagValues& given) : given_(given) {}
  bool has(std::string_view name) const { return given_.find(name) != given_.end(); }
  std::string text(std::string_view name) const {
    const auto found = given_.find(name);
    if (found != given_.end()) return found->second;
    const FlagSpec* spec = find_flag(name);
    RN_ASSERT(spec, "a flag is in the table");
    return std::string(spec->fallback);
  }
  bool boolean(std::string_view name) const { return parse_go_bool(text(name)).value_or(false); }
  std::uint64_t number(std::string_view name) const { return parse_go_uint(text(name)).value_or(0); }
  std::chrono::nanoseconds duration(std::string_view name) const {
    return parse_go_duration(text(name)).value_or(std::chrono::nanoseconds(0));
  }
  std::vector<Url> urls(std::string_view name) const {
    const auto value = text(name);
    return value.empty() ? std::vector<Url>() : parse_urls(value).urls;
  }
  std::vector<std::string> list(std::string_view name) const {
    std::vector<std::string> all;
    for (auto& part : split(text(name), ','))
      if (!part.empty()) all.push_back(std::move(part));
    return all;
  }

 private:
  const FlagValues& given_;
};

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

Result<void> check_bind(const std::vector<Url>& urls) {
  for (const auto& url : urls)
    if (!url.is_unix() && url.host_name() != "localhost" && !is_address(url.host_name()))
      return refuse(fmt::format("expected IP in URL for binding ({})", url.text()));
  return {};
}

Result<void> check_advertised(std::string_view flag, const std::vector<Url>& urls) {
  for (const auto& url : urls)
    if (!url.is_unix() && url.host_name().empty())
      return refuse(fmt::format("--{} {} must be \"host:port\" (unexpected empty host ({}))", flag,
                                quoted(join(texts(urls), ",")), url.text()));
  return {};
}

// Old names beside their new ones, and what is not to be had.
Result<void> check_names(const FlagValues& given) {
  constexpr std::string_view old = "experimental-";
  for (const auto& [name, value] : given) {
    const FlagSpec* spec = find_flag(name);
    if (name.starts_with(old) && given.contains(std::string_view(name).substr(old.size())))
      return refuse(fmt::format("cannot set --{} and --{} at the same time, please use --{} only", name,
                                name.substr(old.size()), name.substr(old.size())));
    if (spec->fate != FlagFate::refused || value == spec->fallback) continue;
    if (spec->kind == FlagKind::boolean && parse_go_bool(value) == parse_go_bool(spec->fallback)) continue;
    return refuse(fmt::format("--{} is not supported: {}; leave the flag out", name, spec->help));
  }
  return {};
}

constexpr std::string_view features[] = {
    "AllAlpha", "AllBeta", "StopGRPCServiceOnDefrag", "TxnModeWriteWithSharedBuffer", "InitialCorruptCheck",
    "CompactHashCheck", "LeaseCheckpoint", "LeaseCheckpointPersist", "SetMemberLocalAddr"};

Result<void> check_feature_gates(const Values& values) {
  for (const auto& gate : values.list("feature-gates")) {
    const auto equals = gate.find('=');
    const auto name = gate.substr(0, equals);
    if (std::find(std::begin(features), std::end(features), name) == std::end(features))
      return refuse(fmt::format("unrecognized feature gate: {}", name));
    if (equals == std::string::npos) return refuse(fmt::format("missing bool value for {}", name));
    if (!parse_go_bool(gate.substr(equals + 1)))
      return refuse(fmt::format("invalid value of {}={}, err: a boolean is wanted", name,
                                gate.substr(equals + 1)));
  }
  return {};
}

// What has no effect here and is still checked, so that a manifest that etcd refuses is refused.
Result<void> check_tuning(const Values& values) {
  const auto tick = values.number("heartbeat-interval"), election = values.number("election-timeout");
  if (tick == 0) return refuse("--heartbeat-interval must be >0 (set to 0ms)");
  if (election == 0) return refuse("--election-timeout must be >0 (set to 0ms)");
  if (5 * tick > election)
    return refuse(fmt::format(
        "--election-timeout[{}ms] should be at least as 5 times as --heartbeat-interval[{}ms]", election,
        tick));
  if (election > 50'000)
    return refuse(
        fmt::format("--election-timeout[{}ms] is too long, and should be set less than 50000ms", election));
  if (values.text("logger") != "zap")
    return refuse(fmt::format("unknown logger option {}", quoted(values.text("logger"))));
  const auto format = values.text("log-format");
  if (format != "json" && format != "console")
    return refuse(fmt::format("unknown log format: {}, supported values json, console", format));
  return check_feature_gates(values);
}

Result<void> read_log(const Values& values, Flags& flags) {
  const auto level = values.text("log-level");
  if (level == "debug")
    flags.log_level = log::Level::debug;
  else if (level == "info")
    flags.log_level = log::Level::info;
  else if (level == "warn")
    flags.log_level = log::Level::warn;
  else if (level == "error" || level == "dpanic" || level == "panic" || level == "fatal")
    flags.log_level = log::Level::error;
  else
    return refuse(fmt::format("unrecognized level: {}", quoted(level)));
  const auto outputs = values.list("log-outputs");
  if (outputs.size() > 1) return refuse("--log-outputs is one output here; leave all but one out");
  flags.log_output = outputs.empty() || outputs.front() == "default" || outputs.front() == "systemd/journal"
                         ? "stderr"
                         : outputs.front();
  return {};
}

Result<void> read_tls(const Values& values, Flags& flags) {
  auto& tls = flags.tls;
  tls.cert_file = values.text("cert-file");
  tls.key_file = values.text("key-file");
  tls.trusted_ca_file = values.text("trusted-ca-file");
  tls.client_cert_auth = values.boolean("client-cert-auth");
  tls.auto_tls = values.boolean("auto-tls");
  tls.self_signed_validity_years = static_cast<unsigned>(values.number("self-signed-cert-validity"));
  tls.cipher_suites = values.list("cipher-suites");
  const auto least = values.text("tls-min-version"), most = values.text("tls-max-version");
  for (const auto& version : {least, most})
    if (!version.empty() && version != "TLS1.2" && version != "TLS1.3")
      return refuse(fmt::format("unexpected TLS version {} (must be one of: TLS1.2, TLS1.3)",
                                quoted(version)));
  tls.allows_tls12 = least != "TLS1.3";
  tls.allows_tls13 = most != "TLS1.2";
  if (!tls.allows_tls12 && !tls.allows_tls13)
    return refuse(fmt::format("min version ({}) is greater than max version ({})", least, most));
  if (!tls.allows_tls12 && !tls.cipher_suites.empty())
    return refuse("cipher suites cannot be configured when only TLS1.3 is enabled");
  for (const auto& suite : tls.cipher_suites) {
    const std::string_view name = ::OPENSSL_cipher_name(suite.c_str());
    if (name == "(NONE)") return refuse(fmt::format("unexpected TLS cipher suite {}", quoted(suite)));
  }
  if (tls.cert_file.empty() != tls.key_file.empty())
    return refuse(fmt::format("KeyFile and CertFile must both be present[key: {}, cert: {}]", tls.key_file,
                              tls.cert_file));
  if (!tls.is_empty() && tls.client_cert_auth && tls.trusted_ca_file.empty())
    return refuse(
        "--client-cert-auth needs --trusted-ca-file, the authorities that client certificates are checked "
        "against");
  if (tls.auto_tls && tls.self_signed_validity_years == 0)
    return refuse("--self-signed-cert-validity must be greater than 0");
  return {};
}

Result<void> read_compaction(const Values& values, Flags& flags) {
  flags.auto_compaction_mode = values.text("auto-compaction-mode");
  const bool is_periodic = flags.auto_compaction_mode == "periodic";
  if (flags.auto_compaction_mode.empty()) return refuse("undefined auto-compaction-mode");
  if (!is_periodic && flags.auto_compaction_mode != "revision")
    return refuse(fmt::format("unknown auto-compaction-mode {}", quoted(flags.auto_compaction_mode)));
  auto retention = values.text("auto-compaction-retention");
  if (retention.empty()) retention = "0";
  const bool is_number = retention.find_first_not_of("0123456789") == std::string::npos;
  const auto number = is_number ? parse_go_int(retention) : std::nullopt;
  if (is_number && number && is_periodic && *number > 24 * 366 * 100)
    return refuse(fmt::format("--auto-compaction-retention={} are more hours than there is history",
                              retention));
  const auto duration = parse_go_duration(retention);
  if (number) {
    flags.compaction_revisions = *number;
    flags.compaction_period = std::chrono::hours(is_periodic ? *number : 0);
  } else if (!is_periodic || !duration || duration->count() < 0) {
    // etcd takes a duration's nanoseconds for revisions; nobody means that.
    return refuse(fmt::format("error parsing CompactionRetention: {} is not a {}", quoted(retention),
                              is_periodic ? "duration" : "number of revisions"));
  } else {
    flags.compaction_period = *duration;
  }
  return {};
}

Result<void> read_limits(const Values& values, Flags& flags) {
  const auto quota = parse_go_int(values.text("quota-backend-bytes")).value_or(0);
  flags.quota_bytes = quota == 0 ? 2LL << 30 : quota;
  flags.max_txn_ops = values.number("max-txn-ops");
  flags.max_request_bytes = values.number("max-request-bytes");
  if (flags.max_request_bytes > 1U << 30)
    return refuse("--max-request-bytes: more than 1 GiB cannot be sent in one message");
  flags.max_concurrent_streams = static_cast<std::uint32_t>(values.number("max-concurrent-streams"));
  flags.keepalive_min_time = values.duration("grpc-keepalive-min-time");
  flags.keepalive_interval = values.duration("grpc-keepalive-interval");
  flags.keepalive_timeout = values.duration("grpc-keepalive-timeout");
  const bool is_old = values.has("experimental-watch-progress-notify-interval");
  constexpr std::string_view progress = "watch-progress-notify-interval";
  flags.progress_notify_interval =
      values.duration(is_old ? "experimental-watch-progress-notify-interval" : progress);
  if (flags.progress_notify_interval <= std::chrono::nanoseconds(0))
    flags.progress_notify_interval = std::chrono::minutes(10);
  flags.reuse_port = values.boolean("socket-reuse-port");
  return {};
}

Result<void> read_urls(const Values& values, bool is_from_file, Flags& flags) {
  flags.listen_client_urls = values.urls("listen-client-urls");
  flags.listen_client_http_urls = values.urls("listen-client-http-urls");
  flags.listen_metrics_urls = values.urls("listen-metrics-urls");
  flags.advertise_client_urls = values.urls("advertise-client-urls");
  flags.advertise_peer_urls = values.urls("initial-advertise-peer-urls");
  RN_CHECK(check_bind(values.urls("listen-peer-urls")));
  RN_CHECK(check_bind(flags.listen_client_urls));
  RN_CHECK(check_bind(flags.listen_client_http_urls));
  RN_CHECK(check_bind(flags.listen_metrics_urls));
  RN_CHECK(check_advertised("initial-advertise-peer-urls", flags.advertise_peer_urls));
  RN_CHECK(check_advertised("advertise-client-urls", flags.advertise_client_urls));
  const bool is_missing =
      values.has("listen-client-urls") && !values.has("advertise-client-urls") && !is_from_file;
  if (is_missing || flags.advertise_client_urls.empty())
    return refuse("--advertise-client-urls is required when --listen-client-urls is set explicitly");
  if (flags.listen_client_urls.empty())
    return refuse("--listen-client-urls is empty: there is nowhere to listen");
  for (const auto* urls : {&flags.listen_client_urls, &flags.listen_client_http_urls,
                           &flags.listen_metrics_urls})
    for (const auto& url : *urls)
      if (url.is_secure() && flags.tls.is_empty() && !flags.tls.auto_tls)
        return refuse(fmt::format("TLS key/cert (--cert-file, --key-file) must be provided for client url {} "
                                  "with HTTPS scheme",
                                  url.text()));
  return {};
}

Result<void> read_cluster(const Values& values, Flags& flags) {
  flags.initial_cluster_state = values.text("initial-cluster-state");
  if (flags.initial_cluster_state != "new" && flags.initial_cluster_state != "existing")
    return refuse(fmt::format("unexpected clusterState {}", quoted(flags.initial_cluster_state)));
  flags.initial_cluster = values.text("initial-cluster");
  if (!values.has("initial-cluster")) {
    std::vector<std::string> own;
    for (const auto& url : flags.advertise_peer_urls) own.push_back(flags.name + "=" + url.text());
    flags.initial_cluster = join(own, ",");
  }
  const auto members = members_of(flags.initial_cluster);
  for (const auto& [name, urls] : members)
    if (const auto parsed = parse_urls(join(urls, ",")); !parsed.error.empty())
      return refuse(fmt::format("error setting up initial cluster: {}", parsed.error));
  if (members.size() > 1)
    return refuse(fmt::format(
        "--initial-cluster names {} members, and rhino is a cluster of one: use etcd for several",
        members.size()));
  return {};
}

}  // namespace

std::map<std::string, std::vector<std::string>> members_of(const std::string& cluster) {
  std::map<std::string, std::vector<std::string>> members;
  for (const auto& entry : split(cluster, ',')) {
    if (entry.empty()) continue;
    const auto equals = entry.find('=');
    members[entry.substr(0, equals)].push_back(equals == std::string::npos ? "" : entry.substr(equals + 1));
  }
  return members;
}

Result<Flags> to_flags(const FlagValues& given, bool is_from_file) {
  RN_CHECK(check_names(given));
  const Values values(given);
  Flags flags;
  flags.name = values.text("name");
  flags.data_dir = values.text("data-dir");
  if (flags.data_dir.empty()) flags.data_dir = flags.name + ".etcd";
  flags.store_copy_socket = values.text("store-copy-socket");
  RN_CHECK(read_log(values, flags));
  RN_CHECK(read_tls(values, flags));
  RN_CHECK(read_urls(values, is_from_file, flags));
  RN_CHECK(check_tuning(values));
  RN_CHECK(read_cluster(values, flags));
  RN_CHECK(read_compaction(values, flags));
  RN_CHECK(read_limits(values, flags));
  for (auto& origin : values.list("cors")) flags.cors.insert(std::move(origin));
  for (auto& host : values.list("host-whitelist")) flags.host_whitelist.insert(std::move(host));
  return flags;
}

Result<void> check_initial_cluster(const Flags& flags) {
  const auto members = members_of(flags.initial_cluster);
  const auto own = members.find(flags.name);
  if (own == members.end())
    return refuse(fmt::format("couldn't find local name {} in the initial cluster configuration",
                              quoted(flags.name)));
  if (flags.initial_cluster_state == "existing")
    return refuse(
        "--initial-cluster-state=existing, and there is no data: rhino is a cluster of one and has none to "
        "join");
  const auto listed = texts(parse_urls(join(own->second, ",")).urls);
  const auto advertised = texts(flags.advertise_peer_urls);
  for (const auto& url : listed)
    if (std::find(advertised.begin(), advertised.end(), url) == advertised.end())
      return refuse(
          fmt::format("--initial-cluster has {}={} but missing from --initial-advertise-peer-urls={}",
                      flags.name, url, join(advertised, ",")));
  for (const auto& url : advertised)
    if (std::find(listed.begin(), listed.end(), url) == listed.end())
      return refuse(fmt::format("--initial-advertise-peer-urls has {} but missing from --initial-cluster={}",
                                url, flags.initial_cluster));
  return {};
}

}  // namespace rusternetes::rhino
