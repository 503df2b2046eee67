// What ApiClient promises, asked of both its kinds alike: over HTTP and in-process.

#include "apimachinery/edit.h"
#include "client/informer.h"
#include "client_world.h"

using namespace rusternetes;
using namespace rusternetes::api_server::testing;
using apimachinery::Document;
using apimachinery::core_v1::ConfigMap;
using client::ListOptions;
using client::PatchType;
using client::RemoveOptions;
using client::WatchEvent;
using client::WatchOptions;
using client::WriteOptions;

namespace {

ConfigMap view(const Document& document) { return ConfigMap(&document.root()); }
std::string version_of(const Document& document) {
  return std::string(view(document).metadata().resourceVersion());
}
std::string value_of(const Document& document, std::string_view key = "k") {
  return std::string(view(document).data().get(key));
}

// The client's verbs on ConfigMaps of the namespace default, waited for.
struct Maps {
  ClientWorld& world;
  ApiClient& client;

  Result<Document> create(Document map, WriteOptions options = {}) {
    return world.wait(client.create(config_maps, "default", "", "", std::move(map), std::move(options)));
  }
  Result<Document> update(const std::string& name, Document map, WriteOptions options = {}) {
    return world.wait(client.update(config_maps, "default", name, "", std::move(map), std::move(options)));
  }
  Result<Document> patch(const std::string& name, PatchType type, std::string body,
                         WriteOptions options = {}) {
    return world.wait(
        client.patch(config_maps, "default", name, "", type, std::move(body), std::move(options)));
  }
  Result<Document> get(const std::string& name) {
    return world.wait(client.get(config_maps, "default", name));
  }
  Result<client::ObjectList> list(ListOptions options = {}) {
    return world.wait(client.list(config_maps, "default", std::move(options)));
  }
  Result<void> remove(const std::string& name, RemoveOptions options = {}) {
    return world.wait(client.remove(config_maps, "default", name, std::move(options)));
  }
  std::vector<std::string> names(ListOptions options = {}) {
    auto listed = list(std::move(options));
    REQUIRE(listed);
    std::vector<std::string> out;
    for (const auto& item : listed->items) out.emplace_back(client::name_of(item));
    return out;
  }
};

// A copy with another value under "k".
Document changed(const Document& map, const std::string& value) {
  client::ObjectBuilder builder(map);
  auto& data =
      apimachinery::ensure(builder.arena(), builder.root(), ConfigMap::f_data, apimachinery::ValueKind::map);
  apimachinery::set_map_string(builder.arena(), data, "k", value);
  return builder.freeze();
}

// "+name", "~name", "-name", "bookmark", "end" or an error's reason, until `enough` events have come.
Task<std::vector<std::string>> read_watch(ApiClient& client, WatchOptions options, std::size_t enough) {
  std::vector<std::string> out;
  auto stream = co_await client.watch(config_maps, "default", std::move(options));
  if (!stream) {
    out.push_back(stream.error().reason);
    co_return out;
  }
  while (out.size() < enough) {
    auto event = co_await (*stream)->next();
    if (!event) {
      out.push_back(event.error().reason);
      co_return out;
    }
    if (!*event) {
      out.push_back("end");
      co_return out;
    }
    const auto type = (**event).type;
    const std::string name(client::name_of((**event).object));
    CHECK_FALSE(version_of((**event).object).empty());
    out.push_back(type == WatchEvent::Type::added      ? "+" + name
                  : type == WatchEvent::Type::modified ? "~" + name
                  : type == WatchEvent::Type::removed  ? "-" + name
                                                       : "bookmark");
  }
  co_return out;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a client creates and reads an object, and errors carry code, reason and details") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  auto made = maps.create(made_map("a"));
  REQUIRE(made);
  CHECK(client::uid_of(*made).size() == 36);
  CHECK(client::namespace_of(*made) == "default");
  CHECK(view(*made).metadata().creationTimestamp() > 0);
  auto got = maps.get("a");
  REQUIRE(got);
  CHECK(version_of(*got) == version_of(*made));
  CHECK(value_of(*got) == "v");
  auto again = maps.create(made_map("a"));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == 409);
  CHECK(again.error().is("AlreadyExists"));
  CHECK(again.error().message == "configmaps \"a\" already exists");
  auto missing = maps.get("b");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == 404);
  CHECK(missing.error().is("NotFound"));
  REQUIRE(missing.error().details);
  CHECK(missing.error().details->name == "b");
  CHECK(missing.error().details->kind == "configmaps");
  auto wrong = maps.create(made_map("Not_A_Name"));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == 422);
  CHECK(wrong.error().is("Invalid"));
  REQUIRE(wrong.error().details);
  REQUIRE(wrong.error().details->causes.size() == 1);
  CHECK(wrong.error().details->causes[0].field == "metadata.name");
  CHECK(wrong.error().details->causes[0].reason == "FieldValueInvalid");
  auto elsewhere =
      world.wait(maps.client.create(config_maps, "no-such-namespace", "", "", made_map("a"), {}));
  REQUIRE_FALSE(elsewhere);
  CHECK(elsewhere.error().is("NotFound"));
  CHECK(elsewhere.error().message == "namespaces \"no-such-namespace\" not found");
  auto nothing = world.wait(maps.client.list({"", "v1", "nothings"}, "", {}));
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == 404);
}

