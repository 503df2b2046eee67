#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "api-server/authz/aggregation.h"
#include "api-server/authz/escalation.h"
#include "api-server/authz/forbidden.h"
#include "api-server/authz/modes.h"
#include "api-server/authz/policy_rule.h"
#include "api-server/authz/rbac_authorizer.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
namespace rbac = apimachinery::rbac_v1;

namespace {

User user(std::string name, std::vector<std::string> groups = {}) {
  User out;
  out.name = std::move(name);
  out.groups = std::move(groups);
  return out;
}

PolicyRule resource_rule(std::vector<std::string> verbs, std::vector<std::string> groups,
                         std::vector<std::string> resources, std::vector<std::string> names = {}) {
  return {std::move(verbs), std::move(groups), std::move(resources), std::move(names), {}};
}

Attributes path_request(std::string verb, std::string path) {
  Attributes attributes;
  attributes.verb = std::move(verb);
  attributes.path = std::move(path);
  return attributes;
}

}  // namespace

TEST_CASE("a rule allows what its stars, names and subresources say", "[authz]") {
  struct Case {
    PolicyRule rule;
    std::string verb, group, resource, subresource, name;
    bool is_allowed;
  };
  const std::vector<Case> cases{
      {resource_rule({"get"}, {""}, {"pods"}), "get", "", "pods", "", "", true},
      {resource_rule({"get"}, {""}, {"pods"}), "list", "", "pods", "", "", false},
      {resource_rule({"get"}, {""}, {"pods"}), "get", "apps", "pods", "", "", false},
      {resource_rule({"get"}, {""}, {"pods"}), "get", "", "pods", "log", "", false},
      {resource_rule({"get"}, {""}, {"pods/log"}), "get", "", "pods", "log", "", true},
      {resource_rule({"get"}, {""}, {"pods/log"}), "get", "", "pods", "", "", false},
      {resource_rule({"*"}, {"*"}, {"*"}), "frobnicate", "a.b", "c", "d", "e", true},
      {resource_rule({"get"}, {"*"}, {"*/scale"}), "get", "apps", "deployments", "scale", "", true},
      {resource_rule({"get"}, {"*"}, {"*/scale"}), "get", "apps", "deployments", "xscale", "", false},
      {resource_rule({"get"}, {"*"}, {"*/scale"}), "get", "apps", "deployments", "", "", false},
      {resource_rule({"get"}, {"*"}, {"*/*"}), "get", "apps", "deployments", "scale", "", false},
      {resource_rule({"get"}, {""}, {"secrets"}, {"a", "b"}), "get", "", "secrets", "", "b", true},
      {resource_rule({"get"}, {""}, {"secrets"}, {"a", "b"}), "get", "", "secrets", "", "c", false},
      {resource_rule({"get"}, {""}, {"secrets"}, {"a", "b"}), "get", "", "secrets", "", "", false},
      {{{"get"}, {}, {}, {}, {"*"}}, "get", "", "pods", "", "", false},
  };
  for (const Case& c : cases) {
    Attributes attributes = resource_request({}, c.verb, c.resource, "", c.name);
    attributes.api_group = c.group;
    attributes.subresource = c.subresource;
    INFO(describe_rule(c.rule) << " " << c.verb << " " << c.group << " " << c.resource << "/"
                               << c.subresource);
    CHECK(rules_allow(std::vector{c.rule}, attributes) == c.is_allowed);
  }
}

TEST_CASE("a URL rule matches exactly or by its trailing star", "[authz]") {
  const std::vector<PolicyRule> rules{{{"get"}, {}, {}, {}, {"/healthz", "/logs/*", "/x*"}}};
  CHECK(rules_allow(rules, path_request("get", "/healthz")));
  CHECK_FALSE(rules_allow(rules, path_request("get", "/healthz/")));
  CHECK(rules_allow(rules, path_request("get", "/logs/")));
  CHECK_FALSE(rules_allow(rules, path_request("get", "/logs")));
  CHECK(rules_allow(rules, path_request("get", "/xyz")));
  CHECK_FALSE(rules_allow(rules, path_request("post", "/xyz")));
}

