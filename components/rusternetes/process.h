#pragma once
// The whole control plane and one node in a process: which part runs where, under which identity, and in what
// order they start and stop.

#include <memory>

#include "base/status.h"
#include "rusternetes/options.h"

namespace rusternetes {

class Process {
 public:
  explicit Process(ProcessOptions options);
  ~Process();
  // Blocking; from the main thread. Prints how to connect when the process runs by hand.
  Result<void> start();
  // Ends in order; Pods go on running.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes
