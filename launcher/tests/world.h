#pragma once
// A made-up host in a folder: engine, network, process and mounts are files in it, so that what a killed
// launcher did is seen by the next one. Every operation is as idempotent, and as strict about order, as the
// real one.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "certs/file.h"
#include "launcher/cli.h"
#include "launcher/environment.h"
#include "launcher/failure.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/facts_port.h"
#include "launcher/containers/compose.h"
#include "launcher/manifest/manifest.h"
#include "launcher/ports/host_port.h"
#include "launcher/ports/http_port.h"
#include "launcher/ports/image_port.h"
#include "launcher/ports/network_port.h"
#include "launcher/ports/process_port.h"
#include "launcher/settings.h"
#include "store_fake.h"

namespace rusternetes::launcher::testing {

namespace fs = std::filesystem;

struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    // In memory where there is such a folder: these tests sync thousands of small files, and cut off no
    // power.
    const fs::path shared = "/dev/shm";
    const fs::path base = ::access(shared.c_str(), W_OK) == 0 ? shared : fs::temp_directory_path();
    std::string name = (base / "launcher-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path); }
};

// Things of the host by kind and name: "link", "drop-host", "container", ...
class Things {
 public:
  explicit Things(fs::path root) : root_(std::move(root)) { fs::create_directories(root_); }
  bool has(const std::string& kind, const std::string& name) const {
    return fs::exists(root_ / (kind + "@" + name));
  }
  void add(const std::string& kind, const std::string& name, const std::string& text = "") {
    std::ofstream(root_ / (kind + "@" + name)) << text;
  }
  void remove(const std::string& kind, const std::string& name) { fs::remove(root_ / (kind + "@" + name)); }
  std::string text(const std::string& kind, const std::string& name) const {
    return certs::read_text(root_ / (kind + "@" + name)).value();
  }
  std::set<std::string> all() const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(root_)) out.insert(entry.path().filename());
    return out;
  }
  std::set<std::string> names(const std::string& kind) const {
    std::set<std::string> out;
    for (const std::string& one : all())
      if (one.starts_with(kind + "@")) out.insert(one.substr(kind.size() + 1));
    return out;
  }

 private:
  fs::path root_;
};

// The n-th call of a port from here on fails.
struct Faults {
  std::map<std::string, std::string> by_call;  // "link" -> message
  std::map<std::string, std::string> once;     // only the next call
  Result<> check(const std::string& call) {
    if (const auto next = once.find(call); next != once.end()) {
      const std::string message = next->second;
      once.erase(next);
      return internal_error(message);
    }
    const auto found = by_call.find(call);
    return found == by_call.end() ? Result<>() : Result<>(internal_error(found->second));
  }
};

class FakeEngine final : public EnginePort {
 public:
  FakeEngine(Things& things, Faults& faults) : things_(things), faults_(faults) {}
  std::set<std::string> running{"podman"};  // kinds of engine that answer
  bool is_installed = true;
  std::map<std::string, std::chrono::seconds> grace;  // of sandboxes
  std::map<std::string, std::vector<std::string>> sidecars;
  std::vector<PodToStop> stopped;

