#pragma once
// The cluster's supervised process: started held, so that links and rules can be made in its node's namespace
// before it runs, then released. A timed one beside it: it does its work, ends, and is started again when it
// said (RUSTERNETES_WAKE of components/base/supervisor). And what the host's init does for a cluster without
// either. Calls block.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

struct ProcessSpec {
  std::string cluster;
  std::string part;  // empty: the cluster itself; else the name of what runs beside it
  std::filesystem::path home;
  std::filesystem::path binary_dir;  // of supervisor and rusternetes-ctl
  std::filesystem::path pid_file;
  std::filesystem::path status_file;
  std::filesystem::path log_file;
  std::filesystem::path hold_file;  // what releases the child; empty for a timed one, which is not held
  bool has_own_netns = true;
  std::string engine;  // "podman" or "docker"; empty for one of the cluster's own
  // Program and arguments. `{node-netns}` stands for the path of the node's namespace.
  std::vector<std::string> command;
};

struct ProcessStatus {
  bool is_running = false;  // the supervisor
  bool is_released = false;
  int supervisor_pid = 0;
  int child_pid = 0;
  long restarts = 0;
  std::string last_exit;  // "", "exit N", "signal N"
  // Not after the child's start: whatever is younger was done by this child. The epoch when not running.
  std::chrono::system_clock::time_point started_at;
  std::string netns;  // path of the node's namespace; empty when not running or without one
};

class ProcessPort {
 public:
  virtual ~ProcessPort() = default;
  // Starts the supervisor with a held child; a running one is left alone. On return its namespace can be
  // entered.
  virtual Result<> start_held(const ProcessSpec& spec) = 0;
  virtual Result<> release(const ProcessSpec& spec) = 0;
  // Starts the supervisor with a timed child, which runs at once. One that runs by another command is ended
  // first.
  virtual Result<> start_timed(const ProcessSpec& spec) = 0;
  // TERM, and KILL after `grace`, to supervisor and child; it is not started again. Both have ended on
  // return, also a child whose supervisor was killed before; but not a child that asks for it itself, which
  // its supervisor waits for. Absent: no error.
  virtual Result<> stop(const ProcessSpec& spec, std::chrono::milliseconds grace) = 0;
  // Ends the running child as stop() does, and waits until its supervisor has started the next one, by the
  // command that the spec has now. ProcessFailed without a supervisor.
  virtual Result<> restart(const ProcessSpec& spec, std::chrono::milliseconds grace) = 0;
  // Ends the running child as stop() does; the one that its supervisor starts next waits for release().
  // ProcessFailed without a supervisor.
  virtual Result<> hold(const ProcessSpec& spec, std::chrono::milliseconds grace) = 0;
  // What an init system remembers about it. Absent: no error.
  virtual Result<> forget(const ProcessSpec& spec) = 0;
  virtual Result<ProcessStatus> status(const ProcessSpec& spec) = 0;
  // For a cluster of containers, which has no process on the host: has init run `rusternetes-ctl start`
  // whenever the host starts; and no more. Nothing where init is none of those that we know.
  virtual Result<> start_at_boot(const ProcessSpec& spec) = 0;
  virtual Result<> forget_boot(const ProcessSpec& spec) = 0;  // absent: no error
  // Returns early, with true, when the supervisor ends.
  virtual bool wait_for_end(const ProcessSpec& spec, std::chrono::milliseconds timeout) = 0;
};

}  // namespace rusternetes::launcher
