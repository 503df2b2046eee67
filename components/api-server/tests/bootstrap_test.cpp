#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "api-server/bootstrap/policy.h"
#include "api-server/bootstrap/reconcile.h"
#include "apimachinery/api/flowcontrol_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
namespace rbac = apimachinery::rbac_v1;
using apimachinery::Arena;
using apimachinery::Value;
using bootstrap::Change;

namespace {

const bootstrap::Object& find(std::string_view kind, std::string_view name) {
  for (const bootstrap::Object& object : bootstrap::objects())
    if (object.kind->kind == kind && rbac::ClusterRole(&object.document.root()).metadata().name() == name)
      return object;
  FAIL("no " << kind << " " << name);
  abort();
}

struct Case {
  Arena arena;
  const apimachinery::Kind& kind;
  bootstrap::Reconciled result;
  Case(std::string_view kind_name, std::string_view existing, std::string_view expected)
      : kind(*std::find_if(apimachinery::Registry::builtin()->kinds().begin(),
                           apimachinery::Registry::builtin()->kinds().end(), [&](const auto* one) {
                             return one->kind == kind_name && !one->resource.empty();
                           })[0]) {
    const Value before = typed_value(arena, *kind.type, existing),
                wanted = typed_value(arena, *kind.type, expected);
    result = bootstrap::reconcile(arena, kind, before, wanted);
  }
  std::string json() const { return json_of(&result.object, *kind.type); }
};

}  // namespace

TEST_CASE("the bootstrap data holds what a new cluster has", "[bootstrap]") {
  std::map<std::string, int> counts;
  std::set<std::string> names;
  for (const bootstrap::Object& object : bootstrap::objects()) {
    const auto metadata = rbac::ClusterRole(&object.document.root()).metadata();
    ++counts[std::string(object.kind->kind)];
    CHECK_FALSE(metadata.name().empty());
    CHECK(object.kind->is_namespaced == !metadata.namespace_().empty());
    CHECK(names
              .insert(std::string(object.kind->kind) + "/" + std::string(metadata.namespace_()) + "/" +
                      std::string(metadata.name()))
              .second);
    if (object.kind->group_version.group == "rbac.authorization.k8s.io") {
      CHECK(metadata.labels().get("kubernetes.io/bootstrapping") == "rbac-defaults");
      CHECK(metadata.annotations().get("rbac.authorization.kubernetes.io/autoupdate") == "true");
    }
  }
  CHECK(counts["Namespace"] == 4);
  CHECK(counts["ClusterRole"] > 60);
  CHECK(counts["ClusterRoleBinding"] > 40);
  CHECK(counts["Role"] == 7);
  CHECK(counts["RoleBinding"] == 7);
  CHECK(counts["FlowSchema"] == 11);
  CHECK(counts["PriorityLevelConfiguration"] == 8);
  CHECK(counts["PriorityClass"] == 2);
  CHECK(counts["APIService"] > 20);
  CHECK(counts["ServiceCIDR"] == 1);
}

TEST_CASE("every bootstrap binding refers to a bootstrap role", "[bootstrap]") {
  std::set<std::string> roles;
  for (const bootstrap::Object& object : bootstrap::objects()) {
    const auto metadata = rbac::ClusterRole(&object.document.root()).metadata();
    if (object.kind->kind == "ClusterRole" || object.kind->kind == "Role")
      roles.insert(std::string(object.kind->kind) + "/" + std::string(metadata.namespace_()) + "/" +
                   std::string(metadata.name()));
  }
  for (const bootstrap::Object& object : bootstrap::objects()) {
    if (object.kind->kind != "ClusterRoleBinding" && object.kind->kind != "RoleBinding") continue;
    const rbac::RoleBinding binding(&object.document.root());
    const bool is_cluster_role = binding.roleRef().kind() == "ClusterRole";
    CHECK(roles.contains(std::string(binding.roleRef().kind()) + "/" +
                         std::string(is_cluster_role ? "" : binding.metadata().namespace_()) + "/" +
                         std::string(binding.roleRef().name())));
  }
}

TEST_CASE("aggregated roles are born with their rules", "[bootstrap]") {
  const auto rules = [](std::string_view name) {
    return policy_rules(rbac::ClusterRole(&find("ClusterRole", name).document.root()).rules());
  };
  CHECK_FALSE(rules("view").empty());
  CHECK(uncovered_rules(rules("edit"), rules("view")).empty());
  CHECK(uncovered_rules(rules("admin"), rules("edit")).empty());
  CHECK_FALSE(uncovered_rules(rules("edit"), rules("admin")).empty());
  CHECK_FALSE(bootstrap::node_rules().empty());
}

TEST_CASE("the ServiceCIDR has the cluster's ranges", "[bootstrap]") {
  const std::vector<std::string> cidrs{"10.7.0.0/16", "fd00::/112"};
  const auto objects = bootstrap::objects_with_service_cidrs(cidrs);
  CHECK(objects.size() == bootstrap::objects().size());
  bool is_found = false;
  for (const bootstrap::Object& object : objects) {
    if (object.kind->kind != "ServiceCIDR") continue;
    const auto spec = apimachinery::networking_v1::ServiceCIDR(&object.document.root()).spec();
    REQUIRE(spec.cidrs().size() == 2);
    CHECK(spec.cidrs()[0] == "10.7.0.0/16");
    CHECK(spec.cidrs()[1] == "fd00::/112");
    is_found = true;
  }
  CHECK(is_found);
}

