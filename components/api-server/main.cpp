// api-server: the Kubernetes API, on an embedded store or on etcd. The flags are kube-apiserver's own where it has them.

#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "addons/manifest.h"
#include "api-server/flags.h"
#include "api-server/instance.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/open_files.h"
#include "certs/certificate.h"
#include "certs/file.h"
#include "program/flags.h"
#include "storage/etcd/etcd_store.h"
#include "storage/sqlite/sqlite_store.h"

using namespace rusternetes;

namespace {

struct Flags {
  std::string data_dir, cert_dir = "/var/run/kubernetes";
  std::string bind_address = "0.0.0.0", advertise_address;
  std::uint16_t secure_port = 6443;
  std::string tls_cert, tls_key, client_ca;
  std::vector<std::string> modes, enable, disable, issuers, audiences, key_files, service_ranges, etcd_servers;
  std::string addon_manifest, signing_key, token_file, kubelet_cert, kubelet_key, kubelet_ca;
  std::string request_timeout = "1m0s", event_ttl = "1h0m0s";
  std::string etcd_ca, etcd_certificate, etcd_key, etcd_prefix = "/registry", compaction_interval = "5m0s", storage_backend;
  bool anonymous = true, allow_privileged = false;
  std::size_t max_requests = 400, max_mutating = 200;
  int shutdown_delay_s = 10, verbosity = 0;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return internal_error(fmt::format("cannot read {}", path));
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// As kube-apiserver does: without certificates named, a self-signed one in --cert-dir.
Result<void> ensure_serving_certificate(Flags& flags) {
  if (!flags.tls_cert.empty() && !flags.tls_key.empty()) return {};
  if (flags.tls_cert.empty() != flags.tls_key.empty()) return internal_error("--tls-cert-file and --tls-private-key-file go together");
  const std::filesystem::path folder = flags.cert_dir;
  flags.tls_cert = folder / "apiserver.crt";
  flags.tls_key = folder / "apiserver.key";
  if (std::filesystem::exists(flags.tls_cert) && std::filesystem::exists(flags.tls_key)) return {};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return internal_error(fmt::format("--cert-dir {}: {}", flags.cert_dir, error.message()));
  const auto now = Clock::system().now();
  RN_TRY(const auto authority, certs::make_authority({.common_name = "apiserver-ca"}, now));
  certs::LeafRequest request;
  request.common_name = "apiserver";
  request.dns_names = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"};
  request.ip_addresses = {"127.0.0.1", "::1"};
  if (!flags.advertise_address.empty()) request.ip_addresses.push_back(flags.advertise_address);
  if (flags.bind_address != "0.0.0.0" && flags.bind_address != "::") request.ip_addresses.push_back(flags.bind_address);
  request.is_server = true;
  RN_TRY(const auto leaf, certs::issue(authority, request, now));
  RN_CHECK(certs::write_atomically(flags.tls_key, leaf.key_pem, 0600));
  return certs::write_atomically(flags.tls_cert, leaf.certificate_pem + authority.certificate_pem, 0644);
}

Result<std::vector<api_server::InstanceOptions::Addon>> read_addons(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return internal_error(fmt::format("--addon-manifest: {}", text.error().message));
  auto objects = addons::parse_manifest(*text);
  if (!objects) return internal_error(fmt::format("--addon-manifest {}: {}", path, objects.error().message));
  std::vector<api_server::InstanceOptions::Addon> out;
  for (auto& object : *objects) {
    const auto& kind = *object.kind;
    const client::Resource resource{kind.group_version.group, kind.group_version.version, kind.resource};
    out.push_back({resource, std::move(object.document), true});
  }
  return out;
}

Result<api_server::InstanceOptions> to_options(Flags& flags) {
  api_server::InstanceOptions options;
  if (!flags.addon_manifest.empty()) {
    RN_TRY(options.addons, read_addons(flags.addon_manifest));
  }
  RN_CHECK(ensure_serving_certificate(flags));
  options.bind_address = flags.bind_address;
  options.advertise_address = flags.advertise_address;
  options.secure_port = flags.secure_port;
  http::ServerTls tls;
  RN_TRY(tls.certificate_chain_pem, read_file(flags.tls_cert));
  RN_TRY(tls.private_key_pem, read_file(flags.tls_key));
  if (!flags.client_ca.empty()) {
    RN_TRY(tls.client_ca_pem, read_file(flags.client_ca));
  }
  options.tls = std::move(tls);
  if (!flags.modes.empty()) options.authorization_modes = flags.modes;
  else options.authorization_modes = {"AlwaysAllow"};
  options.enable_admission_plugins = flags.enable;
  options.disable_admission_plugins = flags.disable;
  options.token_auth_file = flags.token_file;
  options.anonymous_auth = flags.anonymous;
  if (!flags.issuers.empty()) options.service_account_issuers = flags.issuers;
  options.api_audiences = flags.audiences;
  for (const auto& file : flags.key_files) {
    RN_TRY(auto pem, read_file(file));
    options.service_account_key_pems.push_back(std::move(pem));
  }
  if (!flags.signing_key.empty()) {
    RN_TRY(options.service_account_signing_key_pem, read_file(flags.signing_key));
  }
  if (!flags.service_ranges.empty()) options.service_cluster_ip_ranges = flags.service_ranges;
  if (!flags.kubelet_cert.empty()) {
    http::ClientTls kubelet;
    RN_TRY(kubelet.certificate_chain_pem, read_file(flags.kubelet_cert));
    RN_TRY(kubelet.private_key_pem, read_file(flags.kubelet_key));
    if (!flags.kubelet_ca.empty()) {
      RN_TRY(kubelet.ca_pem, read_file(flags.kubelet_ca));
    } else {
      kubelet.insecure_skip_verify = true;
    }
    options.kubelet_client = std::move(kubelet);
  }
  options.allow_privileged = flags.allow_privileged;
  RN_TRY(options.request_timeout, parse_duration(flags.request_timeout));
  RN_TRY(const auto event_ttl, parse_duration(flags.event_ttl));
  if (event_ttl < event_ttl.zero()) return internal_error("--event-ttl must not be negative");
  options.event_ttl = std::chrono::duration_cast<std::chrono::seconds>(event_ttl);
  RN_TRY(const auto compaction_interval, parse_duration(flags.compaction_interval));
  options.upkeep.compaction_interval = std::chrono::duration_cast<std::chrono::milliseconds>(compaction_interval);
  if (options.upkeep.compaction_interval.count() < 0) return internal_error("--etcd-compaction-interval must not be negative");
  options.max_requests_inflight = flags.max_requests;
  options.max_mutating_requests_inflight = flags.max_mutating;
  return options;
}

void define(CLI::App& app, Flags& flags) {
  app.add_option("--data-dir", flags.data_dir, "Folder of the embedded store (store.db); made if missing");
  app.add_option("--bind-address", flags.bind_address, "Address to listen on")->capture_default_str();
  app.add_option("--advertise-address", flags.advertise_address, "Address that clients are told; default: the bind address");
  app.add_option("--secure-port", flags.secure_port, "Port for HTTPS; 0 takes a free one")->capture_default_str();
  app.add_option("--cert-dir", flags.cert_dir, "Where a self-signed serving certificate is made when none is named")->capture_default_str();
  app.add_option("--tls-cert-file", flags.tls_cert, "Serving certificate, PEM");
  app.add_option("--tls-private-key-file", flags.tls_key, "Its key");
  app.add_option("--client-ca-file", flags.client_ca, "Authorities of client certificates");
  app.add_option("--authorization-mode", flags.modes, "In order: Node, RBAC, AlwaysAllow, AlwaysDeny (default AlwaysAllow)")->delimiter(',');
  app.add_option("--enable-admission-plugins", flags.enable, "Beside those that are on by default")->delimiter(',');
  app.add_option("--disable-admission-plugins", flags.disable, "Of those that are on by default")->delimiter(',');
  app.add_option("--token-auth-file", flags.token_file, "CSV of static tokens: token,user,uid,\"group1,group2\"");
  app.add_option("--anonymous-auth", flags.anonymous, "Requests without credentials are system:anonymous")->capture_default_str();
  app.add_option("--service-account-issuer", flags.issuers, "Issuer of service account tokens; the first signs");
  app.add_option("--service-account-key-file", flags.key_files, "Keys that verify service account tokens");
  app.add_option("--service-account-signing-key-file", flags.signing_key, "The key that signs them");
  app.add_option("--api-audiences", flags.audiences, "Audiences of the API; default: the issuers")->delimiter(',');
  app.add_option("--service-cluster-ip-range", flags.service_ranges, "Where Service addresses come from")->delimiter(',');
  app.add_option("--kubelet-client-certificate", flags.kubelet_cert, "Client certificate for kubelets");
  app.add_option("--kubelet-client-key", flags.kubelet_key, "Its key");
  app.add_option("--kubelet-certificate-authority", flags.kubelet_ca, "Authority of the kubelets' serving certificates");
  app.add_option("--allow-privileged", flags.allow_privileged, "Privileged containers may be asked for")->capture_default_str();
  app.add_option("--addon-manifest", flags.addon_manifest,
                 "YAML or JSON: objects that are made where the cluster does not have them");
  app.add_option("--max-requests-inflight", flags.max_requests, "Reading requests at once")->capture_default_str();
  app.add_option("--max-mutating-requests-inflight", flags.max_mutating, "Writing requests at once")->capture_default_str();
  app.add_option("--request-timeout", flags.request_timeout, "How long a request that does not stream may take, such as 1m0s")->capture_default_str();
  app.add_option("--event-ttl", flags.event_ttl, "How long an Event is kept after its last write, in whole seconds; 0s keeps it for ever")->capture_default_str();
  app.add_option("--etcd-servers", flags.etcd_servers, "Instead of --data-dir: servers of one etcd cluster, as scheme://host:port")->delimiter(',');
  app.add_option("--etcd-cafile", flags.etcd_ca, "Authority of the etcd servers' certificates");
  app.add_option("--etcd-certfile", flags.etcd_certificate, "Client certificate for etcd");
  app.add_option("--etcd-keyfile", flags.etcd_key, "Its key");
  app.add_option("--etcd-prefix", flags.etcd_prefix, "Where objects are in the store; /registry and no other")->capture_default_str();
  app.add_option("--etcd-compaction-interval", flags.compaction_interval, "Revisions older than this are compacted; 0s: never")->capture_default_str();
  app.add_option("--storage-backend", flags.storage_backend, "etcd3, whichever store it is");
  app.add_option("-v,--v", flags.verbosity, "Verbosity of the log; from 4 on, details")->capture_default_str();
}

// Those that end the process; blocked in every thread.
sigset_t end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

bool is_told_to_end() {
  const sigset_t signals = end_signals();
  const timespec now{};
  return ::sigtimedwait(&signals, nullptr, &now) > 0;
}

// Containers start in any order: a store that does not answer is waited for.
// Null where the process is to end.
Result<std::unique_ptr<storage::etcd::EtcdStore>> wait_for_etcd(const storage::etcd::EtcdOptions& options) {
  storage::etcd::EtcdOptions probe = options;
  probe.read_timeout = std::chrono::milliseconds(1'000);
  probe.start_timeout = std::chrono::milliseconds(0);
  // One server at a time: of several the store tells each time that it turns to another.
  for (std::size_t turn = 0;; ++turn) {
    if (!options.servers.empty()) probe.servers = {options.servers[turn % options.servers.size()]};
    auto probed = storage::etcd::EtcdStore::open(probe);
    if (probed) break;
    if (!probed.error().is("InternalError")) return probed.error();
    if (turn == 0) log::warn("api-server", "waiting for the store: {}", probed.error().message);
    if (is_told_to_end()) return std::unique_ptr<storage::etcd::EtcdStore>();
  }
  return storage::etcd::EtcdStore::open(options);
}

Result<std::unique_ptr<storage::Store>> open_etcd(const Flags& flags) {
  storage::etcd::EtcdOptions options;
  options.servers = flags.etcd_servers;
  for (const auto& [file, pem] : {std::pair{&flags.etcd_ca, &options.ca_pem},
                                  {&flags.etcd_certificate, &options.certificate_pem},
                                  {&flags.etcd_key, &options.key_pem}})
    if (!file->empty()) {
      RN_TRY(*pem, read_file(*file));
    }
  RN_TRY(auto store, wait_for_etcd(options));
  if (!store) return std::unique_ptr<storage::Store>();
  log::info("api-server", "the store is etcd {}", store->server_version());
  return std::unique_ptr<storage::Store>(std::move(store));
}

// Null where the process was told to end before the store answered.
Result<std::unique_ptr<storage::Store>> open_store(const Flags& flags) {
  if (flags.etcd_servers.empty() == flags.data_dir.empty())
    return internal_error("one of --data-dir (the embedded store) and --etcd-servers is needed, and not both");
  if (flags.etcd_prefix != "/registry" && flags.etcd_prefix != "registry")
    return internal_error(fmt::format("--etcd-prefix {}: only /registry is supported", flags.etcd_prefix));
  if (!flags.storage_backend.empty() && flags.storage_backend != "etcd3")
    return internal_error(fmt::format("--storage-backend {}: only etcd3 is supported", flags.storage_backend));
  if (!flags.etcd_servers.empty()) return open_etcd(flags);
  std::error_code error;
  std::filesystem::create_directories(flags.data_dir, error);
  if (error) return internal_error(fmt::format("--data-dir {}: {}", flags.data_dir, error.message()));
  storage::sqlite::StoreOptions options;
  options.path = std::filesystem::path(flags.data_dir) / "store.db";
  RN_TRY(auto store, storage::sqlite::SqliteStore::open(std::move(options)));
  return std::unique_ptr<storage::Store>(std::move(store));
}

int run(Flags flags) {
  auto fail = [](const Status& status) {
    std::cerr << "api-server: " << status.message << "\n";
    return 1;
  };
  auto options = to_options(flags);
  if (!options) return fail(options.error());
  auto store = open_store(flags);
  if (!store) return fail(store.error());
  if (!*store) return 0;
  api_server::Instance instance(**store, std::move(*options));
  if (auto started = instance.start(); !started) return fail(started.error());
  log::info("api-server", "serving on {}:{}", flags.bind_address, instance.port());
  const sigset_t signals = end_signals();
  int received = 0;
  sigwait(&signals, &received);
  log::info("api-server", "stopping: requests under way end first");
  instance.stop(std::chrono::seconds(flags.shutdown_delay_s));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  raise_open_files();
  const sigset_t signals = end_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  Flags flags;
  CLI::App app{"The Kubernetes API server of Rūsternetes, on an embedded SQLite store or on etcd", "api-server"};
  app.allow_extras();
  define(app, flags);
  if (const auto code = program::parse(app, argc, argv, api_server::unsupported_flags())) return *code;
  if (flags.verbosity >= 4) log::set_level(log::Level::debug);
  return run(std::move(flags));
}
