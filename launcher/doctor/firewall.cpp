// The chains that may drop a cluster's packets, out of libnftables' JSON (libnftables-json(5)).
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <map>

#include "launcher/doctor/checks.h"

namespace rusternetes::launcher::doctor {
namespace {

namespace json = boost::json;

// Tables of clusters (components/network/names.h): their drop rule is no firewall.
constexpr std::string_view own_tables = "rusternetes-";

const json::value* at(const json::value* value, std::string_view key) {
  const auto* object = value == nullptr ? nullptr : value->if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

std::string text_at(const json::value* value, std::string_view key) {
  const json::value* found = at(value, key);
  const auto* text = found == nullptr ? nullptr : found->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

// "iifname" or "oifname" of `meta iifname "rn*"`, else nothing.
std::string side_of(const json::value& match) {
  if (text_at(&match, "op") != "==") return {};
  const std::string key = text_at(at(at(&match, "left"), "meta"), "key");
  return key == "iifname" || key == "oifname" ? key : "";
}

// What a rule does, as far as it matters here.
void read_rule(const json::array& expressions, FilterChain& chain) {
  std::string side, link;
  bool is_plain = true, does_accept = false, does_drop = false;
  for (const json::value& one : expressions) {
    if (at(&one, "accept") != nullptr) {
      does_accept = true;
    } else if (at(&one, "drop") != nullptr || at(&one, "reject") != nullptr) {
      does_drop = true;
    } else if (const json::value* match = at(&one, "match"); match != nullptr && side.empty()) {
      side = side_of(*match);
      link = text_at(match, "right");
      is_plain = is_plain && !side.empty() && !link.empty();
    } else if (at(&one, "counter") == nullptr && at(&one, "log") == nullptr) {
      is_plain = false;
    }
  }
  chain.ends_in_drop = does_drop && is_plain && side.empty();
  if (does_accept && is_plain && !side.empty())
    (side == "iifname" ? chain.accepted_in : chain.accepted_out).push_back(link);
}

}  // namespace

Result<FirewallFacts> firewall_from_json(std::string_view ruleset) {
  json::error_code error;
  const json::value parsed = json::parse(json::string_view(ruleset.data(), ruleset.size()), error);
  const json::value* all = error ? nullptr : at(&parsed, "nftables");
  if (all == nullptr || !all->is_array())
    return internal_error("nftables: the ruleset is not JSON as expected");
  std::map<std::string, FilterChain> chains;
  const auto key_of = [](const std::string& family, const std::string& table, const std::string& name) {
    return family + " " + table + " " + name;
  };
  for (const json::value& item : all->get_array()) {
    if (const json::value* chain = at(&item, "chain")) {
      FilterChain one{.family = text_at(chain, "family"),
                      .table = text_at(chain, "table"),
                      .name = text_at(chain, "name"),
                      .hook = text_at(chain, "hook"),
                      .is_policy_drop = text_at(chain, "policy") == "drop"};
      const bool is_ip = one.family == "ip" || one.family == "ip6" || one.family == "inet";
      const bool is_filter = one.hook == "input" || one.hook == "forward";
      const bool is_docker_user = one.name == "DOCKER-USER" && one.table == "filter";
      if (!is_ip || one.table.starts_with(own_tables) || (!is_filter && !is_docker_user)) continue;
      chains.emplace(key_of(one.family, one.table, one.name), one);
    } else if (const json::value* rule = at(&item, "rule")) {
      const auto chain =
          chains.find(key_of(text_at(rule, "family"), text_at(rule, "table"), text_at(rule, "chain")));
      const json::value* expressions = at(rule, "expr");
      if (chain != chains.end() && expressions != nullptr && expressions->is_array())
        read_rule(expressions->get_array(), chain->second);
    }
  }
  FirewallFacts out;
  for (auto& [key, chain] : chains)
    (chain.hook.empty() ? out.docker_user : out.chains).push_back(std::move(chain));
  return out;
}

}  // namespace rusternetes::launcher::doctor
