// What etcd's command lines, environments and configuration files mean here, and what is refused.

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "rhino/flags.h"
#include "rhino/flags_table.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace std::chrono_literals;

namespace {

FlagsOutcome parse(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment = {}) {
  return parse_flags(arguments, environment);
}

Flags good(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {}) {
  auto outcome = parse(arguments, environment);
  INFO(outcome.err);
  REQUIRE(!outcome.exit_code);
  return outcome.flags;
}

std::string error_of(const std::vector<std::string>& arguments, int code = 1) {
  const auto outcome = parse(arguments);
  REQUIRE(outcome.exit_code == code);
  return outcome.err;
}

struct TemporaryFile {
  explicit TemporaryFile(const std::string& content) {
    std::string name = (std::filesystem::temp_directory_path() / "rhino-flags-XXXXXX").string();
    ::close(::mkstemp(name.data()));
    path = name;
    std::ofstream(path) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path); }
  std::string path;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("the defaults are etcd's") {
  const auto flags = good({});
  CHECK(flags.name == "default");
  CHECK(flags.data_dir == "default.etcd");
  CHECK(texts(flags.listen_client_urls) == Texts{"http://localhost:2379"});
  CHECK(texts(flags.advertise_client_urls) == Texts{"http://localhost:2379"});
  CHECK(texts(flags.advertise_peer_urls) == Texts{"http://localhost:2380"});
  CHECK(flags.quota_bytes == 2LL << 30);
  CHECK(flags.max_txn_ops == 128);
  CHECK(flags.max_request_bytes == 1'572'864);
  CHECK(flags.keepalive_min_time == 5s);
  CHECK(flags.keepalive_interval == 2h);
  CHECK(flags.keepalive_timeout == 20s);
  CHECK(flags.progress_notify_interval == 10min);
  CHECK(flags.compaction_period == 0s);
  CHECK(flags.initial_cluster == "default=http://localhost:2380");
  CHECK(check_initial_cluster(flags));
  CHECK(good({"--name=m0"}).data_dir == "m0.etcd");
}

TEST_CASE("flags are written as Go writes them") {
  CHECK(good({"-name", "a"}).name == "a");
  CHECK(good({"--name", "a"}).name == "a");
  CHECK(good({"-name=a"}).name == "a");
  CHECK(good({"--name=a", "--name=b"}).name == "b");
  CHECK(good({"--socket-reuse-port"}).reuse_port);
  CHECK_FALSE(good({"--socket-reuse-port=F"}).reuse_port);
  CHECK(good({"--max-txn-ops", "0x10"}).max_txn_ops == 16);
  // A boolean does not take the next word.
  CHECK(error_of({"--socket-reuse-port",
                  "false"}).find("\"false\" is not a valid flag") != std::string::npos);
  CHECK(error_of({"--nonsense"}, 2).find("flag provided but not defined: -nonsense") != std::string::npos);
  CHECK(error_of({"--name"}, 2).find("flag needs an argument: -name") != std::string::npos);
  CHECK(error_of({"--max-txn-ops=many"},
                 2).find("invalid value \"many\" for flag -max-txn-ops: parse error") !=
        std::string::npos);
  CHECK(error_of({"--pre-vote=maybe"},
                 2).find("invalid boolean value \"maybe\" for -pre-vote: parse error") !=
        std::string::npos);
  CHECK(error_of({"--initial-cluster-state=old"}, 2).find("invalid value") != std::string::npos);
}

TEST_CASE("durations are Go's") {
  CHECK(parse_go_duration("1h2m3.5s") == 1h + 2min + 3500ms);
  CHECK(parse_go_duration("100us") == 100us);
  CHECK(parse_go_duration("1\xc2\xb5s") == 1us);
  CHECK(parse_go_duration("7ns") == 7ns);
  CHECK(parse_go_duration("-1.5h") == -90min);
  CHECK(parse_go_duration("0") == 0s);
  CHECK(parse_go_duration(".5s") == 500ms);
  for (const auto* bad : {"", "5", "s", "1 s", "1x", "1..5s", "-", "999999999h"}) {
    INFO(bad);
    CHECK_FALSE(parse_go_duration(bad));
  }
  CHECK(error_of({"--grpc-keepalive-min-time=5"}, 2).find("-grpc-keepalive-min-time") != std::string::npos);
}

TEST_CASE("URLs are checked in etcd's words") {
  const auto urls = parse_urls("https://10.0.0.1:2379,http://127.0.0.1:2379,http://127.0.0.1:2379");
  CHECK(texts(urls.urls) == Texts{"http://127.0.0.1:2379", "https://10.0.0.1:2379"});
  CHECK(parse_urls("http://localhost").error ==
        "URL address does not have the form \"host:port\": http://localhost");
  CHECK(parse_urls("http://localhost:1/x").error == "URL must not contain a path: http://localhost:1/x");
  CHECK(parse_urls("localhost:2379").error ==
        "URL scheme must be http, https, unix, or unixs: localhost:2379");
  CHECK(parse_urls("unix:///run/x.sock").urls.at(0).socket_path() == "/run/x.sock");
  CHECK(parse_urls("unixs://localhost:m0").urls.at(0).socket_path() == "localhost:m0");
  CHECK(parse_urls("http://[::1]:2379").urls.at(0).host_name() == "::1");
  CHECK(error_of({"--listen-client-urls=http://example.com:1", "--advertise-client-urls=http://a:1"})
            .find("expected IP in URL for binding (http://example.com:1)") != std::string::npos);
  CHECK(error_of({"--listen-client-urls=http://127.0.0.1:1"})
            .find("--advertise-client-urls is required when --listen-client-urls is set explicitly") !=
        std::string::npos);
  CHECK(error_of({"--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://a:1"})
            .find("TLS key/cert (--cert-file, --key-file) must be provided for client url "
                  "https://127.0.0.1:1") != std::string::npos);
}

TEST_CASE("what controller-runtime's envtest starts etcd with is taken") {
  const auto flags = good({"--advertise-client-urls=http://127.0.0.1:33333", "--data-dir=/tmp/x",
                           "--listen-client-urls=http://127.0.0.1:33333",
                               "--listen-peer-urls=http://localhost:0",
                           "--unsafe-no-fsync=true"});
  CHECK(flags.data_dir == "/tmp/x");
  CHECK(check_initial_cluster(flags));
  // It asks --help for the flag, at the beginning of a line.
  CHECK(help_text().find("\n  --unsafe-no-fsync '") != std::string::npos);
}

TEST_CASE("a manifest of kubeadm is taken") {
  const std::string ip = "192.0.2.7";
  const auto flags = good({"--name=cp", "--listen-client-urls=https://127.0.0.1:2379,https://" + ip + ":2379",
                           "--advertise-client-urls=https://" + ip + ":2379",
                               "--listen-peer-urls=https://" + ip + ":2380",
                           "--initial-advertise-peer-urls=https://" + ip + ":2380",
                               "--data-dir=/var/lib/etcd",
                           "--cert-file=/pki/server.crt", "--key-file=/pki/server.key",
                           "--trusted-ca-file=/pki/ca.crt", "--client-cert-auth=true",
                           "--peer-cert-file=/pki/peer.crt", "--peer-key-file=/pki/peer.key",
                           "--peer-trusted-ca-file=/pki/ca.crt", "--peer-client-cert-auth=true",
                           "--snapshot-count=10000", "--listen-metrics-urls=http://127.0.0.1:2381",
                           "--feature-gates=InitialCorruptCheck=true", "--watch-progress-notify-interval=5s",
                           "--initial-cluster=cp=https://" + ip + ":2380"});
  CHECK(flags.progress_notify_interval == 5s);
  CHECK(flags.tls.requires_client_certificate());
  CHECK(texts(flags.advertise_peer_urls) == Texts{"https://" + ip + ":2380"});
  CHECK(check_initial_cluster(flags));
  const auto old =
      good({"--experimental-initial-corrupt-check=true", "--experimental-watch-progress-notify-interval=5s"});
  CHECK(old.progress_notify_interval == 5s);
}

TEST_CASE("an initial cluster must be this one member") {
  CHECK(error_of({"--name=a",
                  "--initial-cluster=a=http://h:1,b=http://h:2"}).find("rhino is a cluster of one") !=
        std::string::npos);
  const auto other = check_initial_cluster(good({"--name=a", "--initial-cluster=b=http://h:1"}));
  REQUIRE(!other);
  CHECK(other.error().message == "couldn't find local name \"a\" in the initial cluster configuration");
  const auto missing = check_initial_cluster(good({"--initial-cluster=default=http://h:1"}));
  REQUIRE(!missing);
  CHECK(missing.error().message.find("--initial-cluster has default=http://h:1 but missing from "
                                     "--initial-advertise-peer-urls=http://localhost:2380") == 0);
  const auto fewer = check_initial_cluster(
      good({"--initial-advertise-peer-urls=http://h:1,http://h:2", "--initial-cluster=default=http://h:1"}));
  REQUIRE(!fewer);
  CHECK(fewer.error().message.find("--initial-advertise-peer-urls has http://h:2 but missing from") == 0);
  CHECK_FALSE(check_initial_cluster(good({"--initial-cluster-state=existing"})));
  CHECK(error_of({"--initial-cluster=default=nonsense"}).find("error setting up initial cluster") !=
        std::string::npos);
}

TEST_CASE("what rhino does not have is refused by name") {
  for (const std::string flag : {"--discovery=http://x", "--discovery-endpoints=a:1",
                                 "--discovery-srv=example.com",
                                 "--wal-dir=/x", "--client-crl-file=/x", "--enable-pprof=true",
                                 "--enable-distributed-tracing", "--discovery-fallback=proxy"}) {
    const auto error = error_of({flag});
    INFO(error);
    CHECK(error.find(flag.substr(0, flag.find('=')) + " is not supported: ") != std::string::npos);
  }
  // Their defaults ask for nothing.
  good({"--discovery=", "--enable-pprof=false", "--discovery-fallback=exit", "--discovery-dial-timeout=2s"});
}

TEST_CASE("tuning of raft and bbolt is taken, and nonsense in it refused") {
  good({"--snapshot-count=5", "--heartbeat-interval=200", "--election-timeout=2000", "--max-wals=3",
        "--backend-bbolt-freelist-type=array", "--backend-batch-interval=10ms", "--pre-vote=false",
            "--auth-token=jwt",
        "--strict-reconfig-check", "--force-new-cluster", "--v2-deprecation=write-only"});
  CHECK(error_of({"--heartbeat-interval=500"})
            .find("should be at least as 5 times as --heartbeat-interval[500ms]") != std::string::npos);
  CHECK(error_of({"--election-timeout=60000"}).find("is too long") != std::string::npos);
  CHECK(error_of({"--feature-gates=Nope=true"}).find("unrecognized feature gate: Nope") != std::string::npos);
  CHECK(error_of({"--compact-hash-check-time=1m", "--experimental-compact-hash-check-time=1m"})
            .find("cannot set --experimental-compact-hash-check-time and --compact-hash-check-time at the "
                  "same time") != std::string::npos);
}

TEST_CASE("compaction takes a time or a number of revisions") {
  CHECK(good({"--auto-compaction-retention=2"}).compaction_period == 2h);
  CHECK(good({"--auto-compaction-retention=5m"}).compaction_period == 5min);
  CHECK(good({"--auto-compaction-mode=revision",
              "--auto-compaction-retention=1000"}).compaction_revisions == 1000);
  CHECK(error_of({"--auto-compaction-mode=hourly"}).find("unknown auto-compaction-mode \"hourly\"") !=
        std::string::npos);
  CHECK(error_of({"--auto-compaction-retention=soon"}).find("error parsing CompactionRetention") !=
        std::string::npos);
  CHECK(error_of({"--auto-compaction-mode=revision",
                  "--auto-compaction-retention=5m"}).find("number of revisions") !=
        std::string::npos);
}

TEST_CASE("versions and suites of TLS are checked") {
  CHECK_FALSE(good({"--tls-min-version=TLS1.3"}).tls.allows_tls12);
  CHECK_FALSE(good({"--tls-max-version=TLS1.2"}).tls.allows_tls13);
  CHECK(error_of({"--tls-min-version=TLS1.1"}).find("unexpected TLS version \"TLS1.1\"") !=
        std::string::npos);
  CHECK(error_of({"--tls-min-version=TLS1.3",
                  "--tls-max-version=TLS1.2"}).find("is greater than max version") !=
        std::string::npos);
  CHECK(good({"--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}).tls.cipher_suites.size() == 1);
  CHECK(error_of({"--cipher-suites=TLS_NOPE"}).find("unexpected TLS cipher suite \"TLS_NOPE\"") !=
        std::string::npos);
  CHECK(error_of({"--cert-file=x"}).find("KeyFile and CertFile must both be present") != std::string::npos);
  CHECK(error_of({"--cert-file=x", "--key-file=y",
                  "--client-cert-auth"}).find("--trusted-ca-file") != std::string::npos);
}

TEST_CASE("the environment stands for flags, and a flag goes before it") {
  const Texts environment{"ETCD_NAME=env", "ETCD_DATA_DIR=/env", "ETCD_MAX_TXN_OPS=7", "PATH=/bin",
                          "ETCD_NOPE=1",
                          "ETCD_WAL_DIR="};
  auto outcome = parse({"--name=flag"}, environment);
  REQUIRE(!outcome.exit_code);
  CHECK(outcome.flags.name == "flag");
  CHECK(outcome.flags.data_dir == "/env");
  CHECK(outcome.flags.max_txn_ops == 7);
  REQUIRE(outcome.warnings.size() == 2);
  CHECK(outcome.warnings[0] == "--name on the command line goes before ETCD_NAME");
  CHECK(outcome.warnings[1] == "unrecognized environment variable ETCD_NOPE");
  CHECK(parse({}, {"ETCD_PRE_VOTE=x"}).err.find("invalid value \"x\" for ETCD_PRE_VOTE") !=
        std::string::npos);
  CHECK(parse({}, {"ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:1"}).exit_code == 1);  // nothing is advertised
}

TEST_CASE("a configuration file takes the place of flags and environment") {
  const TemporaryFile file(R"(name: file
data-dir: /from/file
listen-client-urls: https://127.0.0.1:1,https://127.0.0.1:2
advertise-client-urls: https://127.0.0.1:1
quota-backend-bytes: 4294967296
grpc-keepalive-min-time: 3000000000
pre-vote: true
log-outputs: [stderr]
unknown-key: 1
client-transport-security:
  cert-file: /c
  key-file: /k
  trusted-ca-file: /ca
  client-cert-auth: true
peer-transport-security:
  cert-file: /pc
  allowed-cn: [a, b]
)");
  const auto outcome = parse({"--config-file", file.path, "--name=ignored"}, {"ETCD_DATA_DIR=/ignored"});
  INFO(outcome.err);
  REQUIRE(!outcome.exit_code);
  const auto& flags = outcome.flags;
  CHECK(flags.name == "file");
  CHECK(flags.data_dir == "/from/file");
  CHECK(flags.listen_client_urls.size() == 2);
  CHECK(flags.quota_bytes == 4LL << 30);
  CHECK(flags.keepalive_min_time == 3s);
  CHECK(flags.tls.cert_file == "/c");
  CHECK(flags.tls.client_cert_auth);
  CHECK(outcome.warnings.size() == 2);  // the unknown key, and the flags that are not looked at
  CHECK(parse({}, {"ETCD_CONFIG_FILE=" + file.path}).flags.name == "file");

  const TemporaryFile broken("name: [");
  CHECK(parse({"--config-file=" + broken.path}).exit_code == 1);
  const TemporaryFile wrong("max-txn-ops: many\n");
  CHECK(parse({"--config-file=" + wrong.path}).err.find("max-txn-ops: \"many\"") != std::string::npos);
  const TemporaryFile map("name: {a: b}\n");
  CHECK(parse({"--config-file=" + map.path}).exit_code == 1);
  CHECK(parse({"--config-file=/nowhere/at/all"}).exit_code == 1);
}

TEST_CASE("--version says which etcd is kept to, and --help lists every flag") {
  const auto version = parse({"--version"});
  CHECK(version.exit_code == 0);
  CHECK(version.out.find("etcd Version: 3.6.") == 0);
  CHECK(version.out.find("rhino") != std::string::npos);
  const auto help = parse({"--help"});
  CHECK(help.exit_code == 0);
  for (const auto& spec : flag_table()) {
    INFO(spec.name);
    CHECK(help.out.find(fmt::format("\n  --{}", spec.name)) != std::string::npos);
  }
}

TEST_CASE("the default of every flag can be read") {
  for (const auto& spec : flag_table()) {
    INFO(spec.name);
    CHECK(check_value(spec.name, std::string(spec.fallback)) == "");
  }
}

TEST_CASE("log flags are checked") {
  CHECK(good({"--log-level=warn"}).log_level == log::Level::warn);
  CHECK(good({"--log-outputs=stdout"}).log_output == "stdout");
  CHECK(good({"--log-outputs=default", "--log-format=console", "--logger=zap"}).log_output == "stderr");
  CHECK(error_of({"--log-level=loud"}).find("unrecognized level") != std::string::npos);
  CHECK(error_of({"--logger=capnslog"}).find("unknown logger option \"capnslog\"") != std::string::npos);
  CHECK(error_of({"--log-format=xml"}).find("unknown log format: xml") != std::string::npos);
  CHECK(error_of({"--log-outputs=stdout,stderr"}).find("one output") != std::string::npos);
}
