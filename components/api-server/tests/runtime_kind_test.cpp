// A kind that nobody compiled in: added to a running server, and taken off again.
#include <future>
#include <thread>

#include "apimachinery/schema_builder.h"
#include "server_test_support.h"

using namespace rusternetes;
using api_server::testing::Answer;
using api_server::testing::TestServer;

namespace {

constexpr const char* widget_schema = R"(package example/v1
group example.com version v1
priority 1000 100

kind Widget
  resource widgets namespaced singular=widget short=wd categories=all
  verbs all
  store example.com/v1 json example.com/widgets
  subresource status Widget get,patch,update
  column "Name" string format=name
  column "Size" integer

type Widget
  (inline)  - meta/v1.TypeMeta
  metadata  1 meta/v1.ObjectMeta omitempty
  spec      2 WidgetSpec omitempty
  status    3 WidgetStatus omitempty

type WidgetList
  (inline)  - meta/v1.TypeMeta
  metadata  1 meta/v1.ListMeta omitempty
  items     2 []Widget required

type WidgetSpec
  size   1 int32? omitempty
  parts  2 []WidgetPart omitempty list=map keys=name

type WidgetPart
  name   1 string required
  color  2 string omitempty

type WidgetStatus
  ready  1 bool omitempty
)";

std::shared_ptr<const apimachinery::SchemaSet> widgets() {
  auto parsed = apimachinery::parse_schema_text({{"widget.schema", widget_schema}}, &apimachinery::builtin_schema());
  INFO((parsed ? std::string() : parsed.error().message));
  REQUIRE(parsed);
  return std::shared_ptr<const apimachinery::SchemaSet>(std::move(*parsed));
}

const std::string path = "/apis/example.com/v1/namespaces/default/widgets";
bool has(const Answer& answer, std::string_view text) { return answer.body.find(text) != std::string::npos; }

}  // namespace

TEST_CASE("a kind that comes at run time is served like any other, and goes again") {
  TestServer server;
  CHECK(server.send("GET", path).code == 404);
  const auto builtin = apimachinery::Registry::builtin();
  const auto added = widgets();
  REQUIRE(server.instance().set_registry(builtin->with(added)));

  const std::string body = R"({"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"size":3,"parts":[{"name":"a","color":"red"}]}})";
  const Answer created = server.send("POST", path, body);
  INFO(created.body);
  REQUIRE(created.code == 201);
  const bool has_type = has(created, R"("apiVersion":"example.com/v1","kind":"Widget")") || has(created, R"("kind":"Widget","apiVersion":"example.com/v1")");
  CHECK(has_type);
  CHECK(has(created, R"(k:{\"name\":\"a\"})"));  // the list's keys are known to the managed fields
  CHECK(server.send("POST", path + "?fieldValidation=Strict", R"({"metadata":{"name":"x"},"spec":{"sise":3}})").code == 400);
  const Answer patched = server.send("PATCH", path + "/w", R"({"spec":{"size":4}})", "application/merge-patch+json");
  CHECK(patched.code == 200);
  CHECK(has(patched, R"("size":4)"));
  const Answer status = server.send("PATCH", path + "/w/status", R"({"status":{"ready":true},"spec":{"size":9}})", "application/merge-patch+json");
  CHECK(status.code == 200);
  CHECK(has(status, R"("ready":true)"));
  CHECK(has(status, R"("size":4)"));
  CHECK(has(server.send("GET", path), R"("kind":"WidgetList")"));
  CHECK(has(server.send("GET", "/apis/example.com/v1"), R"("name":"widgets/status")"));
  CHECK(has(server.send("GET", "/apis"), R"("name":"example.com")"));
  CHECK(has(server.send("GET", "/openapi/v3"), "apis/example.com/v1"));
  CHECK(has(server.send("GET", path, "", "", "admin-token", "application/json;as=Table;v=v1;g=meta.k8s.io"), R"("name":"Size")"));
  CHECK(server.read_until(path + "?watch=true&resourceVersion=0", R"("type":"ADDED")").find("Widget") != std::string::npos);

  REQUIRE(server.instance().set_registry(builtin));
  CHECK(server.send("GET", path).code == 404);
  CHECK_FALSE(has(server.send("GET", "/apis"), "example.com"));
  CHECK_FALSE(has(server.send("GET", "/openapi/v3"), "example.com"));
  CHECK(server.send("GET", "/api/v1/namespaces").code == 200);

  // What was written is still there when the kind comes back.
  REQUIRE(server.instance().set_registry(builtin->with(widgets())));
  const Answer again = server.send("GET", path + "/w");
  CHECK(again.code == 200);
  CHECK(has(again, R"("size":4)"));
}

TEST_CASE("a watch of a kind that goes ends, and writes to other kinds go on meanwhile") {
  TestServer server;
  const auto builtin = apimachinery::Registry::builtin();
  REQUIRE(server.instance().set_registry(builtin->with(widgets())));
  REQUIRE(server.send("POST", path, R"({"metadata":{"name":"w"}})").code == 201);
  EventThread watcher("watcher");
  std::string seen;
  std::promise<void> has_begun;
  std::thread thread([&] {
    run_blocking(watcher.executor(), [](TestServer& server, asio::any_io_executor executor, std::string& seen, std::promise<void>& has_begun) -> Task<> {
      auto client = http::Client::create(executor, {"http://127.0.0.1:" + std::to_string(server.instance().port()), {}});
      http::ClientRequest request;
      request.target = path + "?watch=true";
      request.headers.set("authorization", "Bearer admin-token");
      auto response = co_await (*client)->send(std::move(request));
      bool is_told = false;
      while (response) {
        auto piece = co_await (*response)->read_some();
        if (!piece || piece->empty()) break;
        seen += *piece;
        if (!is_told) has_begun.set_value();
        is_told = true;
      }
    }(server, watcher.executor(), seen, has_begun));
  });
  has_begun.get_future().wait();
  REQUIRE(server.instance().set_registry(builtin));
  thread.join();
  CHECK(seen.find(R"("type":"ADDED")") != std::string::npos);
  CHECK(seen.find(R"("type":"ERROR")") != std::string::npos);
  CHECK(seen.find(R"("code":410)") != std::string::npos);
  CHECK(server.send("POST", "/api/v1/namespaces/default/configmaps", R"({"metadata":{"name":"c"}})").code == 201);
}
