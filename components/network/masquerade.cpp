#include "network/masquerade.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>

#include "network/names.h"
#include "network/nft.h"

namespace rusternetes::network {

namespace {
std::string names(const std::vector<std::string>& list) {
  return fmt::format("{{ \"{}\" }}", fmt::join(list, "\", \""));
}

// Empty when the family has none. Overlapping ranges would not load as a set, so each is matched by itself.
std::vector<std::string> of_family(const std::vector<IpPrefix>& ranges, int family) {
  std::vector<std::string> result;
  for (const auto& range : ranges)
    if (range.address().family() == family) result.push_back(range.masked().to_string());
  return result;
}

std::string render_family(const Masquerade& wanted, int family) {
  const char* word = family == AF_INET ? "ip" : "ip6";
  const auto sources = of_family(wanted.sources, family);
  if (sources.empty()) return {};
  std::string text;
  for (const auto& range : of_family(wanted.except_destinations, family))
    text += fmt::format("    {} daddr {} return\n", word, range);
  for (const auto& source : sources) {
    text += "    ";
    if (!wanted.from_interfaces.empty()) text += fmt::format("iifname {} ", names(wanted.from_interfaces));
    if (!wanted.except_to_interfaces.empty())
      text += fmt::format("oifname != {} ", names(wanted.except_to_interfaces));
    text += fmt::format("{} saddr {} masquerade\n", word, source);
  }
  return text;
}
}  // namespace

Result<> load_masquerade(const NetworkNamespace& where, const Masquerade& wanted) {
  if (wanted.sources.empty()) return Status{400, "BadRequest", "a masquerade needs sources"};
  for (const auto* list : {&wanted.from_interfaces, &wanted.except_to_interfaces})
    for (const auto& name : *list)
      if (!is_safe_name(name))
        return Status{400, "BadRequest", fmt::format("\"{}\" is no link's name", name)};
  // `lo` is left out: traffic of a host to itself keeps its source.
  const std::string commands = fmt::format(
      "add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n  chain postrouting {{\n"
      "    type nat hook postrouting priority 100; policy accept;\n    oifname \"lo\" return\n{1}{2}  "
      "}}\n}}\n",
      table_name(wanted.cluster, "nat"), render_family(wanted, AF_INET), render_family(wanted, AF_INET6));
  return inside(where, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(commands));
    return {};
  });
}

Result<bool> has_masquerade(const NetworkNamespace& where, std::string_view cluster) {
  const auto listed = inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto nft, Nft::open());
    return nft.run(fmt::format("list table inet {}", table_name(cluster, "nat")));
  });
  if (!listed && listed.error().is("NotFound")) return false;
  RN_CHECK(listed);
  return listed->find(" masquerade") != std::string::npos;
}

Result<> remove_masquerade(const NetworkNamespace& where, std::string_view cluster) {
  return inside(where, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(fmt::format("add table inet {0}\ndelete table inet {0}\n", table_name(cluster, "nat"))));
    return {};
  });
}

}  // namespace rusternetes::network