TEST_CASE("bootstrap data that is not right names the problem", "[bootstrap]") {
  const auto error = [](std::string_view yaml) {
    const auto parsed = bootstrap::parse_objects(yaml);
    return parsed ? std::string() : parsed.error().message;
  };
  CHECK(error("{}") == "the text is no list of sections");
  CHECK(error("[{apiVersion: v1, kind: Nope, objects: []}]") == "no kind v1 Nope");
  CHECK(error("[{apiVersion: v1, kind: Namespace}]") == "Namespace has no objects");
  CHECK(error("[{apiVersion: v1, kind: Namespace, objects: [{metadata: {nome: x}}]}]") ==
        "Namespace: unknown field \"metadata.nome\"");
}

TEST_CASE("roles get the rules and labels they lack and keep their own", "[bootstrap]") {
  const std::string expected =
      "{metadata: {name: r, labels: {a: b}, annotations: {x: z}}, "
      "rules: [{apiGroups: [''], resources: [pods, nodes], verbs: [get]}]}";
  CHECK(Case("ClusterRole",
             "{metadata: {name: r, labels: {a: other, c: d}, annotations: {x: z}}, "
             "rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]}",
             expected)
            .result.change == Change::none);
  const Case missing(
      "Role", "{metadata: {name: r}, rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]}",
      expected);
  CHECK(missing.result.change == Change::update);
  CHECK(
      missing.json() ==
      R"({"metadata":{"name":"r","labels":{"a":"b"},"annotations":{"x":"z"}},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]},{"verbs":["get"],"apiGroups":[""],"resources":["nodes"]}]})");
  CHECK(Case("ClusterRole",
             "{metadata: {name: r, annotations: {rbac.authorization.kubernetes.io/autoupdate: 'false'}}, "
             "rules: []}",
             expected)
            .result.change == Change::none);
}

TEST_CASE("aggregated roles are reconciled by their selectors alone", "[bootstrap]") {
  const std::string selector = "{matchLabels: {to-admin: 'true'}}";
  const std::string expected =
      "{metadata: {name: r}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}], "
      "aggregationRule: {clusterRoleSelectors: [" +
      selector + "]}}";
  CHECK(Case("ClusterRole",
             "{metadata: {name: r}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {own: x}}, " +
                 selector + "]}}",
             expected)
            .result.change == Change::none);
  const Case missing(
      "ClusterRole",
      "{metadata: {name: r}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {own: x}}]}}", expected);
  CHECK(missing.result.change == Change::update);
  CHECK(
      missing.json() ==
      R"({"metadata":{"name":"r"},"rules":null,"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"own":"x"}},{"matchLabels":{"to-admin":"true"}}]}})");
  const Case unexpected("ClusterRole",
                        "{metadata: {name: r}, aggregationRule: {clusterRoleSelectors: [" + selector + "]}}",
                        "{metadata: {name: r}}");
  CHECK(unexpected.result.change == Change::update);
  CHECK(unexpected.json() == R"({"metadata":{"name":"r"},"rules":null})");
}

TEST_CASE("bindings get the subjects they lack, and are made anew for another role", "[bootstrap]") {
  const std::string role = "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}";
  const std::string mine = "{kind: User, apiGroup: rbac.authorization.k8s.io, name: me}";
  const std::string expected = "{metadata: {name: b}, subjects: [" + mine + "], " + role + "}";
  CHECK(Case("ClusterRoleBinding",
             "{metadata: {name: b}, subjects: [{kind: Group, name: g}, " + mine + "], " + role + "}",
             expected)
            .result.change == Change::none);
  const Case missing("RoleBinding", "{metadata: {name: b}, subjects: [{kind: Group, name: g}], " + role + "}",
                     expected);
  CHECK(missing.result.change == Change::update);
  CHECK(
      missing.json() ==
      R"({"metadata":{"name":"b"},"subjects":[{"kind":"Group","name":"g"},{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"me"}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"}})");
  const Case other("ClusterRoleBinding",
                   "{metadata: {name: b, uid: u}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: "
                   "ClusterRole, name: q}}",
                   expected);
  CHECK(other.result.change == Change::recreate);
  CHECK(rbac::RoleBinding(&other.result.object).metadata().uid().empty());
}

TEST_CASE("flow control objects get their spec back unless they opted out", "[bootstrap]") {
  const std::string mark = "annotations: {apf.kubernetes.io/autoupdate-spec: 'true'}";
  const auto flow_schema = [](std::string_view metadata, int precedence) {
    return "{metadata: {name: f, " + std::string(metadata) +
           "}, spec: {priorityLevelConfiguration: {name: x}, matchingPrecedence: " +
           std::to_string(precedence) + "}}";
  };
  const std::string expected = flow_schema(mark, 100);
  CHECK(Case("FlowSchema", flow_schema(mark, 100), expected).result.change == Change::none);
  const Case changed("FlowSchema", flow_schema(mark, 7), expected);
  CHECK(changed.result.change == Change::update);
  CHECK(apimachinery::flowcontrol_v1::FlowSchema(&changed.result.object).spec().matchingPrecedence() == 100);
  CHECK(Case("FlowSchema", flow_schema("annotations: {apf.kubernetes.io/autoupdate-spec: 'false'}", 7),
             expected)
            .result.change == Change::none);
  CHECK(Case("FlowSchema", flow_schema("generation: 1", 7), expected).result.change == Change::update);
  CHECK(Case("FlowSchema", flow_schema("generation: 2", 7), expected).result.change == Change::none);
}

TEST_CASE("other kinds are left as they are, and data agrees with itself", "[bootstrap]") {
  CHECK(Case("Namespace", "{metadata: {name: default}}", "{metadata: {name: default, labels: {a: b}}}")
            .result.change == Change::none);
  for (const bootstrap::Object& object : bootstrap::objects()) {
    Arena arena;
    CHECK(bootstrap::reconcile(arena, *object.kind, object.document.root(), object.document.root()).change ==
          Change::none);
  }
}
