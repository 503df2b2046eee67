#include "network/service_drop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <mutex>
#include <optional>

#include "network/names.h"
#include "network/nft.h"
#include "network/nft_state.h"

namespace rusternetes::network {

namespace json = boost::json;

namespace {
constexpr std::string_view hooks[] = {"forward", "output"};
constexpr int priority =
    10;  // after the filter priority (0), where translations are done and rejects are answered
constexpr const char* counter_name = "untranslated";

void normalise(ServiceDrop& drop) {
  for (auto& range : drop.service_ranges) range = range.masked();
  std::ranges::sort(drop.service_ranges);
  drop.service_ranges.erase(std::ranges::unique(drop.service_ranges).begin(), drop.service_ranges.end());
  std::ranges::sort(drop.allowed_interfaces);
  drop.allowed_interfaces.erase(std::ranges::unique(drop.allowed_interfaces).begin(),
                                drop.allowed_interfaces.end());
}

// A list of one would be listed back as a plain name; the reader takes both.
std::string render(const ServiceDrop& drop) {
  const std::string table = table_name(drop.cluster);
  std::string unless;
  if (!drop.allowed_interfaces.empty())
    unless = fmt::format("oifname != {{ \"{}\" }} ", fmt::join(drop.allowed_interfaces, "\", \""));
  std::string text = fmt::format("add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n", table);
  text += fmt::format("  counter {} {{\n  }}\n", counter_name);
  for (const auto hook : hooks) {
    text += fmt::format("  chain {0} {{\n    type filter hook {0} priority {1}; policy accept;\n", hook,
                        priority);
    for (const auto& range : drop.service_ranges)
      text += fmt::format("    {} daddr {} {}counter name {} drop\n", range.address().is_v4() ? "ip" : "ip6",
                          range.to_string(), unless, counter_name);
    text += "  }\n";
  }
  return text + "}\n";
}

// Walks nft's JSON without throwing: a shape it does not know is a rule that is not ours.
const json::value* at(const json::value* value, std::string_view key) {
  const auto* object = value ? value->if_object() : nullptr;
  return object ? object->if_contains(key) : nullptr;
}
std::string text_of(const json::value* value) {
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string{};
}
std::optional<std::int64_t> number_of(const json::value* value) {
  if (!value) return std::nullopt;
  boost::json::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error ? std::nullopt : std::optional{number};
}

std::optional<IpPrefix> read_range(const json::value* right) {
  if (const auto* prefix = at(right, "prefix")) {
    const auto length = number_of(at(prefix, "len"));
    auto range = IpPrefix::parse(fmt::format("{}/{}", text_of(at(prefix, "addr")), length.value_or(-1)));
    return range ? std::optional{*range} : std::nullopt;
  }
  auto address = IpAddress::parse(text_of(right));
  return address ? std::optional{IpPrefix::host(*address)} : std::nullopt;
}

std::optional<std::vector<std::string>> read_names(const json::value* right) {
  if (right && right->is_string()) return std::vector{text_of(right)};
  const auto* set = at(right, "set");
  if (!set || !set->is_array()) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& name : set->get_array()) names.push_back(text_of(&name));
  std::ranges::sort(names);
  return names;
}

struct DropRule {
  IpPrefix range;
  std::vector<std::string> allowed_interfaces;
};

// Exactly: daddr in a range, perhaps leaving by none of some links, counted, dropped.
std::optional<DropRule> read_rule(const json::value* rule) {
  const auto* expressions = at(rule, "expr");
  if (!expressions || !expressions->is_array()) return std::nullopt;
  const auto& list = expressions->get_array();
  if (list.size() < 3 || list.size() > 4) return std::nullopt;
  DropRule result;
  const auto* address = at(&list[0], "match");
  const auto* payload = at(at(address, "left"), "payload");
  const auto range = read_range(at(address, "right"));
  if (text_of(at(address, "op")) != "==" || text_of(at(payload, "field")) != "daddr" || !range)
    return std::nullopt;
  result.range = *range;
  if (list.size() == 4) {
    const auto* link = at(&list[1], "match");
    const auto names = read_names(at(link, "right"));
    if (text_of(at(link, "op")) != "!=" || text_of(at(at(at(link, "left"), "meta"), "key")) != "oifname" ||
        !names)
      return std::nullopt;
    result.allowed_interfaces = *names;
  }
  if (text_of(at(&list[list.size() - 2], "counter")) != counter_name) return std::nullopt;
  const auto* last = list.back().if_object();
  if (!last || !last->contains("drop")) return std::nullopt;
  return result;
}

// The table's objects by kind, in order.
struct Table {
  std::vector<json::value> chains, rules, counters;
};

Status changed(std::string_view cluster, std::string_view what) {
  return internal_error(fmt::format(
      "nftables table inet {} does not keep untranslated service packets in: {}", table_name(cluster), what));
}

// A dormant table drops nothing. (And libnftables 1.0.6 uses memory that it has freed when it lists a table
// with flags as JSON.)
Result<Table> read_table(const NetworkNamespace& where, std::string_view cluster) {
  RN_TRY(const auto state, NftState::open(where));
  RN_TRY(const std::uint32_t flags, state.table_flags(table_name(cluster)));
  if (flags != 0) return changed(cluster, "it is dormant, or belongs to another process");
  const std::string command = fmt::format("list table inet {}", table_name(cluster));
  RN_TRY(const std::string text, inside(where, [&]() -> Result<std::string> {
           RN_TRY(auto nft, Nft::open());
           return nft.run_json(command);
         }));
  boost::json::error_code error;
  const auto parsed = json::parse(text, error);
  const auto* all = error ? nullptr : at(&parsed, "nftables");
  if (!all || !all->is_array()) return internal_error("nftables: the listing is not JSON as expected");
  Table table;
  for (const auto& item : all->get_array()) {
    if (const auto* chain = at(&item, "chain")) table.chains.push_back(*chain);
    if (const auto* rule = at(&item, "rule")) table.rules.push_back(*rule);
    if (const auto* counter = at(&item, "counter")) table.counters.push_back(*counter);
  }
  return table;
}

Result<ServiceDrop> interpret(const Table& table, std::string_view cluster) {
  std::map<std::string, ServiceDrop> by_chain;
  for (const auto& chain : table.chains) {
    const std::string name = text_of(at(&chain, "name"));
    if (std::ranges::find(hooks, name) == std::end(hooks) || text_of(at(&chain, "hook")) != name ||
        text_of(at(&chain, "type")) != "filter" || number_of(at(&chain, "prio")) != priority)
      return changed(cluster, fmt::format("chain {} is not one of its own", json::serialize(chain)));
    by_chain[name].cluster = cluster;
  }
  for (const auto& rule : table.rules) {
    const auto found = by_chain.find(text_of(at(&rule, "chain")));
    const auto drop = read_rule(&rule);
    if (!drop || found == by_chain.end())
      return changed(cluster, fmt::format("rule {} is not one of its own", json::serialize(rule)));
    auto& chain = found->second;
    if (!chain.service_ranges.empty() && chain.allowed_interfaces != drop->allowed_interfaces)
      return changed(cluster, "its rules allow different links");
    chain.service_ranges.push_back(drop->range);
    chain.allowed_interfaces = drop->allowed_interfaces;
  }
  for (auto& [name, chain] : by_chain) normalise(chain);
  if (by_chain.size() != std::size(hooks)) return changed(cluster, "a chain is missing");
  const auto& first = by_chain.begin()->second;
  for (const auto& [name, chain] : by_chain)
    if (chain.service_ranges != first.service_ranges || chain.allowed_interfaces != first.allowed_interfaces)
      return changed(cluster, "its chains differ");
  return first;
}
}  // namespace