TEST_CASE("covering breaks rules down and names what is missing", "[authz]") {
  const std::vector<PolicyRule> held{resource_rule({"get", "list"}, {""}, {"pods", "*/status"}),
                                     resource_rule({"*"}, {"apps"}, {"deployments"}, {"web"}),
                                     {{"get"}, {}, {}, {}, {"/a/*"}}};
  CHECK(uncovered_rules(held, std::vector{resource_rule({"get"}, {""}, {"pods", "nodes/status"})}).empty());
  CHECK(uncovered_rules(held, std::vector{resource_rule({"delete"}, {"apps"}, {"deployments"}, {"web"})})
            .empty());
  CHECK(uncovered_rules(held, std::vector<PolicyRule>{{{"get"}, {}, {}, {}, {"/a/b", "/a/*"}}}).empty());

  // Two rules that together would do, each of which does not, are no cover for a name list without names.
  CHECK(uncovered_rules(held, std::vector{resource_rule({"get"}, {"apps"}, {"deployments"})}).size() == 1);
  CHECK(uncovered_rules(held, std::vector{resource_rule({"*"}, {""}, {"pods"})}).size() == 1);
  CHECK(uncovered_rules(held, std::vector<PolicyRule>{{{"get"}, {}, {}, {}, {"/a", "*"}}}).size() == 2);

  const auto missing =
      uncovered_rules(held, std::vector{resource_rule({"get", "watch", "patch"}, {""}, {"pods"})});
  REQUIRE(missing.size() == 2);
  const auto compact = compact_rules(missing);
  REQUIRE(compact.size() == 1);
  CHECK(describe_rule(compact[0]) == R"({APIGroups:[""], Resources:["pods"], Verbs:["watch" "patch"]})");
}

TEST_CASE("RBAC follows changes, and says which binding allowed", "[authz]") {
  TestObjects objects;
  const RbacAuthorizer authorizer(objects);
  Attributes request = resource_request(user("system:serviceaccount:dev:bot"), "get", "pods", "dev");
  CHECK(authorizer.authorize(request).decision == Decision::no_opinion);
  CHECK(authorizer.authorize(request).reason.empty());

  objects.put(
      R"({apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, namespace: dev},
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: bot}]})");
  CHECK(authorizer.authorize(request).reason == R"(RBAC: role.rbac.authorization.k8s.io "r" not found)");
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: dev},
    rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]})");
  Verdict verdict = authorizer.authorize(request);
  CHECK(verdict.decision == Decision::allow);
  CHECK(verdict.reason == R"(RBAC: allowed by RoleBinding "b/dev" of Role "r" to ServiceAccount "bot/dev")");

  request.name_space = "prod";
  CHECK(authorizer.authorize(request).decision == Decision::no_opinion);
  request.name_space = "";
  CHECK(authorizer.authorize(request).decision == Decision::no_opinion);

  objects.remove("rbac.authorization.k8s.io", "roles", "dev", "r");
  request.name_space = "dev";
  CHECK(authorizer.authorize(request).decision == Decision::no_opinion);
}

