// Accept and Content-Type, and bodies as YAML. yaml.jsonl holds answers of a kube-apiserver in both forms.

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <fstream>

#include "api-server/encode_yaml.h"
#include "api-server/negotiation.h"
#include "api-server/yaml_scalar.h"

namespace rusternetes::api_server {
namespace {

constexpr Representations object{.can_transform = true};
constexpr Representations watch{.can_transform = true, .is_watch = true};

MediaType type_for(std::string_view accept, const Representations& can = object) {
  auto accepted = negotiate(accept, can);
  REQUIRE(accepted);
  return accepted->type;
}
std::string refusal_of(std::string_view accept, const Representations& can = object) {
  auto accepted = negotiate(accept, can);
  REQUIRE_FALSE(accepted);
  CHECK(accepted.error().code == 406);
  CHECK(accepted.error().reason == "NotAcceptable");
  return accepted.error().message;
}

}  // namespace

TEST_CASE("the best media type that exists is taken") {
  CHECK(type_for("") == MediaType::json);
  CHECK(type_for("*/*") == MediaType::json);
  CHECK(type_for("application/yaml") == MediaType::yaml);
  CHECK(type_for("application/json;q=0.1, application/yaml;q=0.9") == MediaType::yaml);
  CHECK(type_for("*/*, application/yaml") == MediaType::yaml);
  CHECK(type_for("text/html, */*;q=0.1") == MediaType::json);
  CHECK(type_for("application/vnd.kubernetes.protobuf,application/json") == MediaType::protobuf);
  CHECK(type_for("application/cbor, application/json") == MediaType::json);
  CHECK(type_for("application/json;charset=utf-8") == MediaType::json);
}

TEST_CASE("what cannot be sent is refused in the words of who refuses") {
  const std::string routed =
      "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
      "application/vnd.kubernetes.protobuf";
  CHECK(refusal_of("text/plain") == routed);
  CHECK(refusal_of("application/cbor") == routed);
  CHECK(refusal_of("application/*") == routed);
  CHECK(refusal_of("text/plain", watch) ==
        routed + ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch");
  CHECK(refusal_of("text/plain", {.is_discovery = true, .is_routed = false})
            .starts_with("only the following media types"));
  CHECK(refusal_of("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io") ==
        "only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf");
}

TEST_CASE("a watch is never YAML") {
  CHECK(refusal_of("application/yaml", watch) ==
        "only the following media types are accepted: application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch");
  CHECK_FALSE(negotiate("application/yaml, application/json", watch));
  CHECK(type_for("application/json, application/yaml", watch) == MediaType::json);
  CHECK(type_for("application/vnd.kubernetes.protobuf;stream=watch", watch) == MediaType::protobuf);
}

TEST_CASE("a transformation is taken where the endpoint has it, else the next clause") {
  auto table = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", object);
  REQUIRE(table);
  CHECK(table->transform == Transform::table);
  CHECK(table->meta_version == "meta.k8s.io/v1");
  auto beta = negotiate("application/json;as=Table;v=v1beta1;g=meta.k8s.io", object);
  REQUIRE(beta);
  CHECK(beta->meta_version == "meta.k8s.io/v1beta1");
  auto yaml = negotiate("application/yaml;as=Table;v=v1;g=meta.k8s.io", object);
  REQUIRE(yaml);
  CHECK(yaml->type == MediaType::yaml);
  CHECK(yaml->transform == Transform::table);
  auto unknown = negotiate("application/json;as=Bogus;v=v1;g=meta.k8s.io,application/json", object);
  REQUIRE(unknown);
  CHECK(unknown->transform == Transform::none);
  CHECK_FALSE(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io", Representations{}));
}

TEST_CASE("an error has the form that was asked for, JSON when there is none") {
  CHECK(error_form("application/yaml").type == MediaType::yaml);
  CHECK(error_form("application/vnd.kubernetes.protobuf").type == MediaType::protobuf);
  CHECK(error_form("").type == MediaType::json);
  CHECK_FALSE(error_form("application/json").pretty);
  // Nothing fits: kube-apiserver then indents.
  for (const char* accept : {"text/plain", "application/yaml;as=Table;v=v1;g=meta.k8s.io"}) {
    CHECK(error_form(accept).type == MediaType::json);
    CHECK(error_form(accept).pretty);
  }
}

TEST_CASE("aggregated discovery is asked for by name") {
  const std::string_view v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const std::string_view beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
  CHECK(wants_aggregated_discovery(v2));
  CHECK(wants_aggregated_discovery(std::string(beta) + "," + std::string(v2) + ",application/json"));
  CHECK_FALSE(wants_aggregated_discovery(std::string(beta) + ",application/json"));
  CHECK_FALSE(wants_aggregated_discovery("application/json"));
  CHECK_FALSE(wants_aggregated_discovery("application/json," + std::string(v2) + ";q=0.5"));
  const Representations discovery{.is_discovery = true};
  CHECK(negotiate(v2, discovery));
  CHECK_FALSE(negotiate(beta, discovery));
  CHECK_FALSE(negotiate(v2, Representations{}));
}

TEST_CASE("a request's body is JSON, YAML or protobuf") {
  CHECK(*content_type_of("") == MediaType::json);
  CHECK(*content_type_of("application/yaml; charset=utf-8") == MediaType::yaml);
  CHECK(*content_type_of("application/vnd.kubernetes.protobuf") == MediaType::protobuf);
  auto refused = content_type_of("text/plain");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == 415);
}

TEST_CASE("YAML is the text that kube-apiserver writes") {
  std::ifstream in(RUSTERNETES_SOURCE_DIR "/components/api-server/tests/negotiation/yaml.jsonl");
  REQUIRE(in);
  std::string line;
  int count = 0;
  while (std::getline(in, line)) {
    const auto pair = boost::json::parse(line);
    const std::string wanted(pair.as_object().at("yaml").as_string());
    const std::string got = yaml_of_json(std::string(pair.as_object().at("json").as_string()));
    ++count;
    if (got == wanted) continue;
    // Only the first line that differs is worth reading.
    std::size_t at = 0;
    while (at < got.size() && at < wanted.size() && got[at] == wanted[at]) ++at;
    const std::size_t from = at < 60 ? 0 : at - 60;
    CAPTURE(count, got.substr(from, 160), wanted.substr(from, 160));
    CHECK(got.size() == wanted.size());
    FAIL_CHECK("the YAML differs");
  }
  CHECK(count >= 10);
}

TEST_CASE("what a reader of YAML would take for a line end is escaped") {
  CHECK(yaml_of_json("{\"a\":\"x\xe2\x80\xa8y\"}") == "a: \"x\\Ly\"\n");
  CHECK(yaml_of_json("{\"a\":\"x\xc2\x85y\"}") == "a: \"x\\Ny\"\n");
  CHECK(yaml_of_json("{}") == "{}\n");
  CHECK(yaml_of_json("[]") == "[]\n");
}

TEST_CASE("keys are sorted as people count") {
  CHECK(key_less("a2", "a10"));
  CHECK(key_less("A", "a"));
  CHECK(key_less("a-b", "ab"));
  CHECK(key_less("1", "a"));
  CHECK_FALSE(key_less("a", "a"));
}

}  // namespace rusternetes::api_server