Result<> load_service_drop(const NetworkNamespace& where, const ServiceDrop& drop) {
  ServiceDrop wanted = drop;
  normalise(wanted);
  if (wanted.service_ranges.empty()) return Status{400, "BadRequest", "a service drop needs a service range"};
  for (const auto& name : wanted.allowed_interfaces)
    if (!is_safe_name(name)) return Status{400, "BadRequest", fmt::format("\"{}\" is no link's name", name)};
  const auto is_loaded = [&](const Result<ServiceDrop>& present) {
    return present && present->service_ranges == wanted.service_ranges &&
           present->allowed_interfaces == wanted.allowed_interfaces;
  };
  if (is_loaded(read_service_drop(where, wanted.cluster))) return {};
  const auto loaded = inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto nft, Nft::open());
    return nft.run(render(wanted));
  });
  RN_CHECK(loaded);
  RN_TRY(const auto present, read_service_drop(where, wanted.cluster));
  if (!is_loaded(present))
    return changed(wanted.cluster, "other ranges or links were read back than were loaded");
  return {};
}

Result<> widen_service_drop(const NetworkNamespace& where, const ServiceDrop& wanted) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  ServiceDrop wide = wanted;
  if (const auto present = read_service_drop(where, wanted.cluster))
    wide.service_ranges.insert(wide.service_ranges.end(), present->service_ranges.begin(),
                               present->service_ranges.end());
  return load_service_drop(where, wide);
}

Result<ServiceDrop> read_service_drop(const NetworkNamespace& where, std::string_view cluster) {
  RN_TRY(const auto table, read_table(where, cluster));
  return interpret(table, cluster);
}

Result<> check_service_drop(const NetworkNamespace& where, std::string_view cluster,
                            const std::vector<IpPrefix>& service_ranges) {
  RN_TRY(const auto present, read_service_drop(where, cluster));
  for (const auto& range : service_ranges)
    if (std::ranges::find(present.service_ranges, range.masked()) == present.service_ranges.end())
      return changed(cluster, fmt::format("{} is not among its ranges", range.masked().to_string()));
  return {};
}

Result<DropCount> service_drop_count(const NetworkNamespace& where, std::string_view cluster) {
  RN_TRY(const auto table, read_table(where, cluster));
  for (const auto& counter : table.counters) {
    const auto packets = number_of(at(&counter, "packets"));
    const auto bytes = number_of(at(&counter, "bytes"));
    if (text_of(at(&counter, "name")) == counter_name && packets && bytes)
      return DropCount{static_cast<std::uint64_t>(*packets), static_cast<std::uint64_t>(*bytes)};
  }
  return changed(cluster, "its counter is missing");
}

Result<> remove_service_drop(const NetworkNamespace& where, std::string_view cluster) {
  return inside(where, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    // Adding what is there is no error; deleting what is not would be one.
    RN_CHECK(nft.run(fmt::format("add table inet {0}\ndelete table inet {0}\n", table_name(cluster))));
    return {};
  });
}

}  // namespace rusternetes::network