  Result<EngineChoice> find(const std::string& kind) override {
    if (auto fault = faults_.check("find"); !fault) return std::move(fault).error();
    for (const char* one : {"podman", "docker"})
      if ((kind.empty() || kind == one) && running.contains(one))
        return EngineChoice{.kind = one, .socket = std::string("/run/") + one + ".sock", .version = "1.0"};
    return failure("EngineUnreachable", "no engine answers");
  }
  bool can_start_private() override { return is_installed; }
  std::string private_socket(const fs::path& folder) override { return (folder / "podman.sock").string(); }
  Result<> start_private(const fs::path& folder) override {
    RN_CHECK(certs::make_folder(folder, 0700));
    things_.add("engine", key(folder));
    return {};
  }
  Result<> stop_private(const fs::path& folder) override {
    things_.remove("engine", key(folder));
    return {};
  }
  Result<bool> has_image(const EngineChoice& choice, const std::string& reference) override {
    RN_CHECK(answers(choice));
    return things_.has("image-" + choice.kind, file_name(reference));
  }
  bool is_answering(const EngineChoice& choice) override { return answers(choice).has_value(); }
  Result<std::vector<std::string>> load_archive(
      const EngineChoice& choice, const fs::path& archive,
      const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) override {
    RN_CHECK(answers(choice));
    if (!fs::exists(archive)) return failure("NotFound", "there is no file " + archive.string());
    RN_TRY(const std::string text, certs::read_text(archive));
    on_progress(text.size(), text.size());
    std::vector<std::string> loaded;  // a line each
    std::istringstream lines(text);
    for (std::string reference; std::getline(lines, reference);) {
      things_.add("image-" + choice.kind, file_name(reference));
      loaded.push_back(reference);
    }
    return loaded;
  }
  Result<> save_image(const EngineChoice&, const std::string& reference, const fs::path& archive) override {
    std::ofstream(archive) << reference;
    return {};
  }
  Result<> load_pause_image(const EngineChoice& choice) override {
    RN_CHECK(answers(choice));
    RN_CHECK(faults_.check("load-pause"));
    things_.add("image-" + choice.kind, file_name(pause_image()));
    return {};
  }
  Result<> remove_pause_image(const EngineChoice& choice) override {
    RN_CHECK(answers(choice));
    things_.remove("image-" + choice.kind, file_name(pause_image()));
    return {};
  }
  Result<std::vector<ClusterContainer>> containers(const EngineChoice& choice,
                                                   const std::string& cluster) override {
    RN_CHECK(answers(choice));
    RN_CHECK(faults_.check("containers"));
    std::vector<ClusterContainer> out;
    for (const std::string& name : things_.names("container"))
      if (name.starts_with(cluster + "."))
        out.push_back({.id = name,
                       .name = name,
                       .is_running = things_.text("container", name) == "running",
                       .is_sandbox = name.ends_with("pause"),
                       .is_holder = name.ends_with("holder"),
                       .sandbox_id = name.substr(0, name.rfind('.')) + ".pause",
                       .name_in_pod = name.substr(name.rfind('.') + 1),
                       .grace = grace.contains(name) ? grace[name] : std::chrono::seconds(30),
                       .sidecars = sidecars[name]});
    return out;
  }
  Result<> stop_pods(const EngineChoice& choice, const std::vector<PodToStop>& pods,
                     const std::function<void(std::size_t)>& on_stopped) override {
    RN_CHECK(answers(choice));
    for (const PodToStop& pod : pods) {
      auto groups = pod.groups;
      groups.push_back(pod.sandboxes);
      for (const auto& ids : groups)
        for (const std::string& id : ids) things_.add("container", id, "exited");
      stopped.push_back(pod);
    }
    on_stopped(pods.size());
    return {};
  }
  Result<> remove_container(const EngineChoice& choice, const std::string& id) override {
    RN_CHECK(answers(choice));
    const bool is_pause = id.ends_with("pause");
    for (const std::string& name : things_.names("container"))
      if (is_pause && name != id && name.starts_with(id.substr(0, id.find('.'))))
        return internal_error("the sandbox has dependent containers");
    things_.remove("container", id);
    return {};
  }

