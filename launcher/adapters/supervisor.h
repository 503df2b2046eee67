#pragma once
// ProcessPort on the `supervisor` program, started by us or, where systemd is PID 1, by a unit.

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "launcher/ports/process_port.h"

namespace rusternetes::launcher {

// The supervisor's whole command line: it starts rusternetes-ctl as the holder of the cluster's process, or a
// timed child.
std::vector<std::string> supervisor_command(const ProcessSpec& spec);

// What a timed child may take to give up what it is at, before another one takes its place.
inline constexpr std::chrono::seconds another_grace{20};

// A session of its own, so that it outlives the command and its terminal.
class SupervisorPort : public ProcessPort {
 public:
  Result<> start_held(const ProcessSpec& spec) override;
  Result<> release(const ProcessSpec& spec) override;
  Result<> start_timed(const ProcessSpec& spec) override;
  Result<> stop(const ProcessSpec& spec, std::chrono::milliseconds grace) override;
  Result<> restart(const ProcessSpec& spec, std::chrono::milliseconds grace) override;
  Result<> hold(const ProcessSpec& spec, std::chrono::milliseconds grace) override;
  Result<> forget(const ProcessSpec& spec) override;
  Result<ProcessStatus> status(const ProcessSpec& spec) override;
  Result<> start_at_boot(const ProcessSpec&) override { return {}; }
  Result<> forget_boot(const ProcessSpec&) override { return {}; }
  bool wait_for_end(const ProcessSpec& spec, std::chrono::milliseconds timeout) override;

 protected:
  // Whether one runs, by another command than the spec's.
  static bool runs_another(const ProcessSpec& spec);
};

// Runs a program to its end; the error carries what it printed.
using RunProgram = std::function<Result<>(const std::vector<std::string>& words)>;
Result<> run_program(const std::vector<std::string>& words);

// A unit named after cluster and home, so that init restarts the supervisor and starts it at boot; its
// ExecStartPost is `rusternetes-ctl start`, which makes links and rules again. Everything else is the
// supervisor's. A cluster of containers has a unit that runs `rusternetes-ctl start` at boot, and what runs
// beside a cluster one that comes up behind the cluster's.
class SystemdPort final : public SupervisorPort {
 public:
  explicit SystemdPort(std::filesystem::path unit_folder = "/etc/systemd/system",
                       RunProgram run = run_program)
      : unit_folder_(std::move(unit_folder)), run_(std::move(run)) {}
  Result<> start_held(const ProcessSpec& spec) override;
  Result<> start_timed(const ProcessSpec& spec) override;
  Result<> stop(const ProcessSpec& spec, std::chrono::milliseconds grace) override;
  Result<> forget(const ProcessSpec& spec) override;
  Result<> start_at_boot(const ProcessSpec& spec) override;
  Result<> forget_boot(const ProcessSpec& spec) override;

  // "rusternetes-NAME-HASH.service", "rusternetes-NAME-HASH-PART.service"
  static std::string unit_name(const ProcessSpec& spec);
  static std::string unit_text(const ProcessSpec& spec);
  static std::string boot_unit_text(const ProcessSpec& spec);
  static std::string timed_unit_text(const ProcessSpec& spec);

 private:
  // Written if it is another one, and enabled.
  Result<> install(const ProcessSpec& spec, const std::string& text);
  Result<> start_unit(const ProcessSpec& spec);
  Result<> remove(const ProcessSpec& spec);
  std::filesystem::path unit_folder_;
  RunProgram run_;
};

// sd_booted(3): whether systemd is the init of this host.
bool is_systemd_host();

}  // namespace rusternetes::launcher
