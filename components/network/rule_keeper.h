#pragma once
// Keeps rules standing that others may take away (`nft flush ruleset`, a firewall's restart, Docker's own): looks when it
// starts, whenever something in the namespace's rules has changed, and each half minute.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::network {

class RuleKeeper {
 public:
  struct Rule {
    std::string what;  // "the masquerade": for the log
    // Puts the rule back if it is missing, and says whether it was. Blocking; called by start(), then on the keeper's own
    // thread alone.
    std::function<Result<bool>()> mend;
  };
  // `thread_name` is shown by top and gdb. Changes come many at a time: they are looked at `settle` after the first.
  RuleKeeper(const NetworkNamespace& where, std::string thread_name, std::chrono::milliseconds settle, std::vector<Rule> rules);
  ~RuleKeeper();  // stop()
  // Looks once before it returns. A rule that cannot be put back is logged and tried again at the next change, and after
  // 1, 2, 4 ... 30 s.
  Result<void> start();
  // The rules stay.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes::network
