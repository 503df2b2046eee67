#include "kube-proxy/whole_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <iterator>

namespace rusternetes::kube_proxy {

namespace json = boost::json;

namespace {

using Out = std::back_insert_iterator<std::string>;

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// Its elements are added by packets, and forgotten by time.
bool is_dynamic(const std::string& inside) { return inside.find("dynamic") != std::string::npos; }

// Adds everything but elements to a table whose chains, if it has any, are empty.
std::string block(const WholeTable& table) {
  std::string text = fmt::format("table inet {} {{\n", table.name);
  text += table.frame.block();
  for (const auto& [name, inside] : table.sets)
    fmt::format_to(Out(text), "  set {} {{ {} }}\n", name, inside);
  for (const auto& [name, rules] : table.chains)
    fmt::format_to(Out(text), "  chain {} {{\n    {}\n  }}\n", name, fmt::join(rules, "\n    "));
  fmt::format_to(Out(text), "  chain {} {{\n  }}\n  chain {} {{\n    return\n  }}\n}}\n",
                 table.frame.layout_chain(), mark_chain(table.mark));
  return text;
}

// Chains and sets that are missing, or emptied, before anything leads to them.
BasicDifference<Element> missing(const WholeTable& table, const Standing& standing) {
  BasicDifference<Element> out;
  for (const auto& [name, rules] : table.chains)
    if (!standing.filled_chains.contains(name)) out.chains.emplace(name, rules);
  for (const auto& [name, inside] : table.sets)
    if (!standing.sets.contains(name)) out.sets.emplace(name, inside);
  return out;
}

// A base chain of somebody else has a policy, also when it is empty.
bool is_foreign_hook(const json::object& item, const Frame& frame) {
  const auto* found = item.if_contains("chain");
  const auto* chain = found ? found->if_object() : nullptr;
  const auto* name = chain && chain->contains("hook") ? chain->if_contains("name") : nullptr;
  return name && name->is_string() && !frame.has_chain(std::string(name->get_string()));
}

}  // namespace

void Frame::add_counter(std::string_view name) {
  fmt::format_to(Out(block_), "  counter {} {{ }}\n", name);
  fmt::format_to(Out(layout_), "counter {}\n", name);
}

void Frame::add_container(std::string_view kind, std::string_view name, std::string_view inside,
                          std::string_view elements) {
  fmt::format_to(Out(block_), "  {} {} {{ {}{} }}\n", kind, name, inside,
                 elements.empty() ? "" : fmt::format(" elements = {{ {} }};", elements));
  fmt::format_to(Out(layout_), "{} {} {}\n", kind, name, inside);
  containers_.emplace(name, kind);
}

void Frame::add_chain(std::string_view name, std::string_view rules) {
  fmt::format_to(Out(block_), "  chain {} {{\n{}  }}\n", name, rules);
  fmt::format_to(Out(layout_), "chain {}\n", name);
  chains_.emplace(name);
}

void Frame::add_base_chain(std::string_view name, std::string_view type, std::string_view hook, int priority,
                           std::string_view rules) {
  const std::string head = fmt::format("type {} hook {} priority {}; policy accept;\n", type, hook, priority);
  fmt::format_to(Out(block_), "  chain {} {{\n    {}{}  }}\n", name, head, rules);
  fmt::format_to(Out(layout_), "chain {} {}", name, head);
  chains_.emplace(name);
}

std::string Frame::layout_chain() const { return fmt::format("layout-{:016x}", fnv1a(layout_)); }

std::string mark_chain(std::uint64_t mark) { return fmt::format("loaded-{:x}", mark); }

std::string whole_transaction(const WholeTable& table) {
  std::string text = fmt::format("add table inet {0}\ndelete table inet {0}\n", table.name);
  text += block(table) + table.elements;
  for (const auto& each : table.kept)
    if (table.sets.contains(each.set))
      fmt::format_to(Out(text), "add element inet {} {} {{ {} timeout {}s expires {}s }}\n", table.name,
                     each.set, each.address, each.timeout_s, each.expires_s);
  return text;
}

std::optional<Standing> read_standing(const std::string& listed, const WholeTable& table) {
  json::error_code error;
  const auto parsed = json::parse(listed, error);
  const auto* root = error ? nullptr : parsed.if_object();
  const auto* all = root ? root->if_contains("nftables") : nullptr;
  if (!all || !all->is_array()) return std::nullopt;
  Standing out;
  std::set<std::string> maps;
  const auto take = [](const json::object& item, std::string_view kind, std::set<std::string>& names,
                       std::string_view key = "name") {
    const auto* found = item.if_contains(kind);
    const auto* object = found ? found->if_object() : nullptr;
    const auto* name = object ? object->if_contains(key) : nullptr;
    if (name && name->is_string()) names.emplace(name->get_string());
  };
  for (const auto& item : all->get_array()) {
    const auto* object = item.if_object();
    if (!object) continue;
    take(*object, "chain", out.chains);
    take(*object, "rule", out.filled_chains, "chain");
    take(*object, "set", out.sets);
    take(*object, "map", maps);
    if (is_foreign_hook(*object, table.frame)) return std::nullopt;
  }
  if (!out.chains.contains(table.frame.layout_chain())) return std::nullopt;
  for (const auto& [name, kind] : table.frame.containers())  // somebody may have taken some away
    if (!(kind == "map" ? maps : out.sets).contains(name)) return std::nullopt;
  return out;
}

Replacement replacement(const WholeTable& table, const Standing& standing) {
  Replacement out;
  // Who is still on the way by old rules finds them where the new elements lead.
  out.transactions = change_transactions(table.name, missing(table, standing));
  std::string text = fmt::format("flush table inet {}\n", table.name);
  for (const auto& [name, kind] : table.frame.containers())
    fmt::format_to(Out(text), "flush {} inet {} {}\n", kind, table.name, name);
  for (const auto& name : standing.sets) {
    if (table.frame.containers().contains(name)) continue;
    const auto wanted = table.sets.find(name);
    if (wanted == table.sets.end()) out.stale_sets.push_back(name);
    if (wanted == table.sets.end() || !is_dynamic(wanted->second))
      fmt::format_to(Out(text), "flush set inet {} {}\n", table.name, name);
  }
  for (const auto& name : standing.chains)
    if (!table.frame.has_chain(name) && !table.chains.contains(name) && name != table.frame.layout_chain() &&
        name != mark_chain(table.mark))
      out.stale_chains.push_back(name);
  out.transactions.push_back(text + block(table) + table.elements);
  return out;
}

}  // namespace rusternetes::kube_proxy
