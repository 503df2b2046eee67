#include "client/remote_client.h"

#include "apimachinery/api/core_v1.h"
#include "fake_server.h"
#include "scripted_api.h"

using namespace rusternetes;
using namespace rusternetes::client;
using namespace rusternetes::client::testing;

namespace {

constexpr Resource config_maps{"", "v1", "configmaps"};
const std::string map_json =
    R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"default","resourceVersion":"7"},"data":{"k":"v"}})";

Reply map_reply(const http::RequestHead&, const std::string&) { return {200, map_json}; }
Reply unavailable(const http::RequestHead&, const std::string&) {
  return {
      503,
      R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"not ready","reason":"ServiceUnavailable","code":503})"};
}

// A client of several servers on a thread of its own.
struct Remote {
  EventThread thread{"remote"};
  std::unique_ptr<ApiClient> client;

  void connect(std::vector<std::string> servers, std::shared_ptr<TokenSource> tokens = nullptr) {
    RemoteOptions options;
    options.servers = std::move(servers);
    options.tokens = std::move(tokens);
    options.request_timeout = std::chrono::milliseconds(100);
    auto made = make_remote_client(thread.executor(), std::move(options), apimachinery::Registry::builtin());
    REQUIRE(made);
    client = std::move(*made);
  }
  Task<> get_into(Result<Document>& out) { out = co_await client->get(config_maps, "default", "a"); }
  Task<> create_into(Result<Document>& out) {
    out = co_await client->create(config_maps, "default", "", "", config_map("a", 0), {});
  }
  Task<> watch_into(std::vector<std::string>& seen) {
    auto stream = co_await client->watch(config_maps, "default", {});
    if (!stream) {
      seen.push_back(stream.error().reason);
      co_return;
    }
    for (;;) {
      auto event = co_await (*stream)->next();
      if (!event) {
        seen.push_back(event.error().reason);
        co_return;
      }
      if (!*event) co_return;
      seen.push_back(std::string(name_of((**event).object)));
    }
  }
  static std::string_view name_of(const Document& object) {
    return apimachinery::core_v1::ConfigMap(&object.root()).metadata().name();
  }
  Result<Document> get() {
    Result<Document> out = Status{};
    run_blocking(thread.executor(), get_into(out));
    return out;
  }
  Result<Document> create() {
    Result<Document> out = Status{};
    run_blocking(thread.executor(), create_into(out));
    return out;
  }
  std::vector<std::string> watch() {
    std::vector<std::string> out;
    run_blocking(thread.executor(), watch_into(out));
    return out;
  }
  template <class T>
  T on_thread(T& what) {
    T out;
    struct Copy {
      static Task<> run(T& from, T& to) {
        to = from;
        co_return;
      }
    };
    run_blocking(thread.executor(), Copy::run(what, out));
    return out;
  }
};

}  // namespace

TEST_CASE(
    "a server that refuses is passed over for reads and writes, and the one that answers is asked first from "
    "then on") {
  Remote remote;
  FakeServer good(remote.thread.executor(), map_reply);
  remote.connect({refusing_url(remote.thread.executor()), good.url()});
  CHECK(remote.create());
  CHECK(remote.get());
  CHECK(remote.on_thread(good.requests).size() == 2);
}

TEST_CASE("a read goes on with the next server when one breaks off within its answer") {
  Remote remote;
  DyingServer dying(remote.thread.executor());
  FakeServer good(remote.thread.executor(), map_reply);
  remote.connect({dying.url(), good.url()});
  auto got = remote.get();
  REQUIRE(got);
  CHECK(remote.name_of(*got) == "a");
  CHECK(remote.on_thread(dying.requests) == 1);
  CHECK(remote.get());
  CHECK(remote.on_thread(dying.requests) == 1);  // not asked again
}

TEST_CASE("a write that may have happened is not repeated, and the next one asks another server") {
  Remote remote;
  DyingServer dying(remote.thread.executor());
  FakeServer good(remote.thread.executor(), map_reply);
  remote.connect({dying.url(), good.url()});
  auto first = remote.create();
  REQUIRE_FALSE(first);
  CHECK(first.error().is("ConnectionLost"));
  CHECK(remote.on_thread(good.requests).empty());
  CHECK(remote.create());
}

