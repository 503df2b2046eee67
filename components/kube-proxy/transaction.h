#pragma once
// Rules in nftables' own language: the whole table, a difference, what is left over. Text only.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "kube-proxy/rule_set.h"

namespace rusternetes::kube_proxy {

// What an affinity set held when the table was replaced.
struct AffinityElement {
  std::string set, address;
  std::int64_t timeout_s = 0, expires_s = 0;
};

// One transaction that puts the table in the place of whatever had its name, without a moment between. A
// chain with one rule has `mark` in its name, so that it can be told later whether this is still what stands.
std::string whole_transaction(const Base& base, const Rules& rules, std::uint64_t mark,
                              const std::vector<AffinityElement>& kept);

// The parts of which the transactions of every table are made. The first two are lines of the table's block,
// at whose end the mark stands.
std::string set_declarations(const std::map<std::string, std::string>& sets);
std::string chain_declarations(const std::map<std::string, std::vector<std::string>>& chains);
std::string base_chain(std::string_view name, std::string_view type, std::string_view hook, int priority,
                       std::string_view rules);
std::string mark_chain(std::uint64_t mark);
std::string mark_declaration(std::uint64_t mark);

// `entries` are sorted: one command a set or map. `verb`: add or delete.
template <class E>
std::string element_commands(std::string_view verb, const std::string& table,
                             const std::vector<BasicEntry<E>>& entries) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (std::size_t i = 0; i < entries.size();) {
    const E& first = entries[i].element;
    fmt::format_to(out, "{} element inet {} {} {{ ", verb, table, first.set_name());
    for (std::size_t begin = i; i < entries.size() && entries[i].element.is_beside(first); ++i)
      fmt::format_to(out, "{}{}{}{}", i == begin ? "" : ", ", entries[i].element.key,
                     entries[i].value.empty() ? "" : " : ", entries[i].value);
    text += " }\n";
  }
  return text;
}

// Chains that nothing leads to any more are emptied here. They are taken away by a later transaction, since
// before Linux 6.2 an element that was just removed still holds its chain.
template <class E>
std::string change_transaction(const std::string& table, const BasicDifference<E>& difference) {
  std::vector<BasicEntry<E>> removed;
  for (const auto& element : difference.removed) removed.push_back({element, {}});
  std::string text = element_commands("delete", table, removed);
  const auto out = std::back_inserter(text);
  for (const auto& [name, inside] : difference.sets)
    fmt::format_to(out, "add set inet {} {} {{ {} }}\n", table, name, inside);
  for (const auto& [name, unused] : difference.chains)
    fmt::format_to(out, "add chain inet {0} {1}\nflush chain inet {0} {1}\n", table, name);
  for (const auto& [name, rules] : difference.chains)
    for (const auto& rule : rules) fmt::format_to(out, "add rule inet {} {} {}\n", table, name, rule);
  text += element_commands("add", table, difference.added);
  for (const auto& name : difference.stale_chains)
    fmt::format_to(out, "flush chain inet {} {}\n", table, name);
  return text;
}

std::string sweep_transaction(const std::string& table, const std::vector<std::string>& chains,
                              const std::vector<std::string>& sets);

}  // namespace rusternetes::kube_proxy