TEST_CASE("a client's identity is what is authorized") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort, "bob")};
  for (const Status& error : {maps.get("a").error(), maps.create(made_map("a")).error(), maps.list().error(),
                              maps.remove("a").error(), maps.patch("a", PatchType::merge, "{}").error(),
                              world.wait(maps.client.watch(config_maps, "default", {})).error()}) {
    CHECK(error.code == 403);
    CHECK(error.is("Forbidden"));
    CHECK(error.message.find("User \"bob\" cannot ") != std::string::npos);
  }
}

TEST_CASE("a list comes in pages that show one state, and selectors choose") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  for (int i = 0; i < 7; ++i) REQUIRE(maps.create(made_map("m" + std::to_string(i))));
  ListOptions page;
  page.limit = 3;
  auto first = maps.list(page);
  REQUIRE(first);
  CHECK(first->items.size() == 3);
  REQUIRE_FALSE(first->continue_token.empty());
  REQUIRE(maps.create(made_map("m55")));
  REQUIRE(maps.remove("m4"));
  Words rest;
  std::string version = first->resource_version;
  page.continue_token = first->continue_token;
  while (!page.continue_token.empty()) {
    auto next = maps.list(page);
    REQUIRE(next);
    CHECK(next->resource_version == version);
    for (const auto& item : next->items) rest.emplace_back(client::name_of(item));
    page.continue_token = next->continue_token;
  }
  CHECK(rest == Words{"m3", "m4", "m5", "m6"});
  CHECK(maps.names() == Words{"m0", "m1", "m2", "m3", "m5", "m55", "m6"});
  ListOptions labels, fields, exact, older;
  labels.label_selector = "name in (m1,m55)";
  CHECK(maps.names(labels) == Words{"m1", "m55"});
  fields.field_selector = "metadata.name=m2";
  CHECK(maps.names(fields) == Words{"m2"});
  exact.resource_version = version;
  exact.resource_version_match = "Exact";
  CHECK(maps.names(exact).size() == 7);
  labels.label_selector = "name in (";
  auto bad = maps.list(labels);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().is("BadRequest"));
  page.continue_token = "rubbish";
  CHECK(maps.list(page).error().code == 400);
  CHECK(world.wait(maps.client.list(config_maps, "", {}))->items.size() >= 7);  // of all namespaces
}

TEST_CASE("a stale update is refused with Conflict, one without a version is not") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  const Document made = *maps.create(made_map("a"));
  auto second = maps.update("a", changed(made, "2"));
  REQUIRE(second);
  CHECK(version_of(*second) != version_of(made));
  auto stale = maps.update("a", changed(made, "3"));
  REQUIRE_FALSE(stale);
  CHECK(stale.error().code == 409);
  CHECK(stale.error().is("Conflict"));
  CHECK(stale.error().message.find(
            "the object has been modified; please apply your changes to the latest version and try again") !=
        std::string::npos);
  CHECK(value_of(*maps.get("a")) == "2");
  REQUIRE(maps.update("a", changed(made_map("a"), "4")));
  CHECK(value_of(*maps.get("a")) == "4");
  auto absent = maps.update("b", made_map("b"));
  REQUIRE_FALSE(absent);
  CHECK(absent.error().is("NotFound"));
  auto same = maps.update("a", *maps.get("a"));
  REQUIRE(same);
  CHECK(version_of(*same) == version_of(*maps.get("a")));  // nothing changed, nothing written
}