TEST_CASE("a read asks another server when one cannot serve or does not answer in time") {
  Remote remote;
  FakeServer down(remote.thread.executor(), unavailable);
  FakeServer silent(remote.thread.executor(), [](const auto&, auto) { return Reply{200, "", "", {}, true}; });
  FakeServer good(remote.thread.executor(), map_reply);
  remote.connect({down.url(), silent.url(), good.url()});
  CHECK(remote.get());
  CHECK(remote.on_thread(down.requests).size() == 1);
  CHECK(remote.on_thread(silent.requests).size() == 1);
  Remote writer;
  FakeServer other(writer.thread.executor(), unavailable);
  writer.connect({other.url(), good.url()});
  auto refused = writer.create();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("ServiceUnavailable"));
}

TEST_CASE("without a server the error says what became of the last one") {
  Remote remote;
  remote.connect({refusing_url(remote.thread.executor()), refusing_url(remote.thread.executor())});
  auto got = remote.get();
  REQUIRE_FALSE(got);
  CHECK(got.error().code == 503);
  CHECK(got.error().is("ConnectionRefused"));
  auto empty = make_remote_client(remote.thread.executor(), {}, apimachinery::Registry::builtin());
  CHECK_FALSE(empty);
}

TEST_CASE("a watch in JSON is read across any cut, and one that ends within an event is a lost connection") {
  const std::string event = R"({"type":"ADDED","object":)" + map_json + "}\n";
  Remote remote;
  std::vector<std::string> pieces;
  SECTION("byte by byte") {
    for (const char c : event + event) pieces.push_back(std::string(1, c));
    FakeServer server(remote.thread.executor(), [&](const auto&, auto) {
      return Reply{200, "", "application/json", pieces};
    });
    remote.connect({server.url()});
    CHECK(remote.watch() == std::vector<std::string>{"a", "a"});
  }
  SECTION("two and a half at once") {
    pieces = {event + event + event.substr(0, 40)};
    FakeServer server(remote.thread.executor(), [&](const auto&, auto) {
      return Reply{200, "", "application/json", pieces};
    });
    remote.connect({server.url()});
    CHECK(remote.watch() == std::vector<std::string>{"a", "a", "ConnectionLost"});
  }
  SECTION("an ERROR event is the Status in it") {
    pieces = {
        R"({"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old","reason":"Expired","code":410}})"
        "\n"};
    FakeServer server(remote.thread.executor(), [&](const auto&, auto) {
      return Reply{200, "", "application/json", pieces};
    });
    remote.connect({server.url()});
    CHECK(remote.watch() == std::vector<std::string>{"Expired"});
  }
}

namespace {
struct Tokens final : TokenSource {
  int given = 0;
  std::optional<Status> failure;
  std::vector<std::string> rejected;
  Task<Result<std::string>> token() override {
    if (failure) co_return *failure;
    co_return "t" + std::to_string(++given);
  }
  void reject(const std::string& token) override { rejected.push_back(token); }
};
}  // namespace

TEST_CASE("a token that is not taken is rejected and asked for once more, not for ever") {
  Remote remote;
  std::string good = "Bearer t2";
  FakeServer server(remote.thread.executor(), [&](const http::RequestHead& head, auto) {
    if (head.headers.get("authorization").value_or("") == good) return Reply{200, map_json};
    return Reply{
        401,
        R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401})"};
  });
  auto tokens = std::make_shared<Tokens>();
  remote.connect({server.url()}, tokens);
  CHECK(remote.get());
  CHECK(tokens->rejected == std::vector<std::string>{"t1"});
  good = "Bearer none";
  auto refused = remote.get();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("Unauthorized"));
  CHECK(tokens->given == 4);
}

TEST_CASE("a token's account that is missing is not taken for a missing object") {
  Remote remote;
  FakeServer server(remote.thread.executor(), [](const auto&, auto) { return Reply{200, map_json}; });
  auto tokens = std::make_shared<Tokens>();
  tokens->failure = Status{404, "NotFound", "serviceaccounts \"c\" not found"};
  remote.connect({server.url()}, tokens);
  auto answer = remote.get();
  REQUIRE_FALSE(answer);
  CHECK(answer.error().is("Unauthorized"));
  CHECK(answer.error().message == "no token: serviceaccounts \"c\" not found");
}
