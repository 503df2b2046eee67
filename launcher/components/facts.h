#pragma once
// FactsPort on the host: engines by their API, the kernel's network by trying it in a network namespace that
// is made for it, the firewall through libnftables.

#include <functional>
#include <optional>
#include <string>

#include "launcher/adapters/proc_facts.h"

namespace rusternetes::launcher {

class LinuxFacts final : public ProcFacts {
 public:
  LinuxFacts(std::filesystem::path binary_dir,
             std::function<std::optional<std::string>(const char*)> variable)
      : ProcFacts(std::move(binary_dir)), variable_(std::move(variable)) {}
  Result<EnginesFacts> engines() override;
  Result<KernelFacts> kernel() override;
  Result<FirewallFacts> firewall() override;
  Result<ProgramFacts> programs() override;

 private:
  std::function<std::optional<std::string>(const char*)> variable_;
};

// "1.8.1" out of "crun version 1.8.1\ncommit: …". Pure.
std::string runtime_version_of(std::string_view said);

}  // namespace rusternetes::launcher
