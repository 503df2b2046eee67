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

// Before all that translate at the usual priority: the first one to decide on a connection is the last. What
// the host itself sends came in by no link.
std::string render_kept(const Masquerade& wanted) {
  if (wanted.keep_source_to.empty()) return {};
  std::string text = "  chain keep-source {\n    type nat hook postrouting priority 99; policy accept;\n";
  for (const char* family : {"ip", "ip6"})
    text += fmt::format("    iif != 0 oifname {} snat {} to {} saddr\n", names(wanted.keep_source_to), family,
                        family);
  return text + "  }\n";
}

// The table as nft lists it; NotFound without it.
Result<std::string> list(const NetworkNamespace& where, std::string_view cluster) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto nft, Nft::open());
    return nft.run(fmt::format("list table inet {}", table_name(cluster, "nat")));
  });
}

// As nft lists a range: that of one address without its length.
std::string listed_range(const IpPrefix& range) {
  return range.is_host() ? range.address().to_string() : range.masked().to_string();
}
}  // namespace

Result<> load_masquerade(const NetworkNamespace& where, const Masquerade& wanted) {
  if (wanted.sources.empty()) return Status{400, "BadRequest", "a masquerade needs sources"};
  for (const auto* each : {&wanted.from_interfaces, &wanted.except_to_interfaces, &wanted.keep_source_to})
    for (const auto& name : *each)
      if (!is_safe_name(name))
        return Status{400, "BadRequest", fmt::format("\"{}\" is no link's name", name)};
  // `lo` is left out: traffic of a host to itself keeps its source.
  const std::string commands = fmt::format(
      "add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n  chain postrouting {{\n"
      "    type nat hook postrouting priority 100; policy accept;\n    oifname \"lo\" return\n{1}{2}  "
      "}}\n{3}}}\n",
      table_name(wanted.cluster, "nat"), render_family(wanted, AF_INET), render_family(wanted, AF_INET6),
      render_kept(wanted));
  return inside(where, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(commands));
    return {};
  });
}

Result<bool> has_masquerade(const NetworkNamespace& where, const Masquerade& wanted) {
  const auto listed = list(where, wanted.cluster);
  if (!listed && listed.error().is("NotFound")) return false;
  RN_CHECK(listed);
  const auto has = [&](const std::string& rule) { return listed->find(rule) != std::string::npos; };
  for (const auto& source : wanted.sources)
    if (!has(fmt::format("{} saddr {} masquerade\n", source.address().is_v4() ? "ip" : "ip6",
                         listed_range(source))))
      return false;
  return wanted.keep_source_to.empty() || (has(" snat ip to ip saddr\n") && has(" snat ip6 to ip6 saddr\n"));
}

Result<bool> has_masquerade(const NetworkNamespace& where, std::string_view cluster) {
  const auto listed = list(where, cluster);
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
