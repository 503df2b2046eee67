#include "launcher/components/facts.h"

#include <sys/utsname.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/value.hpp>
#include <exception>
#include <utility>

#include "base/task.h"
#include "certs/file.h"
#include "engine/connection.h"
#include "engine/engine.h"
#include "engine/host_facts.h"
#include "engine/json_read.h"
#include "launcher/doctor/checks.h"
#include "network/names.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "network/nft.h"

namespace rusternetes::launcher {
namespace {

// An engine that needs longer is as good as none: `doctor` gives a check two seconds.
constexpr std::chrono::milliseconds engine_patience{1700};

// What a node's rules are made of: NAT, a drop, a map of verdicts. (The addresses are of TEST-NET-3.)
constexpr const char* trial_rules =
    "add table inet rusternetes-doctor\n"
    "add chain inet rusternetes-doctor trial-in { type nat hook prerouting priority -105; }\n"
    "add chain inet rusternetes-doctor trial-out { type filter hook output priority 0; }\n"
    "add chain inet rusternetes-doctor trial-post { type nat hook postrouting priority 100; }\n"
    "add chain inet rusternetes-doctor trial-one\n"
    "add map inet rusternetes-doctor trial-map { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
    "add element inet rusternetes-doctor trial-map { 203.0.113.1 . tcp . 80 : goto trial-one }\n"
    "add rule inet rusternetes-doctor trial-one meta l4proto tcp dnat ip to 203.0.113.2:80\n"
    "add rule inet rusternetes-doctor trial-in ip daddr . meta l4proto . th dport vmap @trial-map\n"
    "add rule inet rusternetes-doctor trial-out ip daddr 203.0.113.0/24 counter drop\n"
    "add rule inet rusternetes-doctor trial-post ip saddr 203.0.113.2 masquerade\n";

// `facts` outlives it: the loop runs until it has ended.
Task<> ask(asio::any_io_executor executor, EngineFacts* facts) {
  engine::EngineOptions options;
  options.request_timeout = engine_patience;
  facts->silence = "it told nothing";  // until it has
  auto connected = co_await engine::Engine::connect(executor, facts->socket, options);
  if (!connected) {
    facts->silence = connected.error().message;
    co_return;
  }
  const engine::EngineInfo& info = (*connected)->info();
  facts->kind = std::string(engine::to_string(info.kind));
  facts->version = info.version;
  facts->is_rootless = info.is_rootless;
  facts->runtime = info.default_runtime;
  facts->runtimes = info.runtimes;
  facts->storage = info.data_root;
  if (info.kind == engine::EngineKind::podman) {
    auto answer = co_await (*connected)->connection().call("GET", "/v4.0.0/libpod/info");
    if (!answer) {
      facts->silence = answer.error().message;
      co_return;
    }
    const auto& host = engine::json_at(*answer, "host");
    const auto& runtime = engine::json_at(host, "ociRuntime");
    facts->runtime = engine::json_string(runtime, "name");
    facts->runtime_version = runtime_version_of(engine::json_string(runtime, "version"));
    facts->storage = engine::json_string(engine::json_at(*answer, "store"), "graphRoot");
    facts->is_rootless =
        facts->is_rootless || engine::json_bool(engine::json_at(host, "security"), "rootless");
  }
  facts->silence.clear();
}

Task<> look_at(asio::any_io_executor executor, EngineFacts* facts) {
  if (!co_await engine::run_with_deadline(ask(executor, facts), engine_patience))
    facts->silence = "it took longer than 1.7 s";
}

// All at once: one that hangs takes no time from the others.
void look_at_all(std::vector<EngineFacts>& engines) {
  asio::io_context context{1};
  std::exception_ptr thrown;
  int open = 0;
  for (EngineFacts& one : engines) {
    if (!engine::socket_peer(one.socket, &one.connect_error)) continue;
    one.connect_error = 0;
    ++open;
    asio::co_spawn(context, look_at(context.get_executor(), &one), [&](std::exception_ptr error) {
      if (error) thrown = error;
      --open;
    });
  }
  while (open > 0) context.run_one();
  if (thrown) std::rethrow_exception(thrown);
}

std::string message_of(const Result<>& result) { return result ? std::string() : result.error().message; }

Result<> try_rules() {
  RN_TRY(auto nft, network::Nft::open());
  RN_CHECK(nft.run(trial_rules));
  return {};
}

Result<> try_veth(const network::NetworkNamespace& where) {
  RN_TRY(auto netlink, network::Netlink::open(where));
  return netlink.create_veth({.name = "trial0", .peer_name = "trial1", .alias = ""});
}

bool has_file_system(const std::string& name) {
  const auto known = certs::read_text("/proc/filesystems", 1 << 20);
  if (known && known->find("\t" + name + "\n") != std::string::npos) return true;
  utsname kernel{};
  if (::uname(&kernel) != 0) return false;
  for (const char* list : {"/modules.dep", "/modules.builtin"}) {
    const auto text = certs::read_text(std::string("/lib/modules/") + kernel.release + list, 64 << 20);
    if (text && text->find("/" + name + ".ko") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::string runtime_version_of(std::string_view said) {
  const std::string_view line = said.substr(0, said.find('\n'));
  const auto space = line.rfind(' ');
  return std::string(space == std::string_view::npos ? line : line.substr(space + 1));
}

Result<EnginesFacts> LinuxFacts::engines() {
  EnginesFacts facts;
  const auto add = [&](const char* kind, const char* name, const char* otherwise) {
    const auto value = variable_(name);
    const bool is_pointed = value && value->starts_with("unix://");
    facts.engines.push_back({.kind = kind, .socket = is_pointed ? value->substr(7) : std::string(otherwise)});
  };
  add("podman", "CONTAINER_HOST", "/run/podman/podman.sock");
  add("docker", "DOCKER_HOST", "/var/run/docker.sock");
  if (const auto runtime = variable_("XDG_RUNTIME_DIR"); runtime && !runtime->empty()) {
    facts.engines.push_back({.kind = "podman", .socket = *runtime + "/podman/podman.sock", .is_users = true});
    facts.engines.push_back({.kind = "docker", .socket = *runtime + "/docker.sock", .is_users = true});
  }
  look_at_all(facts.engines);
  facts.has_podman = !engine::find_program("podman").empty();
  facts.has_crun = !engine::find_program("crun").empty();
  facts.has_runc = !engine::find_program("runc").empty();
  return facts;
}

Result<ProgramFacts> LinuxFacts::programs() {
  RN_TRY(ProgramFacts facts, ProcFacts::programs());
  facts.has_etcd = !engine::find_program("etcd").empty();
  return facts;
}

Result<KernelFacts> LinuxFacts::kernel() {
  if (!is_root()) return Status{403, "Forbidden", "network namespaces are made by root alone", nullptr};
  KernelFacts facts{.has_overlay = has_file_system("overlay")};
  const auto scratch = network::NetworkNamespace::create();
  if (!scratch) {
    facts.namespace_error = scratch.error().message;
    return facts;
  }
  facts.nftables_error = message_of(network::inside(*scratch, try_rules));
  facts.veth_error = message_of(try_veth(*scratch));
  return facts;
}

Result<FirewallFacts> LinuxFacts::firewall() {
  if (!is_root()) return Status{403, "Forbidden", "the firewall's rules are shown to root alone", nullptr};
  RN_TRY(auto nft, network::Nft::open());
  RN_TRY(const std::string ruleset, nft.run_terse_json("list ruleset"));
  RN_TRY(FirewallFacts facts, doctor::firewall_from_json(ruleset));
  RN_TRY(auto netlink, network::Netlink::open());
  RN_TRY(const auto links, netlink.links());
  for (const network::Link& link : links)
    if (link.name.starts_with(network::link_prefix) && (link.kind == "veth" || link.kind == "bridge"))
      facts.node_links.push_back(link.name);
  if (const auto tables = certs::read_text("/proc/thread-self/net/ip_tables_names", 4096)) {
    std::string name;
    for (const char c : *tables) {
      if (c != '\n') name += c;
      if (c == '\n' && !name.empty()) facts.legacy_tables.push_back(std::exchange(name, {}));
    }
  }
  return facts;
}

}  // namespace rusternetes::launcher
