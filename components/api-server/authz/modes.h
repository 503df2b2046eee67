#pragma once
// The chain of authorizers that --authorization-mode names.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/authorizer.h"
#include "api-server/authz/rbac_authorizer.h"
#include "api-server/authz/rule_resolver.h"
#include "base/status.h"

namespace rusternetes::api_server {

// Members of system:masters may do everything, whatever the modes.
class MastersAuthorizer final : public Authorizer {
 public:
  Verdict authorize(const Attributes& attributes) const override;
};

class AlwaysAllowAuthorizer final : public Authorizer, public RuleResolver {
 public:
  Verdict authorize(const Attributes& attributes) const override;
  ResolvedRules rules_for(const User& user, std::string_view name_space) const override;
};

class AlwaysDenyAuthorizer final : public Authorizer, public RuleResolver {
 public:
  Verdict authorize(const Attributes& attributes) const override;
  ResolvedRules rules_for(const User& user, std::string_view name_space) const override;
};

// Asks in order; the first that allows or denies decides. Without one, the reasons of all are joined by
// lines.
class UnionAuthorizer final : public Authorizer, public RuleResolver {
 public:
  // `resolver` may be null: such an authorizer names no rules.
  void add(std::shared_ptr<const Authorizer> authorizer, const RuleResolver* resolver);

  Verdict authorize(const Attributes& attributes) const override;
  ResolvedRules rules_for(const User& user, std::string_view name_space) const override;

 private:
  struct Member {
    std::shared_ptr<const Authorizer> authorizer;
    const RuleResolver* resolver;
  };
  std::vector<Member> members_;
};

struct AuthorizerSet {
  std::shared_ptr<const UnionAuthorizer> chain;
  // For escalation checks, which go by RBAC rules in every mode.
  std::shared_ptr<const RbacAuthorizer> rbac;
};

// `modes` are the flag's words in order: Node, RBAC, AlwaysAllow, AlwaysDeny. `source` outlives what is made.
// BadRequest, in a sentence for the command line, for none, a repeated, an unknown, or a not supported one.
Result<AuthorizerSet> make_authorizer(std::span<const std::string> modes, const ObjectSource& source);

}  // namespace rusternetes::api_server
