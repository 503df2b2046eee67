#include "addons/manifest.h"

#include <catch2/catch.hpp>

#include "addons/addons.h"
#include "apimachinery/api/core_v1.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {

std::string problem_of(std::string_view text) {
  const auto parsed = addons::parse_manifest(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message.find('\n') == std::string::npos);
  return parsed.error().message;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("what is printed is read back the same") {
  addons::DnsOptions options;
  options.service_cluster_ip_range = "10.96.0.0/16";
  options.server_addresses = {"172.20.0.4", "172.20.0.5"};
  options.node_name = "no";  // a word that YAML takes for false
  const auto objects = addons::container_cluster(options);
  REQUIRE(objects);
  const std::string text = addons::print_manifest(*objects);
  CHECK(has(text, "---\napiVersion: v1\nkind: Service\n"));
  const auto parsed = addons::parse_manifest(text);
  REQUIRE(parsed);
  REQUIRE(parsed->size() == objects->size());
  for (std::size_t i = 0; i < parsed->size(); ++i) {
    CHECK((*parsed)[i].kind == (*objects)[i].kind);
    CHECK(addons::print_manifest({(*parsed)[i]}) == addons::print_manifest({(*objects)[i]}));
  }
}

TEST_CASE("a manifest is documents of YAML, of JSON, and Lists") {
  const auto parsed = addons::parse_manifest(R"(# a comment before all
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one, namespace: default}
data:
  text: |
    a
     --- b
--- # and one here
{"apiVersion":"v1","kind":"List","items":[
  {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"two"}},
  {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"three"}}]}
---

---
apiVersion: v1
kind: ConfigMapList
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: four, namespace: kube-system}}
)");
  REQUIRE(parsed);
  std::string kinds;
  for (const auto& object : *parsed) kinds += std::string(object.kind->kind) + " ";
  CHECK(kinds == "ConfigMap Namespace ClusterRole ConfigMap ");
  CHECK(core_v1::ConfigMap(&parsed->front().document.root()).data().get("text") == "a\n --- b\n");
  CHECK(addons::parse_manifest("")->empty());
  CHECK(addons::parse_manifest("# nothing\n---\n")->empty());
}

TEST_CASE("what is wrong with a manifest is said in one sentence, with the place") {
  CHECK(has(problem_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n---\nfoo: [\n"),
            "document 2: "));
  CHECK(has(problem_of("- a\n"), "document 1: it is no object"));
  CHECK(has(problem_of("a: b\n"), "no apiVersion or no kind"));
  CHECK(has(problem_of("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\""), "document 1: "));
  CHECK(has(problem_of("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"),
            "there is no built-in kind example.com/v1 Widget"));
  CHECK(
      has(problem_of("apiVersion: v1\nkind: DeleteOptions\n"), "there is no built-in kind v1 DeleteOptions"));
  CHECK(has(problem_of("apiVersion: v1\nkind: Namespace\nmetadata: {}\n"), "has no metadata.name"));
  CHECK(has(problem_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
            "a has no metadata.namespace"));
  CHECK(has(problem_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n"),
            "is not of a namespace"));
  CHECK(has(problem_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspeck: {}\n"), "speck"));
  CHECK(has(problem_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, name: b}\n"), "name"));
  CHECK(has(problem_of("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\ndata: 5\n"),
            "ConfigMap: "));
  CHECK(has(
      problem_of(
          "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: a}}, 3]\n"),
      "document 1, item 2: it is no object"));
}