  Result<> remove_image(const EngineChoice& choice, const std::string& reference) override {
    RN_CHECK(answers(choice));
    things_.remove("image-" + choice.kind, file_name(reference));
    return {};
  }
  Result<> pull_image(const EngineChoice& choice, const std::string& reference) override {
    RN_CHECK(answers(choice));
    RN_CHECK(faults_.check("pull"));
    things_.add("image-" + choice.kind, file_name(reference));
    return {};
  }
  std::string pause_image() override { return "localhost/rusternetes/pause:1"; }
  Result<> make_networks(const EngineChoice& choice, const Manifest& manifest) override {
    RN_CHECK(answers(choice));
    RN_CHECK(faults_.check("make-networks"));
    for (const auto& network : manifest.networks)
      things_.add("network", network.labels.at(cluster_label), network.name + " " + network.subnet);
    return {};
  }
  Result<> remove_networks(const EngineChoice& choice, const std::string& cluster) override {
    RN_CHECK(answers(choice));
    for (const std::string& name : things_.names("component"))
      if (name.starts_with(cluster + ".")) return internal_error("the network has " + name + " in it");
    things_.remove("network", cluster);
    return {};
  }
  // The kubelets make Pods, as long as what guards them stands.
  Result<> bring_up(const EngineChoice& choice, const Manifest& manifest, const std::vector<std::string>& keys,
                    const fs::path& logs, const std::function<void(std::size_t)>& on_up) override {
    RN_CHECK(answers(choice));
    REQUIRE(fs::is_directory(logs));
    std::size_t up = 0;
    for (const ManifestService* service : manifest.start_order()) {
      if (std::find(keys.begin(), keys.end(), service->key) == keys.end()) continue;
      RN_CHECK(faults_.check("bring-up " + service->key));
      const std::string cluster = service->labels.at(cluster_label);
      REQUIRE(things_.has("drop-host", cluster));  // invariant 14
      REQUIRE(things_.has("network", cluster));
      REQUIRE(things_.has("image-" + choice.kind, file_name(service->image)));
      for (const auto& mount : service->mounts) REQUIRE(fs::exists(mount.source));
      const std::string old = things_.has("component", cluster + "." + service->key)
                                  ? things_.text("component", cluster + "." + service->key)
                                  : "";
      if (old != "running") ++starts[service->key];
      things_.add("component", cluster + "." + service->key, "running");
      const std::string made_of = cluster + "." + service->key;
      if (things_.has("made-of", made_of) && things_.text("made-of", made_of) != service->image)
        replaced.push_back(service->key);
      things_.add("made-of", made_of, service->image);
      if (service->labels.at(component_label) == "api-server") things_.add("released", cluster);
      if (service->labels.at(component_label) == "kubelet") {
        for (const char* one : {".app", ".pause"}) things_.add("container", cluster + one, "running");
        things_.add("cgroup", cluster);
      }
      on_up(++up);
    }
    return {};
  }
  Result<> signal_component(const EngineChoice& choice, const std::string& id, const std::string& signal) override {
    RN_CHECK(answers(choice));
    signals.push_back(id + " " + signal);
    return {};
  }
  Result<> hand_over(const EngineChoice& choice, const Manifest& manifest, const std::string& key,
                     const fs::path& logs) override {
    const ManifestService* service = manifest.find(key);
    REQUIRE(service != nullptr);
    const std::string name = service->labels.at(cluster_label) + "." + key;
    if (things_.has("component", name) && things_.text("made-of", name) != service->image) {
      const std::string leaving = name + std::string(leaving_suffix);
      things_.add("component", leaving, "running");
      things_.add("made-of", leaving, things_.text("made-of", name));
    }
    return bring_up(choice, manifest, {key}, logs, [](std::size_t) {});
  }
  Result<std::vector<ComponentContainer>> components(const EngineChoice& choice,
                                                     const std::string& cluster) override {
    RN_CHECK(answers(choice));
    std::vector<ComponentContainer> out;
    for (const std::string& name : things_.names("component")) {
      if (!name.starts_with(cluster + ".")) continue;
      std::string key = name.substr(cluster.size() + 1);
      const std::string own = key;
      if (key.ends_with(leaving_suffix)) key.resize(key.size() - leaving_suffix.size());
      const auto dash = key.rfind('-');
      const bool is_numbered = dash != std::string::npos && key.find_first_not_of("0123456789", dash + 1) ==
                                                                std::string::npos;
      const bool is_running = things_.text("component", name) == "running";
      out.push_back({.id = name,
                     .name = "rusternetes-" + cluster + "-" + own,
                     .key = key,
                     .component = is_numbered ? key.substr(0, dash) : key,
                     .image = things_.has("made-of", name) ? things_.text("made-of", name)
                                                           : "localhost/rusternetes/image:0.1.0-abc",
                     .image_id = "sha256:1",
                     .is_running = is_running,
                     .end = is_running ? ComponentEnd::none : ComponentEnd::exited,
                     .pid = is_running ? 100 : 0,
                     .exit_code = is_running ? 0 : 137,
                     .log_file = log_folder + "/" + key + ".log",
                     .has_ended = !is_running,
                     .restarts = restarts.contains(key) ? restarts.at(key) : 0,
                     .started_at = started_at.contains(key) ? started_at.at(key) : SystemTime{}});
      if (keeps_ending.contains(key)) started_at[key] += std::chrono::seconds(1);
    }
    return out;
  }
  Result<> end_components(const EngineChoice& choice, const std::vector<std::string>& ids,
                          std::chrono::seconds) override {
    RN_CHECK(answers(choice));
    RN_CHECK(faults_.check("end-components"));
    for (const std::string& id : ids) {
      // Pods stand on their nodes; here on the last one.
      const std::string nodes = id.substr(0, id.find('.')) + ".node-";
      const auto all = things_.names("component");
      if (id.starts_with(nodes) && std::count_if(all.begin(), all.end(), [&](const std::string& one) {
            return one.starts_with(nodes);
          }) == 1)
        for (const std::string& name : things_.names("container"))
          if (name.starts_with(id.substr(0, id.find('.')) + "."))
            REQUIRE(things_.text("container", name) != "running");
      things_.remove("component", id);
      things_.remove("made-of", id);
      if (id.find(".api-server") != std::string::npos) things_.remove("released", id.substr(0, id.find('.')));
    }
    return {};
  }
  Result<> restart_component(const EngineChoice& choice, const std::string& id, std::chrono::seconds) override {
    RN_CHECK(answers(choice));
    if (!refuses_restart.empty() && id.ends_with("." + refuses_restart)) return internal_error(id + " does not start");
    things_.add("component", id, "running");
    started_at[id.substr(id.find('.') + 1)] = Clock::system().now();
    // So that nobody waits for the one that has to live for a while, since it cannot be asked.
    if (id.ends_with(".host-agent")) started_at["host-agent"] -= std::chrono::seconds(2);
    restarted.push_back(id);
    return {};
  }
  Result<> read_logs(const LogRequest& request,
                     const std::function<bool(const std::string&, std::string_view)>& on_line,
                     const std::function<bool()>&) override {
    for (const auto& [key, file] : request.files)
      for (const char* line : {"begins", "runs"})
        if (request.tail != 1 || std::string_view(line) == "runs") on_line(key, file + " " + line);
    return {};
  }
  std::string log_folder = "/logs";
  std::map<std::string, int> starts;    // of components, by key
  std::map<std::string, int> restarts;  // that it has made by itself
  std::map<std::string, SystemTime> started_at;  // of components, by key
  std::string refuses_restart;                   // key of one that cannot be restarted
  std::set<std::string> keeps_ending;            // keys of those that it starts anew all the time
  std::vector<std::string> restarted;  // in order
  std::vector<std::string> signals;
  std::vector<std::string> replaced;   // keys of those that are made of another image, in order