TEST_CASE("granting more than one holds is refused with the missing rules", "[authz]") {
  TestObjects objects;
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: some},
    rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}, {nonResourceURLs: [/a], verbs: [get]}]})");
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: binder},
    rules: [{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: [more], verbs: [bind]},
            {apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate]}]})");
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: more},
    rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]})");
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: b},
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: some},
    subjects: [{kind: User, name: ann}, {kind: Group, name: team}]})");
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: c},
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: binder}, subjects: [{kind: User, name: bea}]})");
  const auto made = make_authorizer(std::vector<std::string>{"RBAC"}, objects);
  REQUIRE(made);

  const User ann = user("ann", {"g1", "g2"}), bea = user("bea"), root = user("root", {"system:masters"});
  apimachinery::Arena arena;
  const apimachinery::Value wide =
      typed_value(arena, rbac::Role::schema_type(),
                  "{metadata: {name: wide, namespace: dev}, rules: [{apiGroups: ['', apps], "
                  "resources: [pods], verbs: [get, delete]}, {nonResourceURLs: [/b], verbs: [get]}]}");
  const auto refused = check_role_write({*made->rbac, *made->chain, ann, "dev", ""}, wide, nullptr);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == 403);
  CHECK(refused.error().message ==
        "roles.rbac.authorization.k8s.io \"wide\" is forbidden: user \"ann\" (groups=[\"g1\" \"g2\"]) is "
        "attempting to "
        "grant RBAC permissions not currently held:\n"
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n"
        "{APIGroups:[\"apps\"], Resources:[\"pods\"], Verbs:[\"get\" \"delete\"]}\n"
        "{NonResourceURLs:[\"/b\"], Verbs:[\"get\"]}");
  CHECK(check_role_write({*made->rbac, *made->chain, root, "dev", ""}, wide, nullptr));
  CHECK(check_role_write({*made->rbac, *made->chain, bea, "dev", ""}, wide, nullptr));
  CHECK_FALSE(check_cluster_role_write({*made->rbac, *made->chain, bea, "", ""}, wide, nullptr));

  const apimachinery::Value narrow =
      typed_value(arena, rbac::ClusterRole::schema_type(),
                  "{metadata: {name: nn}, rules: [{apiGroups: [''], resources: [pods], verbs: [list]}]}");
  CHECK(check_cluster_role_write({*made->rbac, *made->chain, ann, "", ""}, narrow, nullptr));
  const apimachinery::Value aggregated =
      typed_value(arena, rbac::ClusterRole::schema_type(),
                  "{metadata: {name: nn}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}}");
  const auto aggregation =
      check_cluster_role_write({*made->rbac, *made->chain, ann, "", ""}, aggregated, nullptr);
  REQUIRE_FALSE(aggregation);
  CHECK(aggregation.error().message ==
        "clusterroles.rbac.authorization.k8s.io \"nn\" is forbidden: must have cluster-admin privileges to "
        "use the "
        "aggregationRule");

  const auto binding = [&](std::string_view role) {
    return typed_value(
        arena, rbac::ClusterRoleBinding::schema_type(),
        "{metadata: {name: x}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: " +
            std::string(role) + "}}");
  };
  const RbacWrite by_ann{*made->rbac, *made->chain, ann, "", ""},
      by_bea{*made->rbac, *made->chain, bea, "", ""};
  CHECK(check_cluster_role_binding_write(by_ann, binding("some"), nullptr));
  CHECK_FALSE(check_cluster_role_binding_write(by_ann, binding("more"), nullptr));
  CHECK(check_cluster_role_binding_write(by_bea, binding("more"), nullptr));
  const auto absent = check_cluster_role_binding_write(by_ann, binding("absent"), nullptr);
  REQUIRE_FALSE(absent);
  CHECK(absent.error().is("NotFound"));
}

TEST_CASE("the garbage collector may finish with a role it could not write", "[authz]") {
  TestObjects objects;
  const auto made = make_authorizer(std::vector<std::string>{"RBAC"}, objects);
  REQUIRE(made);
  apimachinery::Arena arena;
  const std::string rest = "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}";
  const auto& type = rbac::Role::schema_type();
  const apimachinery::Value old =
      typed_value(arena, type, "{metadata: {name: r, finalizers: [foregroundDeletion]}, " + rest);
  const apimachinery::Value freed = typed_value(arena, type, "{metadata: {name: r}, " + rest);
  const apimachinery::Value changed =
      typed_value(arena, type, "{metadata: {name: r, labels: {a: b}}, " + rest);
  const User collector = user("gc");
  const RbacWrite write{*made->rbac, *made->chain, collector, "dev", "r"};
  CHECK(check_role_write(write, freed, &old));
  CHECK_FALSE(check_role_write(write, changed, &old));
}

TEST_CASE("aggregation gathers rules of selected roles once", "[authz]") {
  TestObjects objects;
  const auto put = [&objects](std::string_view name, std::string_view label, std::string_view resources) {
    objects.put("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: " +
                std::string(name) + ", labels: {" + std::string(label) +
                ": 'true'}}, rules: [{apiGroups: [''], resources: [" + std::string(resources) +
                "], verbs: [get]}]}");
  };
  put("b", "to-all", "pods");
  put("a", "to-all", "secrets");
  put("c", "to-all", "pods");
  put("d", "elsewhere", "nodes");
  put("all", "to-all", "nodes");
  apimachinery::Arena arena;
  const auto aggregated = [&arena](std::string_view selectors) {
    return typed_value(
        arena, rbac::ClusterRole::schema_type(),
        "{metadata: {name: all}, aggregationRule: {clusterRoleSelectors: " + std::string(selectors) + "}}");
  };
  const auto documents = objects.list("rbac.authorization.k8s.io", "clusterroles", "");
  const apimachinery::Value role = aggregated(
      "[{matchLabels: {to-all: 'true'}}, {matchExpressions: [{key: elsewhere, operator: Exists}]}]");
  const auto rules = aggregate_cluster_roles(rbac::ClusterRole(&role), documents);
  REQUIRE(rules);
  REQUIRE(rules->size() == 3);
  CHECK((*rules)[0].resources.front() == "secrets");
  CHECK((*rules)[1].resources.front() == "pods");
  CHECK((*rules)[2].resources.front() == "nodes");
  const apimachinery::Value wrong = aggregated("[{matchExpressions: [{key: a, operator: Foo}]}]");
  CHECK_FALSE(aggregate_cluster_roles(rbac::ClusterRole(&wrong), documents));
}

