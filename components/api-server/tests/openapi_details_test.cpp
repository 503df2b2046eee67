// What documents say beyond types: enums of items, unions, what operations of a path share, what deletions
// answer.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <set>

#include "api-server/openapi/openapi.h"
#include "api-server/openapi/schema_extras.h"
#include "apimachinery/registry.h"

namespace rusternetes::api_server {
namespace {

namespace json = boost::json;
using namespace apimachinery;

const openapi::OpenApi& documents() {
  static const auto& all = *new openapi::OpenApi(Registry::builtin());
  return all;
}
const json::value& v2() {
  static const auto& document = *new json::value(json::parse(*documents().v2_json().body));
  return document;
}
json::value v3(std::string_view name) { return json::parse(*documents().v3_json(name)->body); }

std::set<std::string> names(const json::value& parameters) {
  std::set<std::string> out;
  for (const auto& one : parameters.as_array()) out.insert(std::string(one.at("name").as_string()));
  return out;
}
const json::value& property(const json::value& schemas, std::string_view type, std::string_view field) {
  return schemas.at(type).at("properties").at(field);
}

}  // namespace

TEST_CASE("the items of a list and the values of a map may have an enum") {
  const auto& schemas = v2().at("definitions");
  CHECK(property(schemas, "io.k8s.api.core.v1.PersistentVolumeSpec", "accessModes").at("items").at("enum") ==
        json::parse(R"(["ReadOnlyMany","ReadWriteMany","ReadWriteOnce","ReadWriteOncePod"])"));
  CHECK(property(schemas, "io.k8s.api.core.v1.PersistentVolumeClaimStatus", "allocatedResourceStatuses")
            .at("additionalProperties")
            .at("enum")
            .as_array()
            .size() == 5);
  const json::value networking = v3("apis/networking.k8s.io/v1");
  CHECK(property(networking.at("components").at("schemas"), "io.k8s.api.networking.v1.NetworkPolicySpec",
                 "policyTypes")
            .at("items")
            .at("enum") == json::parse(R"(["Egress","Ingress"])"));
}

TEST_CASE("unions, granular maps and marked defaults are stated") {
  const auto& schemas = v2().at("definitions");
  CHECK(
      schemas.at("io.k8s.api.core.v1.SeccompProfile").at("x-kubernetes-unions") ==
      json::parse(
          R"([{"discriminator":"type","fields-to-discriminateBy":{"localhostProfile":"LocalhostProfile"}}])"));
  CHECK(
      property(schemas, "io.k8s.api.core.v1.PersistentVolumeSpec", "claimRef").at("x-kubernetes-map-type") ==
      "granular");
  const json::value scale = v3("apis/apps/v1");
  CHECK(property(scale.at("components").at("schemas"), "io.k8s.api.autoscaling.v1.ScaleSpec", "replicas")
            .at("default") == 0);
}

TEST_CASE("a reference of version 3 stands in allOf, where its siblings count") {
  const json::value core = v3("api/v1");
  const auto& port =
      property(core.at("components").at("schemas"), "io.k8s.api.core.v1.TCPSocketAction", "port");
  CHECK(port.at("allOf").at(0).at("$ref") ==
        "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString");
  CHECK_FALSE(port.as_object().contains("$ref"));
}

TEST_CASE("what all operations of a path take stands at the path") {
  const auto& paths = v2().at("paths");
  const auto& review = paths.at("/apis/authentication.k8s.io/v1/tokenreviews");
  CHECK(names(review.at("parameters")) ==
        std::set<std::string>{"dryRun", "fieldManager", "fieldValidation", "pretty"});
  CHECK(names(review.at("post").at("parameters")) == std::set<std::string>{"body"});
  const auto& pods = paths.at("/api/v1/namespaces/{namespace}/pods");
  CHECK(names(pods.at("parameters")) == std::set<std::string>{"namespace", "pretty"});
  CHECK(names(pods.at("post").at("parameters")).contains("dryRun"));
}

TEST_CASE("a deletion is documented with the object where it answers with it") {
  const auto& paths = v2().at("paths");
  auto answer = [&](std::string_view path) {
    return std::string(
        paths.at(path).at("delete").at("responses").at("200").at("schema").at("$ref").as_string());
  };
  CHECK(answer("/api/v1/namespaces/{namespace}/pods/{name}") == "#/definitions/io.k8s.api.core.v1.Pod");
  CHECK(answer("/api/v1/namespaces/{namespace}/configmaps/{name}") ==
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Status");
  CHECK(answer("/api/v1/namespaces/{name}") == "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Status");
}

TEST_CASE("what is said of fields is said of fields that exist") {
  std::size_t fields = 0, unions = 0;
  for (const Type* type : builtin_schema().types) {
    for (const auto& field : type->fields) fields += openapi::field_extra(type->name, field.name) != nullptr;
    if (const auto* one_of = openapi::union_of(type->name)) {
      CHECK(type->find(one_of->discriminator) >= 0);
      for (const auto& [field, name] : one_of->members) CHECK(type->find(field) >= 0);
      ++unions;
    }
  }
  CHECK(fields == 17);
  CHECK(unions == 5);
}

TEST_CASE("what people look up is described") {
  const auto& schemas = v2().at("definitions");
  for (const Kind* kind : Registry::builtin()->resources()) {
    if (!kind->is_stored()) continue;
    CAPTURE(kind->group_version.text(), kind->kind);
    CHECK_FALSE(kind->type->description.empty());
    for (std::size_t i = kind->type->has_type_meta ? 2 : 0; i < kind->type->fields.size(); ++i) {
      CAPTURE(kind->type->fields[i].name);
      CHECK_FALSE(kind->type->fields[i].rules->description.empty());
    }
    for (const auto& column : kind->columns) CHECK_FALSE(column.description.empty());
  }
  for (const char* type :
       {"io.k8s.api.core.v1.PodSpec", "io.k8s.api.core.v1.Container", "io.k8s.api.core.v1.ServiceSpec",
        "io.k8s.api.apps.v1.DeploymentSpec", "io.k8s.api.apps.v1.DeploymentStrategy"})
    for (const auto& field : schemas.at(type).at("properties").as_object()) {
      CAPTURE(type, std::string(field.key()));
      CHECK(field.value().as_object().contains("description"));
    }
}

}  // namespace rusternetes::api_server
