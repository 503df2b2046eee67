#include "api-server/authz/policy_rule.h"

#include <algorithm>
#include <map>

#include "apimachinery/quote.h"

namespace rusternetes::api_server {

using apimachinery::ListView;

namespace {

bool has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool has_all(const std::vector<std::string>& list, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& text) { return has(list, text); });
}

bool has_or_star(const std::vector<std::string>& list, std::string_view text) {
  for (const std::string& entry : list)
    if (entry == text || entry == "*") return true;
  return false;
}

bool resource_matches(const PolicyRule& rule, const RuleQuery& query) {
  const std::string& subresource = query.attributes.subresource;
  for (const std::string& entry : rule.resources) {
    if (entry == "*" || entry == query.combined_resource) return true;
    if (!subresource.empty() && entry.size() == subresource.size() + 2 && entry.starts_with("*/") &&
        entry.ends_with(subresource))
      return true;
  }
  return false;
}

// "/api/*" without its stars; only meaningful when `pattern` ends in one.
std::string_view without_trailing_stars(std::string_view pattern) {
  while (pattern.ends_with('*')) pattern.remove_suffix(1);
  return pattern;
}

bool url_covers(std::string_view pattern, std::string_view url) {
  return pattern == url || (pattern.ends_with('*') && url.starts_with(without_trailing_stars(pattern)));
}

bool url_matches(const PolicyRule& rule, std::string_view path) {
  return std::any_of(rule.non_resource_urls.begin(), rule.non_resource_urls.end(),
                     [&](const std::string& pattern) { return url_covers(pattern, path); });
}

bool resources_cover(const std::vector<std::string>& held, const std::vector<std::string>& wanted) {
  if (has(held, "*")) return true;
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& resource) {
    if (has(held, resource)) return true;
    const std::size_t slash = resource.find('/');
    return slash != std::string::npos && has(held, "*/" + resource.substr(slash + 1));
  });
}

// `wanted` holds at most one entry of each list.
bool rule_covers(const PolicyRule& held, const PolicyRule& wanted) {
  const bool names_covered =
      held.resource_names.empty() ||
      (!wanted.resource_names.empty() && has_all(held.resource_names, wanted.resource_names));
  return names_covered && (has(held.verbs, "*") || has_all(held.verbs, wanted.verbs)) &&
         (has(held.api_groups, "*") || has_all(held.api_groups, wanted.api_groups)) &&
         resources_cover(held.resources, wanted.resources) &&
         std::all_of(wanted.non_resource_urls.begin(), wanted.non_resource_urls.end(),
                     [&](const std::string& url) { return url_matches(held, url); });
}

void break_down(const PolicyRule& rule, std::vector<PolicyRule>& out) {
  for (const std::string& group : rule.api_groups)
    for (const std::string& resource : rule.resources)
      for (const std::string& verb : rule.verbs) {
        if (rule.resource_names.empty()) out.push_back({{verb}, {group}, {resource}, {}, {}});
        for (const std::string& name : rule.resource_names)
          out.push_back({{verb}, {group}, {resource}, {name}, {}});
      }
  for (const std::string& url : rule.non_resource_urls)
    for (const std::string& verb : rule.verbs) out.push_back({{verb}, {}, {}, {}, {url}});
}

}  // namespace

std::vector<std::string> to_strings(ListView<std::string_view> views) {
  std::vector<std::string> out;
  out.reserve(views.size());
  for (const std::string_view text : views) out.emplace_back(text);
  return out;
}

PolicyRule policy_rule(apimachinery::rbac_v1::PolicyRule view) {
  return {to_strings(view.verbs()), to_strings(view.apiGroups()), to_strings(view.resources()),
          to_strings(view.resourceNames()), to_strings(view.nonResourceURLs())};
}

std::vector<PolicyRule> policy_rules(ListView<apimachinery::rbac_v1::PolicyRule> views) {
  std::vector<PolicyRule> rules;
  rules.reserve(views.size());
  for (apimachinery::rbac_v1::PolicyRule view : views) rules.push_back(policy_rule(view));
  return rules;
}

RuleQuery::RuleQuery(const Attributes& attributes)
    : attributes(attributes), combined_resource(attributes.resource) {
  if (attributes.subresource.empty()) return;
  joined = attributes.resource + "/" + attributes.subresource;
  combined_resource = joined;
}

bool rule_allows(const PolicyRule& rule, const RuleQuery& query) {
  const Attributes& attributes = query.attributes;
  if (!has_or_star(rule.verbs, attributes.verb)) return false;
  if (!attributes.is_resource) return url_matches(rule, attributes.path);
  return has_or_star(rule.api_groups, attributes.api_group) && resource_matches(rule, query) &&
         (rule.resource_names.empty() || has(rule.resource_names, attributes.name));
}

bool rules_allow(std::span<const PolicyRule> rules, const Attributes& attributes) {
  const RuleQuery query(attributes);
  return std::any_of(rules.begin(), rules.end(),
                     [&](const PolicyRule& rule) { return rule_allows(rule, query); });
}

std::vector<PolicyRule> uncovered_rules(std::span<const PolicyRule> held,
                                        std::span<const PolicyRule> wanted) {
  std::vector<PolicyRule> parts;
  for (const PolicyRule& rule : wanted) break_down(rule, parts);
  std::erase_if(parts, [&](const PolicyRule& part) {
    return std::any_of(held.begin(), held.end(),
                       [&](const PolicyRule& rule) { return rule_covers(rule, part); });
  });
  return parts;
}

std::vector<PolicyRule> compact_rules(std::span<const PolicyRule> rules) {
  std::vector<PolicyRule> out;
  std::map<std::vector<std::string>, std::size_t> simple;  // group, resource[, name] → index into `out`
  for (const PolicyRule& rule : rules) {
    const bool is_simple = rule.resource_names.size() <= 1 && rule.non_resource_urls.empty() &&
                           rule.api_groups.size() == 1 && rule.resources.size() == 1;
    if (!is_simple) {
      out.push_back(rule);
      continue;
    }
    std::vector<std::string> key{rule.api_groups[0], rule.resources[0]};
    key.insert(key.end(), rule.resource_names.begin(), rule.resource_names.end());
    const auto [at, is_new] = simple.emplace(std::move(key), out.size());
    if (is_new)
      out.push_back(rule);
    else
      out[at->second].verbs.insert(out[at->second].verbs.end(), rule.verbs.begin(), rule.verbs.end());
  }
  return out;
}

std::string quote_list(std::span<const std::string> texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    apimachinery::append_quoted(out, text);
  }
  return out + "]";
}

std::string describe_rule(const PolicyRule& rule) {
  std::string out = "{";
  const auto part = [&out](std::string_view name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    if (out.size() > 1) out += ", ";
    out += name;
    out += ':';
    out += quote_list(values);
  };
  part("APIGroups", rule.api_groups);
  part("Resources", rule.resources);
  part("NonResourceURLs", rule.non_resource_urls);
  part("ResourceNames", rule.resource_names);
  part("Verbs", rule.verbs);
  return out + "}";
}

}  // namespace rusternetes::api_server
