#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "api-server/openapi/gnostic.h"
#include "api-server/openapi/openapi.h"
#include "server_test_support.h"

using namespace rusternetes;
using api_server::openapi::OpenApi;
using api_server::testing::Answer;
using api_server::testing::TestServer;
using apimachinery::Registry;
namespace json = boost::json;

namespace {

const OpenApi& documents() {
  static const OpenApi& made = *new OpenApi(Registry::builtin());
  return made;
}

json::value v3(std::string_view name) {
  const auto document = documents().v3_json(name);
  REQUIRE(document);
  return json::parse(*document->body);
}

const json::value& v2() {
  static const json::value& parsed = *new json::value(json::parse(*documents().v2_json().body));
  return parsed;
}

// Every $ref in a document, as it stands.
void references(const json::value& value, std::set<std::string>& found) {
  if (value.is_array())
    for (const auto& one : value.get_array()) references(one, found);
  if (!value.is_object()) return;
  for (const auto& entry : value.get_object()) {
    if (entry.key() == "$ref" && entry.value().is_string())
      found.insert(std::string(entry.value().get_string()));
    else
      references(entry.value(), found);
  }
}

// Reads protobuf just enough to count and find.
struct ProtoField {
  std::uint64_t number;
  std::string_view bytes;
};
std::vector<ProtoField> proto_fields(std::string_view message) {
  std::vector<ProtoField> out;
  std::size_t at = 0;
  auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0; at < message.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(message[at++]);
      value |= std::uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return value;
    }
    FAIL("a varint ends too early");
    return value;
  };
  while (at < message.size()) {
    const auto tag = varint();
    if ((tag & 7) == 0) {
      varint();
      out.push_back({tag >> 3, {}});
    } else if ((tag & 7) == 1) {
      at += 8;
      out.push_back({tag >> 3, {}});
    } else {
      REQUIRE((tag & 7) == 2);
      const auto size = varint();
      REQUIRE(size <= message.size() - at);
      out.push_back({tag >> 3, message.substr(at, size)});
      at += size;
    }
  }
  return out;
}
std::string_view proto_get(std::string_view message, std::initializer_list<std::uint64_t> numbers) {
  for (const auto number : numbers) {
    std::string_view next;
    for (const auto& field : proto_fields(message))
      if (field.number == number && next.data() == nullptr) next = field.bytes;
    message = next;
  }
  return message;
}
// The value of the Named... entry with this name.
std::string_view proto_named(std::string_view map, std::uint64_t entries, std::string_view name) {
  for (const auto& entry : proto_fields(map))
    if (entry.number == entries && proto_get(entry.bytes, {1}) == name) return proto_get(entry.bytes, {2});
  return {};
}

}  // namespace

TEST_CASE("every reference of every OpenAPI document leads to a schema in the same document") {
  for (const auto& name : documents().v3_names()) {
    const json::value document = v3(name);
    std::set<std::string> found;
    references(document, found);
    // A document that refers to nothing has no schemas at all.
    const auto* listed = document.at("components").as_object().if_contains("schemas");
    CHECK((listed == nullptr) == found.empty());
    if (!listed) continue;
    const auto& schemas = listed->as_object();
    for (const auto& one : found) {
      CAPTURE(name, one);
      REQUIRE(one.starts_with("#/components/schemas/"));
      CHECK(schemas.contains(one.substr(21)));
    }
  }
  std::set<std::string> found;
  references(v2(), found);
  CHECK(found.size() > 500);
  for (const auto& one : found) {
    REQUIRE(one.starts_with("#/definitions/"));
    CHECK(v2().at("definitions").as_object().contains(one.substr(14)));
  }
}

