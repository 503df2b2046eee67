// Defaults of kinds without a strategy, and definitions in the version that kube-apiserver stores.
#include <catch2/catch.hpp>

#include "api-server/storage_codec.h"
#include "apimachinery/json.h"
#include "apimachinery/registry.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {

// What is read from the store when `stored` is there.
std::string read(std::string_view group, std::string_view resource, std::string_view stored) {
  const auto registry = Registry::builtin();
  const Kind* kind = registry->find_resource(group, "v1", resource);
  REQUIRE(kind);
  Arena arena;
  auto value = api_server::decode_from_storage(arena, stored, *kind, *registry);
  INFO((value ? std::string() : value.error().message));
  REQUIRE(value);
  const std::string once = [&] {
    std::string out;
    encode_json(out, &*value, *kind->type, {});
    return out;
  }();
  // What was written and read again is the same.
  const auto written = api_server::encode_for_storage(*kind, *value);
  Arena second;
  auto again = api_server::decode_from_storage(second, *written, *kind, *registry);
  REQUIRE(again);
  std::string twice;
  encode_json(twice, &*again, *kind->type, {});
  CHECK(once == twice);
  return once;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a StatefulSet has its defaults, and its claims say what they are") {
  const auto text = read("apps", "statefulsets",
                         R"({"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"x"},"spec":{"serviceName":"s",)"
                         R"("selector":{"matchLabels":{"a":"b"}},"template":{"spec":{"containers":[{"name":"c"}]}},)"
                         R"("volumeClaimTemplates":[{"metadata":{"name":"v"}}]}})");
  INFO(text);
  CHECK(has(text, R"("volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1",)"));
  CHECK(has(text, R"("volumeMode":"Filesystem")"));
  CHECK(has(text, R"("updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":0}})"));
  CHECK(has(text, R"("terminationMessagePath":"/dev/termination-log")"));
  CHECK(has(text, R"("whenScaled":"Retain")"));
}

TEST_CASE("a Job takes its labels and counts from what it has") {
  const auto text = read("batch", "jobs",
                         R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x"},"spec":{"backoffLimitPerIndex":1,)"
                         R"("template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c"}]}}}})");
  INFO(text);
  CHECK(has(text, R"("metadata":{"name":"x","labels":{"a":"b"}})"));
  CHECK(has(text, R"("parallelism":1,"completions":1)"));
  CHECK(has(text, R"("backoffLimit":2147483647)"));
  CHECK(has(text, R"("podReplacementPolicy":"TerminatingOrFailed")"));
}

TEST_CASE("a claim names its source both ways") {
  const auto text = read("", "persistentvolumeclaims",
                         R"({"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"x"},)"
                         R"("spec":{"dataSource":{"apiGroup":"g","kind":"K","name":"n"}}})");
  INFO(text);
  CHECK(has(text, R"("dataSourceRef":{"apiGroup":"g","kind":"K","name":"n"})"));
  CHECK(has(text, R"("status":{"phase":"Pending"})"));
}

TEST_CASE("what is optional and absent stays absent") {
  const auto text = read("admissionregistration.k8s.io", "mutatingwebhookconfigurations",
                         R"({"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"x"},)"
                         R"("webhooks":[{"name":"a","clientConfig":{"url":"https://a"}},{"name":"b","clientConfig":{"service":{"namespace":"n","name":"s"}}}]})");
  INFO(text);
  CHECK(has(text, R"("clientConfig":{"url":"https://a"})"));
  CHECK(has(text, R"("port":443)"));
  CHECK(has(text, R"("reinvocationPolicy":"Never")"));
}

TEST_CASE("a definition that was stored as v1beta1 is one of version 1") {
  constexpr std::string_view head =
      R"({"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1beta1","metadata":{"name":"ws.e.com"},"spec":{"group":"e.com","scope":"Cluster",)"
      R"("names":{"plural":"ws","kind":"W"},)";
  const std::string shared = R"("validation":{"openAPIV3Schema":{"type":"object"}},"subresources":{"status":{}},)"
                             R"("additionalPrinterColumns":[{"name":"S","type":"integer","JSONPath":".s"}],)";
  constexpr std::string_view tail =
      R"("conversion":{"strategy":"Webhook","webhookClientConfig":{"url":"https://a"},"conversionReviewVersions":["v1"]},"preserveUnknownFields":false}})";
  // Once for all versions, each its own, and without a list of versions.
  const auto common = read("apiextensions.k8s.io", "customresourcedefinitions",
                           std::string(head) + shared + R"("version":"v1","versions":[{"name":"v1","served":true,"storage":true},{"name":"v2","served":true,"storage":false}],)" +
                               std::string(tail));
  INFO(common);
  constexpr std::string_view rest =
      R"("schema":{"openAPIV3Schema":{"type":"object"}},"subresources":{"status":{}},"additionalPrinterColumns":[{"name":"S","type":"integer","jsonPath":".s"}]})";
  CHECK(has(common, R"({"name":"v1","served":true,"storage":true,)" + std::string(rest)));
  CHECK(has(common, R"({"name":"v2","served":true,"storage":false,)" + std::string(rest)));
  CHECK(has(common, R"("conversion":{"strategy":"Webhook","webhook":{"clientConfig":{"url":"https://a"},"conversionReviewVersions":["v1"]}})"));
  CHECK_FALSE(has(common, "preserveUnknownFields"));
  CHECK(has(common, R"("storedVersions":["v1"])"));

  const auto single = read("apiextensions.k8s.io", "customresourcedefinitions", std::string(head) + shared + R"("version":"v3"}})");
  INFO(single);
  CHECK(has(single, R"("versions":[{"name":"v3","served":true,"storage":true,)" + std::string(rest)));
  CHECK(has(single, R"("preserveUnknownFields":true)"));
}