 private:
  // A reference as the name of a thing.
  static std::string file_name(std::string reference) {
    std::replace(reference.begin(), reference.end(), '/', '_');
    return reference;
  }
  // clusters/NAME/engine -> NAME
  static std::string key(const fs::path& folder) { return folder.parent_path().filename(); }
  Result<> answers(const EngineChoice& choice) const {
    const bool is_up = choice.is_private ? things_.has("engine", key(fs::path(choice.socket).parent_path()))
                                         : running.contains(choice.kind);
    return is_up ? Result<>() : Result<>(failure("EngineUnreachable", choice.socket + " does not answer"));
  }
  Things& things_;
  Faults& faults_;
};

class FakeImages final : public ImagePort {
 public:
  explicit FakeImages(Faults& faults) : faults_(faults) {}
  std::string release = "1";

  Result<std::map<std::string, std::string>> references(const std::vector<std::string>& components,
                                                        const fs::path&) override {
    RN_CHECK(faults_.check("images"));
    std::map<std::string, std::string> out;
    for (const std::string& one : components) out[one] = "localhost/rusternetes/" + one + ":" + release;
    return out;
  }
  Result<> write_archive(const std::vector<std::string>& components, const fs::path& cache,
                         const fs::path& archive) override {
    RN_CHECK(faults_.check("archive"));
    std::ofstream file(archive);
    const auto all = references(components, cache);
    for (const auto& [component, reference] : *all) file << reference << '\n';
    return {};
  }

