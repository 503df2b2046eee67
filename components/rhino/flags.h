#pragma once
// What the program was told: etcd's flags, environment variables (ETCD_NAME for --name) or configuration
// file, checked as etcd 3.6 checks them, with its sentences where clients and scripts know them.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "rhino/flags_values.h"

namespace rusternetes::rhino {

struct TlsFlags {
  std::string cert_file, key_file, trusted_ca_file;
  bool client_cert_auth = false;
  bool auto_tls = false;
  unsigned self_signed_validity_years = 1;
  bool allows_tls12 = true, allows_tls13 = true;
  std::vector<std::string> cipher_suites;  // IANA names, of TLS 1.2
  bool is_empty() const { return cert_file.empty() && key_file.empty(); }
  // As etcd: an authority alone makes certificates a must, too.
  bool requires_client_certificate() const { return client_cert_auth || !trusted_ca_file.empty(); }
};

struct Flags {
  std::string name, data_dir;
  std::string store_copy_socket;  // empty: none
  std::vector<Url> listen_client_urls, listen_client_http_urls, listen_metrics_urls;
  std::vector<Url> advertise_client_urls, advertise_peer_urls;
  TlsFlags tls;
  std::int64_t quota_bytes = 0;  // negative: none
  std::size_t max_txn_ops = 0, max_request_bytes = 0;
  std::uint32_t max_concurrent_streams = 0;
  // Zero or less: as when the flag of etcd is.
  std::chrono::nanoseconds keepalive_min_time{}, keepalive_interval{}, keepalive_timeout{};
  std::chrono::nanoseconds progress_notify_interval{};
  bool reuse_port = false;
  std::string auto_compaction_mode;
  std::chrono::nanoseconds compaction_period{};  // mode periodic; zero: off
  std::int64_t compaction_revisions = 0;         // mode revision; zero: off
  std::string initial_cluster, initial_cluster_state;
  std::set<std::string> cors, host_whitelist;  // "*" or nothing: all
  log::Level log_level = log::Level::info;
  std::string log_output;  // "stderr", "stdout" or a path
};

struct FlagsOutcome {
  std::optional<int> exit_code;  // there is nothing to run
  std::string out, err;          // what is to be said on either stream
  std::vector<std::string> warnings;
  Flags flags;
};

// `arguments` without the program's name; `environment` as "NAME=VALUE". Reads --config-file. Exit codes are
// etcd's: 2 for a flag that cannot be read, 1 for flags that do not fit together.
FlagsOutcome parse_flags(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment);

// Of name=url,name=url2,other=url: the URLs by member, as they stand there.
std::map<std::string, std::vector<std::string>> members_of(const std::string& cluster);
// For a data directory without data: whether --initial-cluster describes this one member, in etcd's words.
Result<void> check_initial_cluster(const Flags& flags);

std::string help_text();
std::string version_text();

// --- the stages, for each other

// Raw values by name of flag; a name that is there was given.
using FlagValues = std::map<std::string, std::string, std::less<>>;
// Why the value cannot be read, in the words of Go's flag package; empty if it can.
std::string check_value(std::string_view name, const std::string& value);
// The file's keys as flags.
Result<FlagValues> read_config_file(const std::string& path, std::vector<std::string>& warnings);
// What the values mean together.
Result<Flags> to_flags(const FlagValues& given, bool is_from_file);

}  // namespace rusternetes::rhino
