#pragma once
// Rules in nftables' own language: the table of Services, a difference, what is left over. Text only.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "kube-proxy/rule_set.h"

namespace rusternetes::kube_proxy {

struct WholeTable;
// The table of Services (kube-proxy/whole_table.h).
WholeTable services_table(const Base& base, Rules rules, std::uint64_t mark);

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

// One after the other, and none where there is nothing to do. A packet goes by the rules of the moment in
// which it came to a hook, but finds sets and maps as they are when it gets to them: by the elements of a
// transaction it may be led to where, by the rules that it has, there was nothing yet, or miss elements that
// its rules count on. So chains come before the elements that lead to them, and what is no longer wanted goes
// after all that leads elsewhere.
//
// Chains that nothing leads to any more are emptied here. They are taken away by a later transaction, since
// before Linux 6.2 an element that was just removed still holds its chain.
template <class E>
std::vector<std::string> change_transactions(const std::string& table, const BasicDifference<E>& difference) {
  std::string prepare, change, clean;
  const auto add_chains = [&](std::string& text, const auto& chains) {
    const auto out = std::back_inserter(text);
    for (const auto& [name, unused] : chains)
      fmt::format_to(out, "add chain inet {0} {1}\nflush chain inet {0} {1}\n", table, name);
    for (const auto& [name, rules] : chains)
      for (const auto& rule : rules) fmt::format_to(out, "add rule inet {} {} {}\n", table, name, rule);
  };
  for (const auto& [name, inside] : difference.sets)
    fmt::format_to(std::back_inserter(prepare), "add set inet {} {} {{ {} }}\n", table, name, inside);
  add_chains(prepare, difference.chains);

  std::vector<BasicEntry<E>> changed, gone;
  auto added = difference.added.begin();
  for (const auto& element : difference.removed) {
    while (added != difference.added.end() && added->element < element) ++added;
    const bool comes_back = added != difference.added.end() && added->element == element;
    (comes_back ? changed : gone).push_back({element, {}});
  }
  change += element_commands("delete", table, changed);
  add_chains(change, difference.changed_chains);
  change += element_commands("add", table, difference.added);

  clean += element_commands("delete", table, gone);
  for (const auto& name : difference.stale_chains)
    fmt::format_to(std::back_inserter(clean), "flush chain inet {} {}\n", table, name);

  std::vector<std::string> out;
  for (auto* text : {&prepare, &change, &clean})
    if (!text->empty()) out.push_back(std::move(*text));
  return out;
}

std::string sweep_transaction(const std::string& table, const std::vector<std::string>& chains,
                              const std::vector<std::string>& sets);

}  // namespace rusternetes::kube_proxy
