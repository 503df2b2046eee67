#pragma once
// A made-up host in a folder: engine, network, process and mounts are files in it, so that what a killed
// launcher did is seen by the next one. Every operation is as idempotent, and as strict about order, as the
// real one.

#include <unistd.h>

#include <atomic>
#include <sstream>

#include "engine_fake.h"
#include "host_fake.h"
#include "http_fake.h"
#include "launcher/cli.h"
#include "launcher/environment.h"
#include "launcher/ports/facts_port.h"
#include "store_fake.h"

namespace rusternetes::launcher::testing {

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
    engine.on_half_restart = [this] { hooks.point("in the middle of a restart"); };
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