 private:
  Faults& faults_;
};

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

class FakeHttp final : public HttpPort {
 public:
  explicit FakeHttp(Things& things) : things_(things) {}
  bool is_ready = true;
  bool is_node_ready = true;
  std::string heartbeat = "2100-01-01T00:00:00Z";
  std::string renew_time = "2100-01-01T00:00:00.000000Z";
  std::string revision;  // of lists; empty: the api-server does not tell
  std::vector<HttpRequest> requests;
  std::map<std::string, std::vector<std::string>> pods;  // of nodes; nothing would make them again
  bool is_evicting = true;
  std::set<std::string> cordoned;
  std::vector<std::string> deleted_nodes;

  Result<HttpResponse> send(const HttpRequest& request) override {
    requests.push_back(request);
    if (things_.names("released").empty()) return internal_error("connection refused");
    if (request.url.ends_with("/namespaces?limit=1"))
      return HttpResponse{revision.empty() ? 503 : 200, R"({"metadata":{"resourceVersion":")" + revision + "\"}}"};
    if (request.url.ends_with("/readyz")) return HttpResponse{is_ready ? 200 : 500, "ok"};
    if (auto answer = drain(request)) return *answer;
    if (request.url.ends_with("/namespaces/kube-node-lease/leases/a"))
      return HttpResponse{200, R"({"spec":{"renewTime":")" + renew_time + "\"}}"};
    return HttpResponse{200, node()};
  }
  std::vector<Result<HttpResponse>> send_all(const std::vector<HttpRequest>& all) override {
    std::vector<Result<HttpResponse>> out;
    for (const HttpRequest& one : all) {
      asked.push_back(one);
      if (one.url.ends_with(":2379/health") ? !has_store() : things_.names("released").empty()) {
        out.emplace_back(internal_error(one.url + ": Connection refused"));
        continue;
      }
      const auto known = bodies.find(one.url.substr(one.url.find('/', 8)));
      if (known != bodies.end()) {
        out.emplace_back(HttpResponse{200, known->second});
        continue;
      }
      const auto bad = std::find_if(sick.begin(), sick.end(), [&](const auto& each) {
        return one.url.find(each.first) != std::string::npos;
      });
      if (bad == sick.end())
        out.emplace_back(HttpResponse{200, "ok"});
      else if (bad->second == 0)
        out.emplace_back(internal_error(one.url + ": Connection refused"));
      else
        out.emplace_back(HttpResponse{bad->second, "[-]etcd failed: it hangs\n"});
    }
    return out;
  }
  std::vector<HttpRequest> asked;             // by send_all()
  std::map<std::string, std::string> bodies;  // what it gives for a path
  std::map<std::string, int> sick;            // part of a URL -> what it answers; 0: nothing
  Result<int> stream(const HttpRequest&, const std::function<bool(std::string_view)>& on_line) override {
    on_line("{\"type\":\"ADDED\",\"object\":" + node() + "}");
    return 200;
  }

 private:
  bool has_store() const {
    const auto all = things_.names("component");
    return std::any_of(all.begin(), all.end(), [](const std::string& one) {
      return one.find(".etcd") != std::string::npos || one.find(".rhino") != std::string::npos;
    });
  }
  static std::string last_of(const std::string& url, const std::string& before) {
    return url.substr(url.find(before) + before.size());
  }
  // What `node remove` asks for.
  std::optional<HttpResponse> drain(const HttpRequest& request) {
    const std::string listing = "/api/v1/pods?fieldSelector=spec.nodeName%3D", nodes = "/api/v1/nodes/";
    if (request.url.find(listing) != std::string::npos) {
      std::string items;
      for (const std::string& name : pods[last_of(request.url, listing)])
        items += (items.empty() ? "" : ",") + std::string(R"({"metadata":{"namespace":"default","name":")") + name +
                 "\"}}";
      return HttpResponse{200, "{\"items\":[" + items + "]}"};
    }
    if (request.url.ends_with("/eviction")) {
      if (!is_evicting)
        return HttpResponse{429, R"({"message":"Cannot evict pod as it would violate the pod's disruption budget."})"};
      for (auto& [node, names] : pods)
        std::erase_if(names, [&](const std::string& name) {
          return request.url.ends_with("/pods/" + name + "/eviction");
        });
      return HttpResponse{201, "{}"};
    }
    if (request.url.find(nodes) == std::string::npos) return std::nullopt;
    const std::string name = last_of(request.url, nodes);
    if (request.method == "PATCH") {
      request.body.find("true") != std::string::npos ? (void)cordoned.insert(name) : (void)cordoned.erase(name);
      return HttpResponse{200, "{}"};
    }
    if (request.method == "DELETE") {
      deleted_nodes.push_back(name);
      return HttpResponse{200, "{}"};
    }
    return std::nullopt;
  }
  std::string node() const {
    return std::string(
               R"({"status":{"conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":")") +
           (is_node_ready ? "True" : "False") + R"(","lastHeartbeatTime":")" + heartbeat + "\"}]}}";
  }
  Things& things_;
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

// Ends the process at the n-th point, as SIGKILL would: no destructor runs.
class CrashHooks final : public Hooks {
 public:
  int crash_at = -1;
  int seen = 0;
  std::vector<std::string> names;
  std::function<void(std::string_view)> on_point = [](std::string_view) {};
  void point(std::string_view name) override {
    names.emplace_back(name);
    if (++seen == crash_at) ::_exit(137);
    on_point(name);
  }
};

struct World {
  TemporaryFolder folder;
  Things things{folder.path / "things"};
  Faults faults;
  FakeEngine engine{things, faults};
  FakeImages images{faults};
  FakeNetwork network{things, faults};
  FakeProcess process{things, faults};
  FakeHttp http{things};
  FakeHost host{things};
  CrashHooks hooks;
  std::map<std::string, std::string> variables;
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  bool is_input_terminal = false;
  const Clock* clock = &Clock::system();
  std::function<bool()> is_interrupted = [] { return false; };
  std::shared_ptr<FactsPort> facts;  // for `doctor`
  std::shared_ptr<FakeStore> store = std::make_shared<FakeStore>();
  std::string release;

  fs::path home() const { return folder.path / "home"; }
  fs::path kubeconfig() const { return folder.path / "kube" / "config"; }

  World() {
    variables["RUSTERNETES_HOME"] = home().string();
    variables["KUBECONFIG"] = kubeconfig().string();
    set_release("0.1.0");
    images.release = "1";
  }

  // What the launcher and the programs beside it are from now on.
  void set_release(const std::string& version) {
    release = images.release = version;
    fs::create_directories(bin());
    std::ofstream(bin() / "rusternetes") << "rusternetes " << version << "\n";
  }
  fs::path bin() const { return folder.path / "bin"; }

  int run(const std::vector<std::string>& words) {
    out.str("");
    err.str("");
    Environment environment = make_environment();
    return launcher::run(words, environment);
  }

  Environment make_environment() {
    return {.in = in,
                            .out = out,
                            .err = err,
                            .is_input_terminal = is_input_terminal,
                            .variable = [this](const char* name) -> std::optional<std::string> {
                              const auto found = variables.find(name);
                              return found == variables.end() ? std::nullopt : std::optional(found->second);
                            },
                            .binary_dir = bin(),
                            .clock = *clock,
                            .engine = engine,
                            .network = network,
                            .process = process,
                            .http = http,
                            .host = host,
                            .hooks = hooks,
                            .is_interrupted = is_interrupted,
                            .facts = facts,
                            .images = &images,
                            .store = store,
                            .release = release};
  }

  // Nothing of any cluster: not on the host, not in the home, not in the user's kubeconfig.
  void check_nothing_is_left() const {
    CHECK(things.all() == std::set<std::string>{});
    CHECK_FALSE(fs::exists(home()));
    CHECK_FALSE(fs::exists(kubeconfig()));
    CHECK_FALSE(fs::exists(kubeconfig().string() + ".lock"));
  }
};

}  // namespace rusternetes::launcher::testing
