#pragma once
// A made-up host: its network, its processes, its mounts and ports.

#include "base/clock.h"
#include "launcher/failure.h"
#include "launcher/ports/host_port.h"
#include "launcher/ports/network_port.h"
#include "launcher/ports/process_port.h"
#include "launcher/settings.h"
#include "things.h"

namespace rusternetes::launcher::testing {

class FakeNetwork final : public NetworkPort {
 public:
  FakeNetwork(Things& things, Faults& faults) : things_(things), faults_(faults) {}
  std::vector<std::string> ranges;

  Result<std::vector<std::string>> host_ranges() override { return ranges; }
  std::string bridge_name(const std::string& cluster) override { return "rn" + cluster; }
  Result<bool> has_traces(const std::string& cluster) override {
    return things_.has("link", cluster) || things_.has("drop-host", cluster);
  }
  Result<> load_drop_rules(const NodeNetwork& network) override {
    RN_CHECK(faults_.check("load-drop"));
    things_.add("drop-host", network.cluster);
    if (network.node_netns.empty()) return {};
    if (!things_.has("netns", network.cluster)) return internal_error("no such namespace");
    things_.add("drop-node", network.cluster);
    return {};
  }
  Result<> check_drop_rules(const NodeNetwork& network) override {
    RN_CHECK(faults_.check("check-drop"));
    return stands(network);
  }
  std::vector<std::string> lacking;  // beside the drop rule
  Result<std::vector<std::string>> missing_host_rules(const NodeNetwork& network) override {
    std::vector<std::string> out = lacking;
    if (!things_.has("drop-host", network.cluster)) out.emplace_back("the drop rule of its services");
    return out;
  }
  Result<std::string> describe(const std::string& cluster) override { return "table inet " + cluster + "\n"; }
  Result<> link_node(const NodeNetwork& network) override {
    RN_CHECK(faults_.check("link"));
    RN_CHECK(stands(network));
    if (!things_.has("netns", network.cluster)) return internal_error("no such namespace");
    things_.add("link", network.cluster, joined(network.published_ports));
    return {};
  }
  Result<> unlink_node(const NodeNetwork& network) override {
    things_.remove("link", network.cluster);
    return {};
  }
  Result<> remove_all(const std::string& cluster) override {
    things_.remove("link", cluster);
    things_.remove("drop-host", cluster);
    return {};
  }

 private:
  Result<> stands(const NodeNetwork& network) const {
    const bool is_there = things_.has("drop-host", network.cluster) &&
                          (network.node_netns.empty() || things_.has("drop-node", network.cluster));
    return is_there ? Result<>() : Result<>(internal_error("no drop rule"));
  }
  Things& things_;
  Faults& faults_;
};

// A released process makes a Pod, as the kubelet would, unless the cluster has it already.
class FakeProcess final : public ProcessPort {
 public:
  FakeProcess(Things& things, Faults& faults) : things_(things), faults_(faults) {}
  long restarts = 0;
  int restarted = 0;  // by the launcher

