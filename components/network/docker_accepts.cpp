#include "network/docker_accepts.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <vector>

#include "network/names.h"
#include "network/nft.h"

namespace rusternetes::network {

namespace json = boost::json;

namespace {
constexpr std::array<std::string_view, 2> families{"ip", "ip6"};
constexpr std::array<std::string_view, 2> sides{"iifname", "oifname"};

const json::value* at(const json::value* value, std::string_view key) {
  const auto* object = value ? value->if_object() : nullptr;
  return object ? object->if_contains(key) : nullptr;
}
std::string text_of(const json::value* value) {
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string{};
}

struct Accept {
  std::int64_t handle = 0;
  std::string side;  // "iifname" or "oifname"
};

// What of DOCKER-USER matters here.
struct Chain {
  std::vector<Accept> own;
  std::optional<std::int64_t> last_return;  // Docker ends the chain with it: nothing behind it is reached
};

// One match, that of a link's name, and perhaps a counter.
std::optional<std::string> side_of_own(const json::array& expressions, const std::string& links) {
  std::string side;
  bool accepts = false;
  for (const auto& expression : expressions) {
    if (at(&expression, "accept")) {
      accepts = true;
    } else if (const auto* match = at(&expression, "match")) {
      const std::string key = text_of(at(at(at(match, "left"), "meta"), "key"));
      if (!side.empty() || text_of(at(match, "op")) != "==" || text_of(at(match, "right")) != links) return std::nullopt;
      side = key;
    } else if (!at(&expression, "counter")) {
      return std::nullopt;
    }
  }
  return accepts && !side.empty() ? std::optional{side} : std::nullopt;
}

// Nothing where there is no such chain.
Result<std::optional<Chain>> read_chain(Nft& nft, std::string_view family, const std::string& links) {
  const auto listed = nft.run_json(fmt::format("list chain {} filter DOCKER-USER", family));
  if (!listed && listed.error().is("NotFound")) return std::optional<Chain>{};
  RN_CHECK(listed);
  boost::json::error_code error;
  const auto parsed = json::parse(*listed, error);
  const auto* all = error ? nullptr : at(&parsed, "nftables");
  if (!all || !all->is_array()) return internal_error("nftables: the listing of DOCKER-USER is not JSON as expected");
  Chain chain;
  for (const auto& item : all->get_array()) {
    const auto* rule = at(&item, "rule");
    const auto* expressions = at(rule, "expr");
    const auto* handle = at(rule, "handle");
    if (!expressions || !expressions->is_array() || !handle || !handle->is_int64()) continue;
    const auto& list = expressions->get_array();
    chain.last_return.reset();
    if (const auto side = side_of_own(list, links)) chain.own.push_back({handle->get_int64(), *side});
    const bool is_plain = list.size() == 1 || (list.size() == 2 && at(&list[0], "counter"));
    if (is_plain && at(&list.back(), "return")) chain.last_return = handle->get_int64();
  }
  return std::optional{std::move(chain)};
}

// Works on each family's chain that is there.
template <class F>
Result<> on_each_chain(const NetworkNamespace& host, std::string_view cluster, F&& work) {
  return inside(host, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    const std::string links = interface_prefix(cluster) + "*";
    for (const auto family : families) {
      RN_TRY(const auto chain, read_chain(nft, family, links));
      if (!chain) continue;
      const std::string commands = work(family, links, *chain);
      if (commands.empty()) continue;
      RN_CHECK(nft.run(commands));
    }
    return {};
  });
}
}  // namespace

Result<bool> ensure_docker_accepts(const NetworkNamespace& host, std::string_view cluster) {
  bool is_added = false;
  RN_CHECK(on_each_chain(host, cluster, [&](std::string_view family, const std::string& links, const Chain& chain) {
    std::string commands;
    for (const auto side : sides) {
      bool is_there = false;
      for (const auto& accept : chain.own) is_there = is_there || accept.side == side;
      if (is_there) continue;
      // As iptables writes it, so that its own listing shows the rule like any other.
      commands += chain.last_return
                      ? fmt::format("insert rule {} filter DOCKER-USER position {} {} \"{}\" counter accept\n", family, *chain.last_return, side, links)
                      : fmt::format("add rule {} filter DOCKER-USER {} \"{}\" counter accept\n", family, side, links);
    }
    is_added = is_added || !commands.empty();
    return commands;
  }));
  return is_added;
}

Result<> remove_docker_accepts(const NetworkNamespace& host, std::string_view cluster) {
  return on_each_chain(host, cluster, [](std::string_view family, const std::string&, const Chain& chain) {
    std::string commands;
    for (const auto& accept : chain.own) commands += fmt::format("delete rule {} filter DOCKER-USER handle {}\n", family, accept.handle);
    return commands;
  });
}

}  // namespace rusternetes::network
