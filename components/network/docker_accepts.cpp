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
  std::string side;   // "iifname" or "oifname"
  std::string links;  // as nft writes them: "rnabcdef*", "podman1"
};

// The cluster's in the chain: a link that an engine has named does not say whose it is, so the rule does.
struct Marks {
  explicit Marks(std::string_view cluster) : links(cluster_links(cluster)), comment(table_name(cluster)) {}
  std::string links, comment;
};

// What of DOCKER-USER matters here.
struct Chain {
  std::vector<Accept> own;
  std::optional<std::int64_t> last_return;  // Docker ends the chain with it: nothing behind it is reached
};

// One match, that of a link's name, and perhaps a counter.
std::optional<Accept> read_accept(const json::array& expressions) {
  Accept out;
  bool accepts = false;
  for (const auto& expression : expressions) {
    if (at(&expression, "accept")) {
      accepts = true;
    } else if (const auto* match = at(&expression, "match")) {
      if (!out.side.empty() || text_of(at(match, "op")) != "==") return std::nullopt;
      out.side = text_of(at(at(at(match, "left"), "meta"), "key"));
      out.links = text_of(at(match, "right"));
    } else if (!at(&expression, "counter")) {
      return std::nullopt;
    }
  }
  return accepts && !out.side.empty() ? std::optional{out} : std::nullopt;
}

// Nothing where there is no such chain.
Result<std::optional<Chain>> read_chain(Nft& nft, std::string_view family, const Marks& marks) {
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
    if (auto accept = read_accept(list);
        accept && (accept->links == marks.links || text_of(at(rule, "comment")) == marks.comment)) {
      accept->handle = handle->get_int64();
      chain.own.push_back(*std::move(accept));
    }
    const bool is_plain = list.size() == 1 || (list.size() == 2 && at(&list[0], "counter"));
    if (is_plain && at(&list.back(), "return")) chain.last_return = handle->get_int64();
  }
  return std::optional{std::move(chain)};
}

std::string deletion(std::string_view family, const Accept& accept) {
  return fmt::format("delete rule {} filter DOCKER-USER handle {}\n", family, accept.handle);
}

// Works on each family's chain that is there.
template <class F>
Result<> on_each_chain(const NetworkNamespace& host, const Marks& marks, F&& work) {
  return inside(host, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    for (const auto family : families) {
      RN_TRY(const auto chain, read_chain(nft, family, marks));
      if (!chain) continue;
      const std::string commands = work(family, *chain);
      if (commands.empty()) continue;
      RN_CHECK(nft.run(commands));
    }
    return {};
  });
}
}  // namespace

Result<bool> ensure_docker_accepts(const NetworkNamespace& host, std::string_view cluster,
                                   std::string_view bridge) {
  const Marks marks(cluster);
  const std::string links = cluster_links(cluster, bridge);
  if (links != marks.links && !is_safe_name(links))
    return Status{400, "BadRequest", fmt::format("\"{}\" is no link's name", links)};
  const std::string comment =
      links == marks.links ? std::string() : fmt::format(" comment \"{}\"", marks.comment);
  bool is_changed = false;
  RN_CHECK(on_each_chain(host, marks, [&](std::string_view family, const Chain& chain) {
    std::string commands;
    for (const auto& accept : chain.own)
      if (accept.links != links) commands += deletion(family, accept);
    for (const auto side : sides) {
      bool is_there = false;
      for (const auto& accept : chain.own)
        is_there = is_there || (accept.side == side && accept.links == links);
      if (is_there) continue;
      // As iptables writes it, so that its own listing shows the rule like any other.
      const std::string rule = fmt::format("{} \"{}\" counter accept{}\n", side, links, comment);
      commands += chain.last_return ? fmt::format("insert rule {} filter DOCKER-USER position {} {}", family,
                                                  *chain.last_return, rule)
                                    : fmt::format("add rule {} filter DOCKER-USER {}", family, rule);
    }
    is_changed = is_changed || !commands.empty();
    return commands;
  }));
  return is_changed;
}

Result<> remove_docker_accepts(const NetworkNamespace& host, std::string_view cluster) {
  return on_each_chain(host, Marks(cluster), [](std::string_view family, const Chain& chain) {
    std::string commands;
    for (const auto& accept : chain.own) commands += deletion(family, accept);
    return commands;
  });
}

}  // namespace rusternetes::network
