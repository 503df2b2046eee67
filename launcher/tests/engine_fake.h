#pragma once
// A made-up engine, and what makes images for it.

#include <algorithm>
#include <sstream>

#include "base/clock.h"
#include "launcher/containers/compose.h"
#include "launcher/failure.h"
#include "launcher/manifest/manifest.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/image_port.h"
#include "launcher/settings.h"
#include "things.h"

namespace rusternetes::launcher::testing {

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
    on_look();
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
                          std::chrono::seconds grace) override {
    RN_CHECK(answers(choice));
    RN_CHECK(faults_.check("end-components"));
    ++end_turn_;
    for (const std::string& id : ids) {
      ended[id.substr(id.find('.') + 1)] = {end_turn_, grace};
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
    things_.add("component", id, "exited");
    on_half_restart();
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
  struct End {
    int turn = 0;  // those of one turn end side by side
    std::chrono::seconds grace{};
  };
  std::map<std::string, End> ended;  // components, by key
  std::function<void()> on_half_restart = [] {};
  std::function<void()> on_look = [] {};         // at components
  std::string refuses_restart;                   // key of one that cannot be restarted
  std::set<std::string> keeps_ending;            // keys of those that it starts anew all the time
  std::vector<std::string> restarted;  // in order
  std::vector<std::string> signals;
  std::vector<std::string> replaced;   // keys of those that are made of another image, in order

 private:
  int end_turn_ = 0;
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

}  // namespace rusternetes::launcher::testing