TEST_CASE("a refusal reads as Kubernetes'", "[authz]") {
  Attributes attributes = resource_request(user("x"), "list", "pods", "default");
  CHECK(
      forbidden_status(attributes, "").message ==
      R"(pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default")");
  attributes.api_group = "apps";
  attributes.resource = "deployments";
  attributes.subresource = "scale";
  attributes.name = "web";
  attributes.name_space = "";
  CHECK(
      forbidden_status(attributes, "because").message ==
      R"(deployments.apps "web" is forbidden: User "x" cannot list resource "deployments/scale" in API group "apps" at the cluster scope: because)");
  Attributes path = path_request("get", "/<y>&");
  path.user.name = "x";
  const Status status = forbidden_status(path, "");
  CHECK(status.message == R"(forbidden: User "x" cannot get path "/&lt;y&gt;&amp;")");
  CHECK(status.code == 403);
  CHECK(status.reason == "Forbidden");
}

TEST_CASE("authorization modes are checked and combined in order", "[authz]") {
  TestObjects objects;
  const auto error = [&objects](std::vector<std::string> modes) {
    const auto made = make_authorizer(modes, objects);
    return made ? std::string() : made.error().message;
  };
  CHECK(error({}) == "at least one authorization-mode must be passed");
  CHECK(error({"Rbac"}) == R"(authorization-mode "Rbac" is not a valid mode; did you mean RBAC?)");
  CHECK(error({"alwaysAlow"}) ==
        R"(authorization-mode "alwaysAlow" is not a valid mode; did you mean AlwaysAllow?)");
  CHECK(error({"Node", "Webhook"}) ==
        "authorization-mode Webhook is not supported; use Node, RBAC, AlwaysAllow or AlwaysDeny");
  CHECK(error({"RBAC", "RBAC"}) == R"(authorization-mode "RBAC" is given more than once)");

  const auto deny = make_authorizer(std::vector<std::string>{"AlwaysDeny"}, objects);
  REQUIRE(deny);
  CHECK(deny->chain->authorize(resource_request(user("x"), "get", "pods")).decision == Decision::no_opinion);
  CHECK(deny->chain->authorize(resource_request(user("x"), "get", "pods")).reason ==
        "Everything is forbidden.");
  CHECK(deny->chain->authorize(resource_request(user("x", {"system:masters"}), "get", "pods")).decision ==
        Decision::allow);
  const auto allow = make_authorizer(std::vector<std::string>{"AlwaysDeny", "AlwaysAllow"}, objects);
  REQUIRE(allow);
  CHECK(allow->chain->authorize(resource_request(user("x"), "get", "pods")).decision == Decision::allow);
  CHECK(allow->chain->rules_for(user("x"), "default").resource_rules.size() == 1);
}

TEST_CASE("a change is seen by every thread as soon as it is made", "[authz]") {
  TestObjects objects;
  objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: b},
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}, subjects: [{kind: User, name: x}]})");
  const RbacAuthorizer authorizer(objects);
  const Attributes request = resource_request(user("x"), "get", "pods");
  std::atomic<bool> is_done{false};
  std::atomic<std::uint64_t> asked{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!is_done) {
        (void)authorizer.authorize(request);
        ++asked;
      }
    });
  bool was_always_right = true;
  for (int i = 0; i < 200 || asked < 1000; ++i) {
    objects.put(R"({apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r},
      rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]})");
    was_always_right &= authorizer.authorize(request).decision == Decision::allow;
    objects.remove("rbac.authorization.k8s.io", "clusterroles", "", "r");
    was_always_right &= authorizer.authorize(request).decision == Decision::no_opinion;
  }
  is_done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(was_always_right);
}
