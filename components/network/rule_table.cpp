#include "network/rule_table.h"

#include <fmt/format.h>

#include "network/nft.h"
#include "network/nft_state.h"

namespace rusternetes::network {

std::string RuleTable::commands() const {
  std::string text = fmt::format("add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n", name);
  for (const Chain& chain : chains) {
    text += fmt::format("  chain {} {{\n    {}; policy accept;\n", chain.name, chain.hook);
    for (const auto& rule : chain.rules) text += fmt::format("    {}\n", rule);
    text += "  }\n";
  }
  return text + "}\n";
}

Result<> load_table(const NetworkNamespace& where, const RuleTable& table) {
  return inside(where, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(table.commands()));
    return {};
  });
}

Result<bool> has_table_rules(const NetworkNamespace& where, const RuleTable& table) {
  RN_TRY(const auto state, NftState::open(where));
  for (const auto& chain : table.chains) {
    const auto uses = state.chain_uses(table.name, chain.name);
    if (!uses && uses.error().is("NotFound")) return false;
    RN_CHECK(uses);
    if (*uses != chain.rules.size()) return false;
  }
  return true;
}

}  // namespace rusternetes::network
