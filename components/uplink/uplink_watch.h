#pragma once
// Tells when a namespace has lost a link.

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::uplink {

class UplinkWatch {
 public:
  // Calls `on_lost` once, on a thread of the watch's own, when there has been no link `name` in `node` for
  // `limit`. One that is there again in time, another one of that name included, is not lost.
  static Result<std::unique_ptr<UplinkWatch>> start(const network::NetworkNamespace& node, std::string name,
                                                    std::chrono::milliseconds limit,
                                                    std::function<void()> on_lost);
  // Waits for the thread.
  ~UplinkWatch();

 private:
  struct Impl;
  explicit UplinkWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// For a program that is of no use without it: says so and ends the process with code 1. What the program has
// begun is left as it is, as after a crash: with its network gone nobody could be told.
Result<std::unique_ptr<UplinkWatch>> end_without(const network::NetworkNamespace& node, std::string name,
                                                 std::string program);

}  // namespace rusternetes::uplink