TEST_CASE("the three patches change what they say, under their field manager's name") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  REQUIRE(maps.create(made_map("a")));
  auto json =
      maps.patch("a", PatchType::json,
                 R"([{"op":"test","path":"/data/k","value":"v"},{"op":"add","path":"/data/j","value":"1"}])");
  REQUIRE(json);
  CHECK(value_of(*json, "j") == "1");
  auto merged = maps.patch("a", PatchType::merge, R"({"data":{"k":null,"m":"2"}})", {"merger", false});
  REQUIRE(merged);
  CHECK(view(*merged).data().size() == 2);
  CHECK(value_of(*merged, "m") == "2");
  bool has_manager = false;
  for (const auto entry : view(*merged).metadata().managedFields())
    has_manager |= entry.manager() == "merger";
  CHECK(has_manager);
  auto strategic = maps.patch(
      "a", PatchType::strategic,
      R"({"metadata":{"finalizers":["example.com/a"],"labels":{"$patch":"replace","only":"one"}}})");
  REQUIRE(strategic);
  CHECK(view(*strategic).metadata().labels().size() == 1);
  auto more = maps.patch("a", PatchType::strategic, R"({"metadata":{"finalizers":["example.com/b"]}})");
  REQUIRE(more);
  CHECK(view(*more).metadata().finalizers().size() == 2);  // a set: merged
  auto failed = maps.patch("a", PatchType::json, R"([{"op":"test","path":"/data/k","value":"no"}])");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == 422);
  auto broken = maps.patch("a", PatchType::merge, "{");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == 400);
  auto stale = maps.patch("a", PatchType::merge, R"({"metadata":{"resourceVersion":"1"}})");
  REQUIRE_FALSE(stale);
  CHECK(stale.error().is("Conflict"));
  CHECK(maps.patch("b", PatchType::merge, "{}").error().is("NotFound"));
}

TEST_CASE("deleting heeds preconditions and finalizers") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  const Document made = *maps.create(made_map("a"));
  RemoveOptions other_uid, old_version;
  other_uid.uid = "11111111-1111-1111-1111-111111111111";
  CHECK(maps.remove("a", other_uid).error().is("Conflict"));
  REQUIRE(maps.update("a", changed(made, "2")));
  old_version.resource_version = version_of(made);
  CHECK(maps.remove("a", old_version).error().is("Conflict"));
  other_uid.uid = client::uid_of(made);
  CHECK(maps.remove("a", other_uid));
  CHECK(maps.get("a").error().is("NotFound"));
  CHECK(maps.remove("a").error().is("NotFound"));
  REQUIRE(maps.create(made_map("kept")));
  REQUIRE(maps.patch("kept", PatchType::merge, R"({"metadata":{"finalizers":["example.com/keep"]}})"));
  REQUIRE(maps.remove("kept"));
  CHECK(view(*maps.get("kept")).metadata().has_deletionTimestamp());
  REQUIRE(maps.patch("kept", PatchType::merge, R"({"metadata":{"finalizers":null}})"));
  CHECK(maps.get("kept").error().is("NotFound"));
}

TEST_CASE("a collection is removed as far as its selectors go") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  for (const char* name : {"a", "b", "c"}) REQUIRE(maps.create(made_map(name)));
  REQUIRE(world.wait(maps.client.remove_collection(config_maps, "default", {"name!=b", ""}, {})));
  CHECK(maps.names() == Words{"b"});
  REQUIRE(world.wait(maps.client.remove_collection(config_maps, "default", {}, {})));
  CHECK(maps.names().empty());
  CHECK(world.wait(client_of(world, sort, "bob").remove_collection(config_maps, "default", {}, {}))
            .error()
            .is("Forbidden"));
}

TEST_CASE("a dry run answers as if it had happened, and nothing has") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  const WriteOptions dry{"", true};
  auto made = maps.create(made_map("a"), dry);
  REQUIRE(made);
  CHECK(client::uid_of(*made).size() == 36);
  CHECK(maps.get("a").error().is("NotFound"));
  const Document real = *maps.create(made_map("a"));
  CHECK(maps.create(made_map("a"), dry).error().is("AlreadyExists"));
  CHECK(value_of(*maps.update("a", changed(real, "2"), dry)) == "2");
  CHECK(value_of(*maps.patch("a", PatchType::merge, R"({"data":{"k":"3"}})", dry)) == "3");
  CHECK(version_of(*maps.get("a")) == version_of(real));
}

