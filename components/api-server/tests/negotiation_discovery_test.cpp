// Discovery, against what a kube-apiserver v1.35 sends.

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include "api-server/discovery.h"
#include "apimachinery/registry.h"
#include "apimachinery/schema_builder.h"

namespace rusternetes::api_server {

namespace json = boost::json;
using namespace apimachinery;

TEST_CASE("aggregated discovery has the entity tags of kube-apiserver") {
  // The tag is a hash over the whole document, so this compares every resource, verb, short name and
  // category.
  const Discovery discovery(*Registry::builtin(), "127.0.0.1:6443");
  const auto* core = discovery.aggregated("/api", "v2");
  const auto* groups = discovery.aggregated("/apis", "v2");
  REQUIRE(core);
  REQUIRE(groups);
  CHECK(core->etag ==
        "\"4D7E1BED90B364BC86049DD9E636494980AEF65B7F8CFAA267616FA062B514A8A3CC2C2851CC9337B8D28B4C80960E2353"
        "DE5E0B152E87CC223E02EA3C5C37AC\"");
  CHECK(groups->etag ==
        "\"36EB20B532B5E2220EA305AA35A76130E48B4367FAC435B022F3FC7CC8651F2B53D6FFAE2CCFF66A7C4FE55F0C3C444469"
        "D951C312B0B0CA6E39D25226A5541F\"");
  CHECK(discovery.aggregated("/apis", "v2beta1") == nullptr);
  CHECK(discovery.aggregated("/apis/apps", "v2") == nullptr);
}

TEST_CASE("discovery names the kind of a custom resource with its group") {
  const std::string text =
      "package things/v1\ngroup things.example version v1\npriority 5000 0\n"
      "kind Thing\n  resource things namespaced singular=thing short=th\n  verbs all\n  store "
      "things.example/v1 json things.example/things\n"
      "  subresource status Thing get,patch,update\n\n"
      "type Thing\n  kind  1 string omitempty\n  metadata  2 ThingMeta omitempty\n\ntype ThingMeta\n  name  "
      "1 string omitempty\n";
  auto parsed = parse_schema_text({{"things", text}});
  REQUIRE(parsed);
  const auto registry = Registry::builtin()->with(std::shared_ptr<const SchemaSet>(std::move(*parsed)));
  const Discovery discovery(*registry, "127.0.0.1:6443");
  const json::value document = json::parse(discovery.aggregated("/apis", "v2")->json);
  const auto& group = document.at("items").as_array().back();
  REQUIRE(group.at("metadata").at("name").as_string() == "things.example");
  const auto& resource = group.at("versions").as_array().at(0).at("resources").as_array().at(0);
  CHECK(resource.at("responseKind").at("group").as_string() == "things.example");
  CHECK(resource.at("responseKind").at("version").as_string() == "v1");
  CHECK(resource.at("subresources").as_array().at(0).at("responseKind").at("kind").as_string() == "Thing");
}

}  // namespace rusternetes::api_server