TEST_CASE("the schemas of version 3 state types, rules of lists, defaults and kinds as Kubernetes does") {
  const json::value apps = v3("apis/apps/v1");
  const auto& schemas = apps.at("components").at("schemas").as_object();
  const auto& deployment = schemas.at("io.k8s.api.apps.v1.Deployment");
  CHECK(deployment.at("x-kubernetes-group-version-kind") ==
        json::parse(R"([{"group":"apps","kind":"Deployment","version":"v1"}])"));
  CHECK(deployment.at("properties").at("spec").at("allOf").at(0).at("$ref") ==
        "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec");
  CHECK(deployment.at("properties").at("spec").at("default").as_object().empty());
  const auto& spec = schemas.at("io.k8s.api.apps.v1.DeploymentSpec");
  CHECK(spec.at("required") == json::parse(R"(["selector","template"])"));
  CHECK(spec.at("properties").at("replicas").at("format") == "int32");
  CHECK(spec.at("properties").at("strategy").at("x-kubernetes-patch-strategy") == "retainKeys");
  const auto& ports = schemas.at("io.k8s.api.core.v1.Container").at("properties").at("ports");
  CHECK(ports.at("x-kubernetes-list-map-keys") == json::parse(R"(["containerPort","protocol"])"));
  CHECK(ports.at("x-kubernetes-list-type") == "map");
  CHECK(ports.at("x-kubernetes-patch-merge-key") == "containerPort");
  CHECK(ports.at("x-kubernetes-patch-strategy") == "merge");
  CHECK(schemas.at("io.k8s.api.core.v1.ContainerPort").at("properties").at("protocol").at("default") ==
        "TCP");
  CHECK(schemas.at("io.k8s.api.core.v1.ContainerPort").at("properties").at("protocol").at("enum") ==
        json::parse(R"(["SCTP","TCP","UDP"])"));
  CHECK(schemas.at("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector").at("x-kubernetes-map-type") ==
        "atomic");
  CHECK(schemas.at("io.k8s.apimachinery.pkg.api.resource.Quantity").at("oneOf").as_array().size() == 2);
  CHECK(schemas.at("io.k8s.apimachinery.pkg.util.intstr.IntOrString").at("format") == "int-or-string");
  CHECK(schemas.at("io.k8s.apimachinery.pkg.apis.meta.v1.Time").at("format") == "date-time");
  CHECK_FALSE(schemas.contains("io.k8s.api.core.v1.Node"));  // only what the group's paths need
}

