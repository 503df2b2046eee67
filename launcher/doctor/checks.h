#pragma once
// The checks: plain functions from facts to findings. What they know about hosts comes from measurements,
// which their comments name.

#include <cstdint>

#include "launcher/doctor/finding.h"
#include "launcher/ports/facts_port.h"

namespace rusternetes::launcher::doctor {

// engine_checks.cpp
Findings check_engines(const EnginesFacts& facts);
// The runtime that would start containers: crun before 1.9 does not with hybrid cgroups.
Findings check_runtime(const EnginesFacts& facts, CgroupMode mode);

// host_checks.cpp
Findings check_user(bool is_root);
Findings check_cgroups(const CgroupFacts& facts);
Findings check_limits(const LimitFacts& facts);
Findings check_memory(const MemoryFacts& facts);
Findings check_clock(const ClockFacts& facts);
Findings check_programs(const ProgramFacts& facts);
Findings check_init(bool has_systemd);
Findings check_home(const FolderFacts& facts);
// `what`: "disk-home" or "disk-engine".
Findings check_disk(const std::string& what, const FolderFacts& facts);

// network_checks.cpp
Findings check_kernel(const KernelFacts& facts);
Findings check_forwarding(const ForwardingFacts& facts);
Findings check_firewall(const FirewallFacts& facts);
Findings check_port(std::uint16_t port, const std::vector<Listener>& listeners);

// firewall.cpp: chains out of what `nft --json list ruleset` prints. Tables of clusters are left out. Pure.
Result<FirewallFacts> firewall_from_json(std::string_view ruleset);

}  // namespace rusternetes::launcher::doctor