TEST_CASE("a watch gives every change after its revision, through its selectors, and ends in order") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  Maps maps{world, client_of(world, sort)};
  REQUIRE(maps.create(made_map("before")));
  WatchOptions options;
  options.resource_version = maps.list()->resource_version;
  REQUIRE(maps.create(made_map("a")));
  REQUIRE(maps.patch("a", PatchType::merge, R"({"metadata":{"labels":{"seen":"yes"}}})"));
  REQUIRE(maps.patch("a", PatchType::merge, R"({"metadata":{"labels":{"seen":null}}})"));
  REQUIRE(maps.remove("before"));
  CHECK(world.wait(read_watch(maps.client, options, 4)) == Words{"+a", "~a", "~a", "-before"});
  WatchOptions selected = options;
  selected.label_selector = "seen=yes";
  CHECK(world.wait(read_watch(maps.client, selected, 2)) == Words{"+a", "-a"});
  WatchOptions brief = options;
  brief.timeout_s = 1;
  CHECK(world.wait(read_watch(maps.client, brief, 9)) == Words{"+a", "~a", "~a", "-before", "end"});
  WatchOptions present;  // no revision: first what is there
  CHECK(world.wait(read_watch(maps.client, present, 1)) == Words{"+a"});
  WatchOptions initial;
  initial.send_initial_events = true;
  CHECK(world.wait(read_watch(maps.client, initial, 2)) == Words{"+a", "bookmark"});
}

TEST_CASE("a watch from a revision that is gone gets 410 Expired") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  std::string old;
  {
    Maps maps{world, client_of(world, sort)};
    old = version_of(*maps.create(made_map("a")));
    REQUIRE(maps.create(made_map("b")));
  }
  world.restart();
  Maps maps{world, client_of(world, sort)};
  WatchOptions options;
  options.resource_version = old;
  CHECK(world.wait(read_watch(maps.client, options, 1)) == Words{"Expired"});
  options.resource_version = maps.list()->resource_version;
  REQUIRE(maps.create(made_map("c")));
  CHECK(world.wait(read_watch(maps.client, options, 1)) == Words{"+c"});
}

TEST_CASE("subresources answer with their own kind") {
  ClientWorld world;
  const std::string sort = GENERATE("remote", "in-process");
  CAPTURE(sort);
  ApiClient& client = client_of(world, sort);
  constexpr client::Resource pods{"", "v1", "pods"}, nodes{"", "v1", "nodes"},
      accounts{"", "v1", "serviceaccounts"};
  using namespace apimachinery;
  auto account = client::ObjectBuilder::from_json(core_v1::ServiceAccount::schema_type(),
                                                  R"({"metadata":{"name":"default"}})");
  REQUIRE(world.wait(client.create(accounts, "default", "", "", account, {})));
  auto node = client::ObjectBuilder::from_json(core_v1::Node::schema_type(), R"({"metadata":{"name":"n1"}})");
  REQUIRE(world.wait(client.create(nodes, "", "", "", node, {})));
  auto pod = client::ObjectBuilder::from_json(
      core_v1::Pod::schema_type(),
      R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  auto made = world.wait(client.create(pods, "default", "", "", pod, {}));
  REQUIRE(made);
  auto binding = client::ObjectBuilder::from_json(
      core_v1::Binding::schema_type(), R"({"metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}})");
  auto bound = world.wait(client.create(pods, "default", "p", "binding", binding, {}));
  REQUIRE(bound);
  auto twice = world.wait(client.create(pods, "default", "p", "binding", binding, {}));
  REQUIRE_FALSE(twice);
  CHECK(twice.error().is("Conflict"));
  auto running = world.wait(client.patch(pods, "default", "p", "status", PatchType::strategic,
                                         R"({"status":{"phase":"Running"}})", {}));
  REQUIRE(running);
  const core_v1::Pod seen(&running->root());
  CHECK(seen.status().phase() == "Running");
  CHECK(seen.spec().nodeName() == "n1");
}