TEST_CASE("kubectl explain finds words for the fields that people look up") {
  const json::value core = v3("api/v1");
  const auto& schemas = core.at("components").at("schemas").as_object();
  for (const char* type : {"Pod", "PodSpec", "Container", "Service", "ServiceSpec"})
    CHECK(schemas.at(std::string("io.k8s.api.core.v1.") + type).as_object().contains("description"));
  for (const char* field :
       {"containers", "initContainers", "volumes", "restartPolicy", "nodeSelector", "tolerations"})
    CHECK(schemas.at("io.k8s.api.core.v1.PodSpec")
              .at("properties")
              .at(field)
              .as_object()
              .contains("description"));
  for (const char* field : {"name", "namespace", "labels", "annotations"})
    CHECK(schemas.at("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
              .at("properties")
              .at(field)
              .as_object()
              .contains("description"));
}

TEST_CASE("a PATCH tells its kind and that it takes dryRun and fieldValidation, in both versions") {
  const std::string path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
  const json::value apps = v3("apis/apps/v1");
  const auto& three = apps.at("paths").at(path).at("patch");
  const auto& two = v2().at("paths").at(path).at("patch");
  for (const auto* patch : {&three, &two}) {
    CHECK(patch->at("x-kubernetes-action") == "patch");
    CHECK(patch->at("x-kubernetes-group-version-kind").at("kind") == "Deployment");
    CHECK(patch->at("operationId") == "patchAppsV1NamespacedDeployment");
    std::set<std::string> names;
    for (const auto& parameter : patch->at("parameters").as_array())
      if (parameter.at("in") == "query") names.insert(std::string(parameter.at("name").as_string()));
    CHECK(names == std::set<std::string>{"dryRun", "fieldManager", "fieldValidation", "force"});
  }
  CHECK(three.at("requestBody").at("content").as_object().contains("application/apply-patch+yaml"));
  CHECK(two.at("consumes").as_array().size() == 4);
}

TEST_CASE("an object's path has an operation for each of its verbs") {
  for (const char* name : {"/api/v1/namespaces/{namespace}/pods/{name}", "/api/v1/nodes/{name}"}) {
    const auto& item = v2().at("paths").at(name).as_object();
    for (const char* method : {"get", "put", "delete", "patch", "parameters"}) CHECK(item.contains(method));
  }
  const auto& exec = v2().at("paths").at("/api/v1/namespaces/{namespace}/pods/{name}/exec");
  CHECK(exec.at("post").at("x-kubernetes-action") == "connect");
  CHECK(exec.at("post").at("x-kubernetes-group-version-kind").at("kind") == "PodExecOptions");
  const auto& scale =
      v2().at("paths").at("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale").at("put");
  CHECK(scale.at("x-kubernetes-group-version-kind").at("group") == "autoscaling");
  CHECK_FALSE(v2().at("paths").as_object().contains("/api/v1/namespaces/{namespace}/bindings/{name}"));
}

TEST_CASE("definitions of version 2 have neither defaults nor allOf") {
  const auto& port = v2().at("definitions").at("io.k8s.api.core.v1.ServicePort").at("properties");
  CHECK(port.at("targetPort").at("$ref") == "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString");
  CHECK_FALSE(port.at("protocol").as_object().contains("default"));
  CHECK(v2().at("definitions").at("io.k8s.apimachinery.pkg.util.intstr.IntOrString").at("type") == "string");
}

TEST_CASE("the protobuf of version 2 is gnostic's: definitions, paths, extensions in YAML") {
  const auto document = documents().v2_protobuf();
  REQUIRE(document);
  const std::string_view bytes = *document->body;
  CHECK(proto_get(bytes, {1}) == "2.0");
  const auto definitions = proto_get(bytes, {9});
  CHECK(proto_fields(definitions).size() == v2().at("definitions").as_object().size());
  const auto spec = proto_named(definitions, 1, "io.k8s.api.core.v1.PodSpec");
  CHECK(proto_get(spec, {22, 1}) == "object");
  const auto containers = proto_named(proto_get(spec, {25}), 1, "containers");
  CHECK(proto_get(containers, {23, 1, 1}) == "#/definitions/io.k8s.api.core.v1.Container");
  CHECK(proto_get(proto_named(containers, 31, "x-kubernetes-list-map-keys"), {2}) == "- name\n");
  const auto paths = proto_get(bytes, {8});
  CHECK(proto_fields(paths).size() == v2().at("paths").as_object().size());
  const auto patch = proto_get(proto_named(paths, 2, "/api/v1/namespaces/{namespace}/pods/{name}"), {8});
  CHECK(proto_get(proto_named(patch, 13, "x-kubernetes-group-version-kind"), {2}) ==
        "group: \"\"\nkind: Pod\nversion: v1\n");
  std::set<std::string> queries;
  for (const auto& field : proto_fields(patch))
    if (field.number == 8) queries.insert(std::string(proto_get(field.bytes, {1, 2, 3, 4})));
  CHECK(queries.contains("dryRun"));
  CHECK(queries.contains("fieldValidation"));
}

TEST_CASE("the protobuf of version 3 is gnostic's") {
  const auto made = documents().v3_protobuf("apis/apps/v1");
  REQUIRE(made);
  REQUIRE(*made);
  const std::string_view bytes = *(*made)->body;
  CHECK(proto_get(bytes, {1}) == "3.0.0");
  const json::value apps = v3("apis/apps/v1");
  const auto schemas = proto_get(bytes, {5, 1});
  CHECK(proto_fields(schemas).size() == apps.at("components").at("schemas").as_object().size());
  const auto spec = proto_get(proto_named(schemas, 1, "io.k8s.api.apps.v1.DeploymentSpec"), {1});
  const auto selector = proto_get(proto_named(proto_get(spec, {31}), 1, "selector"), {1});
  CHECK(proto_get(selector, {26, 2, 1}) ==
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector");
  const auto protocol = proto_get(
      proto_named(
          proto_get(proto_get(proto_named(schemas, 1, "io.k8s.api.core.v1.ContainerPort"), {1}), {31}), 1,
          "protocol"),
      {1});
  CHECK(proto_get(protocol, {33, 3}) == "TCP");
  const auto item =
      proto_named(proto_get(bytes, {4}), 1, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
  CHECK(proto_get(item, {10, 5}) == "patchAppsV1NamespacedDeployment");
  CHECK_FALSE(documents().v3_protobuf("apis/none/v1"));
}

TEST_CASE("a member that protobuf has no place for is an error, not lost") {
  CHECK_FALSE(api_server::openapi::gnostic_v3(R"({"openapi":"3.0.0","unheard":1})"));
  CHECK(api_server::openapi::gnostic_v3(R"({"openapi":"3.0.0"})"));
}

TEST_CASE("the index names every document with its hash, and the hash is stable") {
  const json::value index = json::parse(*documents().index().body);
  const auto& paths = index.at("paths").as_object();
  CHECK(paths.size() == documents().v3_names().size());
  for (const char* name : {"api/v1", "apis/apps/v1", "apis/apps", "api", "apis", "version"}) {
    REQUIRE(paths.contains(name));
    const auto document = documents().v3_json(name);
    CHECK(std::string(paths.at(name).at("serverRelativeURL").as_string()) ==
          "/openapi/v3/" + std::string(name) + "?hash=" + document->hash);
  }
  const OpenApi again(Registry::builtin());
  CHECK(again.v3_json("api/v1")->hash == documents().v3_json("api/v1")->hash);
  CHECK(again.index().hash == documents().index().hash);
}

TEST_CASE("documents are served with their tag, and answered with 304, 301, 404 and 406 as clients expect") {
  TestServer server;
  const Answer index = server.send("GET", "/openapi/v3");
  REQUIRE(index.code == 200);
  const std::string url(
      json::parse(index.body).at("paths").at("apis/apps/v1").at("serverRelativeURL").as_string());
  const Answer apps = server.send("GET", url);
  REQUIRE(apps.code == 200);
  CHECK(apps.headers.get("cache-control") == "public, immutable");
  CHECK(apps.headers.get("expires").value_or("").ends_with(" GMT"));
  CHECK(apps.headers.get("vary").value_or("").find("Accept") != std::string_view::npos);
  CHECK("/openapi/v3/apis/apps/v1?hash=" +
            std::string(apps.headers.get("etag").value_or("\"\"").substr(1, 128)) ==
        url);
  const Answer stale = server.send("GET", "/openapi/v3/apis/apps/v1?hash=0");
  CHECK(stale.code == 301);
  CHECK(stale.headers.get("location") == url);
  CHECK(server.send("GET", "/openapi/v3/apis/apps/v1", "", "", "admin-token", "application/yaml").code ==
        406);
  CHECK(server.send("GET", "/openapi/v3/apis/apps/v7").code == 404);
  const Answer two = server.send("GET", "/openapi/v2", "", "", "admin-token",
                                 "application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
  CHECK(two.code == 200);
  CHECK(two.headers.get("content-type") == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  CHECK(proto_get(two.body, {1}) == "2.0");
  CHECK(server.send("GET", "/openapi/v2").headers.get("etag") == two.headers.get("etag"));
  CHECK(server.send("POST", "/openapi/v2", "{}").code == 405);
  Answer unchanged;
  server.run([&]() -> Task<> {
    auto client = http::Client::create(server.thread().executor(),
                                       {"http://127.0.0.1:" + std::to_string(server.instance().port()), {}});
    if (!client) co_return;
    http::ClientRequest request;
    request.target = "/openapi/v2";
    request.headers.set("authorization", "Bearer admin-token");
    request.headers.set("if-none-match", std::string(two.headers.get("etag").value_or("")));
    auto response = co_await (*client)->send(std::move(request));
    if (!response) co_return;
    unchanged.code = (*response)->head().status;
    auto text = co_await (*response)->read_all(1 << 20);
    if (text) unchanged.body = *text;
  });
  CHECK(unchanged.code == 304);
  CHECK(unchanged.body.empty());
}
