#include "api-server/authz/modes.h"

#include <algorithm>
#include <array>

#include "api-server/authz/node_authorizer.h"
#include "api-server/bootstrap/policy.h"
#include "apimachinery/errors.h"
#include "apimachinery/quote.h"
#include "base/nearest.h"

namespace rusternetes::api_server {

namespace {

constexpr std::array<std::string_view, 6> mode_words{"Node",       "RBAC",    "AlwaysAllow",
                                                     "AlwaysDeny", "Webhook", "ABAC"};

std::string did_you_mean(std::string_view word) {
  const std::string near = nearest(word, {mode_words.begin(), mode_words.end()});
  return near.empty() ? "" : "; did you mean " + near + "?";
}

Result<> check_modes(std::span<const std::string> modes) {
  if (modes.empty()) return apimachinery::bad_request("at least one authorization-mode must be passed");
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const std::string& mode = modes[i];
    if (std::find(mode_words.begin(), mode_words.end(), mode) == mode_words.end())
      return apimachinery::bad_request("authorization-mode " + apimachinery::quote(mode) +
                                       " is not a valid mode" + did_you_mean(mode));
    if (mode == "Webhook" || mode == "ABAC")
      return apimachinery::bad_request("authorization-mode " + mode +
                                       " is not supported; use Node, RBAC, AlwaysAllow or AlwaysDeny");
    if (std::find(modes.begin(), modes.begin() + static_cast<std::ptrdiff_t>(i), mode) !=
        modes.begin() + static_cast<std::ptrdiff_t>(i))
      return apimachinery::bad_request("authorization-mode " + apimachinery::quote(mode) +
                                       " is given more than once");
  }
  return {};
}

}  // namespace

Verdict MastersAuthorizer::authorize(const Attributes& attributes) const {
  if (attributes.user.is_in(group_masters)) return {Decision::allow, {}, {}};
  return {};
}

Verdict AlwaysAllowAuthorizer::authorize(const Attributes&) const { return {Decision::allow, {}, {}}; }

ResolvedRules AlwaysAllowAuthorizer::rules_for(const User&, std::string_view) const {
  return {{{{"*"}, {"*"}, {"*"}, {}, {}}}, {{{"*"}, {}, {}, {}, {"*"}}}, false, {}};
}

Verdict AlwaysDenyAuthorizer::authorize(const Attributes&) const {
  return {Decision::no_opinion, "Everything is forbidden.", {}};
}

ResolvedRules AlwaysDenyAuthorizer::rules_for(const User&, std::string_view) const { return {}; }

void UnionAuthorizer::add(std::shared_ptr<const Authorizer> authorizer, const RuleResolver* resolver) {
  members_.push_back({std::move(authorizer), resolver});
}

Verdict UnionAuthorizer::authorize(const Attributes& attributes) const {
  Verdict combined;
  std::vector<std::string> errors;
  for (const Member& member : members_) {
    Verdict verdict = member.authorizer->authorize(attributes);
    if (verdict.decision != Decision::no_opinion) return verdict;
    if (!verdict.error.empty()) errors.push_back(std::move(verdict.error));
    if (verdict.reason.empty()) continue;
    if (!combined.reason.empty()) combined.reason += '\n';
    combined.reason += verdict.reason;
  }
  combined.error = aggregate_errors(std::move(errors));
  return combined;
}

ResolvedRules UnionAuthorizer::rules_for(const User& user, std::string_view name_space) const {
  ResolvedRules combined;
  std::vector<std::string> errors;
  for (const Member& member : members_) {
    if (!member.resolver) continue;
    ResolvedRules rules = member.resolver->rules_for(user, name_space);
    std::move(rules.resource_rules.begin(), rules.resource_rules.end(),
              std::back_inserter(combined.resource_rules));
    std::move(rules.non_resource_rules.begin(), rules.non_resource_rules.end(),
              std::back_inserter(combined.non_resource_rules));
    combined.is_incomplete |= rules.is_incomplete;
    errors.push_back(std::move(rules.error));
  }
  combined.error = aggregate_errors(std::move(errors));
  return combined;
}

Result<AuthorizerSet> make_authorizer(std::span<const std::string> modes, const ObjectSource& source) {
  RN_CHECK(check_modes(modes));
  auto chain = std::make_shared<UnionAuthorizer>();
  const auto add = [&chain](auto authorizer) { chain->add(authorizer, authorizer.get()); };
  chain->add(std::make_shared<MastersAuthorizer>(), nullptr);
  auto rbac = std::make_shared<RbacAuthorizer>(source);
  for (const std::string& mode : modes) {
    if (mode == "RBAC") add(rbac);
    if (mode == "Node") add(std::make_shared<NodeAuthorizer>(source, bootstrap::node_rules()));
    if (mode == "AlwaysAllow") add(std::make_shared<AlwaysAllowAuthorizer>());
    if (mode == "AlwaysDeny") add(std::make_shared<AlwaysDenyAuthorizer>());
  }
  return AuthorizerSet{std::move(chain), std::move(rbac)};
}

}  // namespace rusternetes::api_server
