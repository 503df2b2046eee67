#pragma once
// Sees a proxy's rules arrive in the kernel, whoever made them and however they are built: every transaction
// is told to those who listen, once it is in force, and an endpoint's address stands in one of its messages
// as four bytes.

#include <bitset>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace rusternetes::bench {

class RuleWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Of this process's network namespace. Needs CAP_NET_ADMIN.
  static Result<RuleWatch> open();
  RuleWatch(RuleWatch&& other) noexcept;
  RuleWatch& operator=(RuleWatch&&) = delete;
  ~RuleWatch();

  // Until nothing was told for so long.
  Result<void> wait_quiet(std::chrono::milliseconds quiet, Time deadline);
  // Until an address of 10.244.0.0/16 has been seen since forget(); the time at which it was.
  Result<Time> wait_for(std::uint16_t number, Time deadline);
  // The same for all numbers from 1 to `last`.
  Result<Time> wait_for_all(std::uint16_t last, Time deadline);
  void forget();

 private:
  explicit RuleWatch(int fd) : fd_(fd) {}
  // False if nothing came before the deadline.
  Result<bool> read_some(Time deadline);
  void note(std::string_view message);

  int fd_;
  std::bitset<65536> seen_;
};

}  // namespace rusternetes::bench
