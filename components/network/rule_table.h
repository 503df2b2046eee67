#pragma once
// A table of nftables rules that is loaded whole and looked after: cheap to look at, since the kernel is only
// asked how many rules its chains have.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "network/namespace.h"

namespace rusternetes::network {

struct RuleTable {
  struct Chain {
    std::string name;
    std::string hook;  // "type filter hook forward priority -10"; its policy is to accept
    std::vector<std::string> rules;
    bool operator==(const Chain&) const = default;
  };
  std::string name;  // of the family inet
  std::vector<Chain> chains;
  bool operator==(const RuleTable&) const = default;
  // In nft's language: replaces the table.
  std::string commands() const;
};

// In one transaction.
Result<> load_table(const NetworkNamespace& where, const RuleTable& table);
// Whether every chain is there with as many rules. What they say is not looked at.
Result<bool> has_table_rules(const NetworkNamespace& where, const RuleTable& table);

}  // namespace rusternetes::network
