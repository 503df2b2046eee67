#include "launcher/components/program.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/log.h"
#include "launcher/adapters/curl_http.h"
#include "launcher/adapters/host.h"
#include "launcher/adapters/supervisor.h"
#include "launcher/cli.h"
#include "launcher/components/engine.h"
#include "launcher/components/facts.h"
#include "launcher/components/images.h"
#include "launcher/components/network.h"
#include "launcher/components/store.h"

namespace rusternetes::launcher {
namespace {

std::atomic<bool> is_interrupted = false;

// The first one asks the plan to stop between two steps; the second one is the default's.
void on_interrupt(int) { is_interrupted = true; }

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

int run_program_main(int argc, char** argv, Hooks& hooks, std::filesystem::path binary_dir) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESETHAND;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(022);
  log::set_level(log::Level::error);  // the progress says what happens

  std::error_code error;
  if (binary_dir.empty()) binary_dir = std::filesystem::canonical("/proc/self/exe", error).parent_path();
  EngineApi engine(variable, hooks);
  LinuxNetwork network;
  LocalImages images(binary_dir);
  LinuxHost host;
  CurlHttp http;
  auto facts = std::make_shared<LinuxFacts>(binary_dir, variable);
  std::unique_ptr<ProcessPort> process;
  if (is_systemd_host())
    process = std::make_unique<SystemdPort>();
  else
    process = std::make_unique<SupervisorPort>();
  Environment environment{.in = std::cin,
                          .out = std::cout,
                          .err = std::cerr,
                          .is_input_terminal = ::isatty(0) == 1,
                          .is_progress_terminal = ::isatty(2) == 1,
                          .variable = variable,
                          .binary_dir = std::move(binary_dir),
                          .clock = Clock::system(),
                          .engine = engine,
                          .network = network,
                          .process = *process,
                          .http = http,
                          .host = host,
                          .hooks = hooks,
                          .is_interrupted = [] { return is_interrupted.load(); },
                          .facts = std::move(facts),
                          .images = &images,
                          .store = std::make_shared<SqliteStorePort>()};
  return run({argv + 1, argv + argc}, environment);
}

}  // namespace rusternetes::launcher