  Result<> start_held(const ProcessSpec& spec) override {
    RN_CHECK(faults_.check("start"));
    if (!fs::exists(spec.pid_file.parent_path())) return internal_error("no run folder");
    things_.add("process", spec.cluster);
    things_.add("runs", spec.cluster, spec.command.front());
    things_.add("unit", spec.cluster);
    if (spec.has_own_netns) things_.add("netns", spec.cluster);
    commands[spec.cluster] = spec.command;
    return {};
  }
  Result<> release(const ProcessSpec& spec) override {
    RN_CHECK(faults_.check("release"));
    if (!things_.has("process", spec.cluster)) return failure("ProcessFailed", "no supervisor");
    REQUIRE(things_.has("drop-host", spec.cluster));  // invariant 14
    if (spec.has_own_netns) REQUIRE(things_.has("link", spec.cluster));
    things_.add("released", spec.cluster);
    for (const char* one : {".app", ".pause"}) things_.add("container", spec.cluster + one, "running");
    things_.add("cgroup", spec.cluster);
    return {};
  }
  Result<> start_timed(const ProcessSpec& spec) override {
    RN_CHECK(faults_.check("start-timed"));
    REQUIRE(spec.hold_file.empty());
    if (!fs::exists(spec.pid_file.parent_path())) return internal_error("no run folder");
    if (!things_.has(spec.part, spec.cluster)) ++timed_starts;  // one that runs is left alone
    things_.add(spec.part, spec.cluster, joined(spec.command, " "));
    const auto state = state::State::open(spec.home / "state.db", false);
    REQUIRE(state.has_value());
    recorded_when_started = (*state)->find(spec.cluster).value().value().settings;
    things_.add(spec.part + "-unit", spec.cluster);
    return {};
  }
  Result<> stop(const ProcessSpec& spec, std::chrono::milliseconds) override {
    if (!spec.part.empty()) {
      things_.remove(spec.part, spec.cluster);
      return {};
    }
    for (const char* kind : {"process", "runs", "netns", "drop-node", "released"}) things_.remove(kind, spec.cluster);
    // A veth goes with either end's namespace.
    if (spec.has_own_netns) things_.remove("link", spec.cluster);
    return {};
  }
  Result<> restart(const ProcessSpec& spec, std::chrono::milliseconds) override {
    commands[spec.cluster] = spec.command;
    RN_CHECK(faults_.check("restart"));
    if (!things_.has("process", spec.cluster)) return failure("ProcessFailed", "no supervisor");
    ++restarted;
    things_.add("runs", spec.cluster, spec.command.front());
    return {};
  }
  Result<> hold(const ProcessSpec& spec, std::chrono::milliseconds) override {
    RN_CHECK(faults_.check("hold"));
    if (!things_.has("process", spec.cluster)) return failure("ProcessFailed", "no supervisor");
    things_.remove("released", spec.cluster);
    return {};
  }
  Result<> forget(const ProcessSpec& spec) override {
    things_.remove(spec.part.empty() ? "unit" : spec.part + "-unit", spec.cluster);
    return {};
  }
  Result<> start_at_boot(const ProcessSpec& spec) override {
    RN_CHECK(faults_.check("boot"));
    things_.add("boot", spec.cluster);
    return {};
  }
  Result<> forget_boot(const ProcessSpec& spec) override {
    things_.remove("boot", spec.cluster);
    return {};
  }
  Result<ProcessStatus> status(const ProcessSpec& spec) override {
    ProcessStatus out;
    if (!spec.part.empty()) {
      out.is_running = out.is_released = things_.has(spec.part, spec.cluster);
      return out;
    }
    out.is_running = things_.has("process", spec.cluster);
    out.is_released = things_.has("released", spec.cluster);
    out.supervisor_pid = out.is_running ? 100 : 0;
    out.child_pid = out.is_running ? 101 : 0;
    out.restarts = restarts;
    restarts += restarts > 0 ? 1 : 0;
    out.started_at = started_at;
    if (out.is_running && spec.has_own_netns) out.netns = "/proc/100/ns/net";
    return out;
  }
  bool wait_for_end(const ProcessSpec& spec, std::chrono::milliseconds) override {
    return !things_.has("process", spec.cluster);
  }
  std::map<std::string, std::vector<std::string>> commands;
  int timed_starts = 0;
  std::string recorded_when_started;  // the settings of the cluster that a timed process was started beside
  SystemTime started_at;

 private:
  Things& things_;
  Faults& faults_;
};

class FakeHost final : public HostPort {
 public:
  explicit FakeHost(Things& things) : things_(things) {}
  bool root = true;
  std::set<std::uint16_t> ports_in_use;

  bool is_root() override { return root; }
  bool is_executable(const fs::path&) override { return true; }
  bool is_port_free(const std::string&, std::uint16_t port) override { return !ports_in_use.contains(port); }
  std::string default_address() override { return "198.51.100.7"; }
  Result<> share_folder(const fs::path& folder) override {
    if (!fs::is_directory(folder)) return internal_error("no such folder " + folder.string());
    things_.add("mount", folder.parent_path().filename());
    return {};
  }
  Result<> unmount_below(const fs::path& folder) override {
    const fs::path root = folder.filename() == "kubelet" ? folder.parent_path() : folder;
    things_.remove("mount", root.filename());
    return {};
  }
  Result<> remove_cgroups(const std::string& cluster, bool) override {
    things_.remove("cgroup", cluster);
    return {};
  }

 private:
  Things& things_;
};

}  // namespace rusternetes::launcher::testing
