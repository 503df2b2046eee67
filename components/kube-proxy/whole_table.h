#pragma once
// A whole table as text, and the two ways to put it in the place of what the kernel has: made anew, or over a
// table of the same layout, of which no packet notices anything. Text only.
//
// A packet sees the rules of the moment in which it came to a hook, but sets and maps as they are when it
// gets to them. So a table in use is never taken away: between its maps' old elements and its chains' new
// rules a packet would fall through it untranslated, or unjudged.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kube-proxy/transaction.h"

namespace rusternetes::kube_proxy {

// What stands in a table whatever Services, Pods and policies there are.
class Frame {
 public:
  void add_counter(std::string_view name);
  // `kind`: set or map. `elements`: those it always has, "a, b".
  void add_container(std::string_view kind, std::string_view name, std::string_view inside,
                     std::string_view elements = {});
  // `rules`: lines of the chain's block.
  void add_chain(std::string_view name, std::string_view rules);
  void add_base_chain(std::string_view name, std::string_view type, std::string_view hook, int priority,
                      std::string_view rules);
  // Lines of the table's block.
  const std::string& block() const { return block_; }
  // By name, with its kind.
  const std::map<std::string, std::string>& containers() const { return containers_; }
  // The name of a chain that tells all that cannot be changed in a table which stands: what objects there
  // are, sets' and maps' types, base chains' hooks.
  std::string layout_chain() const;
  bool has_chain(const std::string& name) const { return chains_.contains(name); }

 private:
  std::string block_, layout_;
  std::map<std::string, std::string> containers_;
  std::set<std::string> chains_;
};

// What an affinity set held when the table was replaced.
struct AffinityElement {
  std::string set, address;
  std::int64_t timeout_s = 0, expires_s = 0;
};

struct WholeTable {
  std::string name;
  Frame frame;
  std::map<std::string, std::vector<std::string>> chains;  // beside the frame's
  std::map<std::string, std::string> sets;
  std::string elements;  // commands that add all of them
  // A chain with one rule has it in its name, so that it can be told later whether this is still what stands.
  std::uint64_t mark = 0;
  std::vector<AffinityElement> kept;
};

template <class E>
WholeTable whole_table(std::string name, Frame frame, BasicRules<E> rules, std::uint64_t mark) {
  std::string elements = element_commands("add", name, rules.entries);
  return {std::move(name), std::move(frame), std::move(rules.chains), std::move(rules.sets),
          std::move(elements), mark, {}};
}

std::string mark_chain(std::uint64_t mark);

// One transaction that makes the table, instead of whatever has its name.
std::string whole_transaction(const WholeTable& table);

// What a table of the kernel has, by name.
struct Standing {
  std::set<std::string> chains, sets;
  std::set<std::string> filled_chains;  // those that have a rule
};
// `listed`: the table as JSON (libnftables-json(5)). Nothing: it has another layout.
std::optional<Standing> read_standing(const std::string& listed, const WholeTable& table);

// Transactions, one after the other, that make a table of the same layout the one that is wanted.
struct Replacement {
  std::vector<std::string> transactions;
  // Emptied, to be deleted some time later (see change_transactions()).
  std::vector<std::string> stale_chains, stale_sets;
};
Replacement replacement(const WholeTable& table, const Standing& standing);

}  // namespace rusternetes::kube_proxy
