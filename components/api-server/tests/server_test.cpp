#include "server_test_support.h"

#include <future>
#include <thread>

#include "api-server/cache/object_entry.h"
#include "authn_keys.h"

using rusternetes::api_server::testing::Answer;
using rusternetes::api_server::testing::TestServer;

namespace {

std::string config_map(const std::string& name, const std::string& value = "v") {
  return R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":")" + name + R"("},"data":{"k":")" + value + R"("}})";
}

const std::string maps = "/api/v1/namespaces/default/configmaps";

std::string field(const std::string& json, const std::string& key) {
  const std::string start = "\"" + key + "\":\"";
  const auto at = json.find(start);
  if (at == std::string::npos) return {};
  const auto begin = at + start.size();
  return json.substr(begin, json.find('"', begin) - begin);
}

// Keeps the cache thread behind the store, with an object that takes its time to decode.
class BusyCache {
 public:
  explicit BusyCache(TestServer& server) : store_(server.store()) {
    std::string data;
    for (int i = 0; i < 5'000; ++i) data += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":\"v\"";
    REQUIRE(server.send("POST", maps, R"({"metadata":{"name":"large"},"data":{)" + data + "}}").code == 201);
    auto stored = store_.range({.key = "/registry/configmaps/default/large"});
    REQUIRE(stored);
    put_.key = stored->kvs.at(0).key;
    put_.value = stored->kvs.at(0).value;
    writer_ = std::jthread([this, &server](std::stop_token stop) {
      while (!stop.stop_requested()) {
        for (int i = 0; i < 5; ++i) {
          rusternetes::storage::TxnRequest request;
          request.success.emplace_back(put_);
          std::promise<void> done;
          store_.txn(std::move(request), [&done](auto) { done.set_value(); });
          done.get_future().wait();
        }
        server.send("GET", maps + "/none");  // answered when the cache has come so far
      }
    });
  }

 private:
  rusternetes::storage::Store& store_;
  rusternetes::storage::PutRequest put_;
  std::jthread writer_;
};

}  // namespace

TEST_CASE("an object is created, read, changed and deleted, and says so in Kubernetes' words") {
  TestServer server;
  Answer created = server.send("POST", maps, config_map("a"));
  CHECK(created.code == 201);
  CHECK(field(created.body, "uid").size() == 36);
  CHECK(created.body.find("\"managedFields\"") != std::string::npos);
  Answer again = server.send("POST", maps, config_map("a"));
  CHECK(again.code == 409);
  CHECK(field(again.body, "reason") == "AlreadyExists");
  Answer got = server.send("GET", maps + "/a");
  CHECK(got.code == 200);
  CHECK(field(got.body, "resourceVersion") == field(created.body, "resourceVersion"));
  Answer patched = server.send("PATCH", maps + "/a", R"({"data":{"k":null,"n":"1"}})", "application/merge-patch+json");
  CHECK(patched.code == 200);
  CHECK(patched.body.find("\"data\":{\"n\":\"1\"}") != std::string::npos);
  std::string stale = created.body;
  CHECK(server.send("PUT", maps + "/a", stale).code == 409);
  Answer gone = server.send("DELETE", maps + "/a");
  CHECK(gone.code == 200);
  CHECK(field(gone.body, "status") == "Success");
  CHECK(server.send("GET", maps + "/a").body.find("configmaps \\\"a\\\" not found") != std::string::npos);
}

TEST_CASE("unknown fields are warned of, refused or ignored as fieldValidation says") {
  TestServer server;
  const std::string body = R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"f"},"dta":{"a":"b"}})";
  Answer strict = server.send("POST", maps + "?fieldValidation=Strict", body);
  CHECK(strict.code == 400);
  CHECK(strict.body.find("strict decoding error: unknown field \\\"dta\\\"") != std::string::npos);
  Answer warned = server.send("POST", maps + "?dryRun=All", body);
  CHECK(warned.code == 201);
  CHECK(warned.headers.get("warning").value_or("").find("unknown field") != std::string_view::npos);
  CHECK(server.send("GET", maps + "/f").code == 404);  // a dry run leaves nothing
  Answer ignored = server.send("POST", maps + "?fieldValidation=Ignore", body);
  CHECK(ignored.code == 201);
  CHECK_FALSE(ignored.headers.get("warning"));
}

TEST_CASE("a list in pages shows one state, though objects come between") {
  TestServer server;
  for (int i = 0; i < 10; ++i) server.send("POST", maps, config_map("m" + std::to_string(i)));
  Answer first = server.send("GET", maps + "?limit=4");
  const std::string token = field(first.body, "continue");
  REQUIRE_FALSE(token.empty());
  CHECK(first.body.find("\"remainingItemCount\":") != std::string::npos);
  server.send("POST", maps, config_map("m55"));
  server.send("DELETE", maps + "/m6");
  std::string rest;
  std::string next = token;
  while (!next.empty()) {
    Answer page = server.send("GET", maps + "?limit=4&continue=" + next);
    REQUIRE(page.code == 200);
    rest += page.body;
    next = field(page.body, "continue");
  }
  CHECK(rest.find("\"m6\"") != std::string::npos);
  CHECK(rest.find("\"m55\"") == std::string::npos);
  CHECK(server.send("GET", maps + "?limit=4&continue=rubbish").code == 400);
}

TEST_CASE("a watch gives what happened after a revision, and selectors see objects come and go") {
  TestServer server;
  Answer created = server.send("POST", maps, config_map("w"));
  const std::string version = field(created.body, "resourceVersion");
  server.send("PATCH", maps + "/w", R"({"metadata":{"labels":{"a":"b"}}})", "application/merge-patch+json");
  server.send("PATCH", maps + "/w", R"({"metadata":{"labels":{"a":null}}})", "application/merge-patch+json");
  server.send("DELETE", maps + "/w");
  const std::string all = server.read_until(maps + "?watch=true&resourceVersion=" + version, "DELETED");
  CHECK(all.find("MODIFIED") < all.find("DELETED"));
  CHECK(all.find("ADDED") == std::string::npos);
  const std::string selected = server.read_until(maps + "?watch=true&labelSelector=a%3Db&resourceVersion=" + version, "DELETED");
  CHECK(selected.find("ADDED") < selected.find("DELETED"));
  CHECK(selected.find("MODIFIED") == std::string::npos);
}

TEST_CASE("sendInitialEvents ends the present with a bookmark") {
  TestServer server;
  server.send("POST", maps, config_map("s"));
  const std::string text = server.read_until(
      maps + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "initial-events-end");
  CHECK(text.find("ADDED") < text.find("BOOKMARK"));
  CHECK(server.send("GET", maps + "?watch=true&sendInitialEvents=true").code == 422);
}

TEST_CASE("everything acknowledged is there after a restart") {
  TestServer server;
  Answer created = server.send("POST", maps, config_map("r"));
  server.restart();
  Answer got = server.send("GET", maps + "/r");
  CHECK(got.code == 200);
  CHECK(field(got.body, "uid") == field(created.body, "uid"));
}

TEST_CASE("who is nobody gets 401, who may not gets 403 with the reason spelled out") {
  TestServer server;
  CHECK(server.send("GET", maps, "", "", "no-such-token").code == 401);
  Answer refused = server.send("GET", maps, "", "", "bob-token");
  CHECK(refused.code == 403);
  CHECK(refused.body.find("User \\\"bob\\\" cannot list resource \\\"configmaps\\\" in API group \\\"\\\" in the namespace \\\"default\\\"") != std::string::npos);
  CHECK(server.send("GET", "/readyz", "", "", "").code == 200);
  CHECK(server.send("GET", "/api/v1/nodes", "", "", "").code == 403);
}

TEST_CASE("what has just been made counts at once for who may do what") {
  rusternetes::api_server::InstanceOptions options;
  options.service_account_signing_key_pem = rusternetes::api_server::test_pem("P-256", true);
  TestServer server(options);
  const BusyCache busy(server);
  for (int i = 0; i < 30; ++i) {
    const std::string name = "n" + std::to_string(i), base = "/api/v1/namespaces/" + name;
    const auto made = [&](const Answer& answer) {
      INFO(name << ": " << answer.body);
      REQUIRE(answer.code == 201);
      return answer.body;
    };
    made(server.send("POST", "/api/v1/namespaces", R"({"metadata":{"name":")" + name + "\"}}"));
    made(server.send("POST", base + "/serviceaccounts", R"({"metadata":{"name":"a"}})"));
    const auto token = made(server.send("POST", base + "/serviceaccounts/a/token", R"({"spec":{}})"));
    made(server.send("POST", base + "/pods", R"({"metadata":{"name":"p"},"spec":{"serviceAccountName":"a","containers":[{"name":"c","image":"i"}]}})"));
    made(server.send("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/" + name + "/rolebindings",
                     R"({"metadata":{"name":"a"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},)"
                     R"("subjects":[{"kind":"ServiceAccount","name":"a","namespace":")" + name + "\"}]}"));
    const auto pods = server.send("GET", base + "/pods", "", "", field(token, "token"));
    INFO(name << ": " << pods.body);
    REQUIRE(pods.code == 200);
    CHECK(field(pods.body, "serviceAccountName") == "a");
  }
}

namespace {

// Binds bob to what `verbs` says of ConfigMaps and Leases in the namespace default.
void allow_bob(TestServer& server, const std::string& verbs) {
  const std::string rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/";
  REQUIRE(server.send("POST", rbac + "roles", R"({"metadata":{"name":"r"},"rules":[{"apiGroups":["","coordination.k8s.io"],"resources":["configmaps","leases"],"verbs":[)" + verbs + "]}]}").code == 201);
  REQUIRE(server.send("POST", rbac + "rolebindings", R"({"metadata":{"name":"r"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"bob"}]})").code == 201);
}

}  // namespace

TEST_CASE("an update that would create needs the right to create") {
  TestServer server;
  allow_bob(server, R"("update","get")");
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases", body = R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"h"}})";
  const Answer refused = server.send("PUT", leases + "/l", body, "application/json", "bob-token");
  CHECK(refused.code == 403);
  CHECK(refused.body.find("cannot create resource \\\"leases\\\"") != std::string::npos);
  CHECK(server.send("PUT", leases + "/l", body).code == 201);
}

TEST_CASE("watches do not use up the requests that may be in flight") {
  rusternetes::api_server::InstanceOptions options;
  options.max_requests_inflight = 1;
  TestServer server(options);
  allow_bob(server, R"("watch","get")");
  std::vector<std::unique_ptr<rusternetes::http::ClientResponse>> watches;
  for (int i = 0; i < 3; ++i) watches.push_back(server.open(maps + "?watch=1", "bob-token"));
  CHECK(server.send("GET", maps + "/none", "", "", "bob-token").code == 404);
  server.run([&]() -> rusternetes::Task<> {
    watches.clear();
    co_return;
  });
}

TEST_CASE("warnings end before they fill the head of the response") {
  TestServer server;
  std::string unknown;
  for (int i = 0; i < 20'000; ++i) unknown += ",\"field-that-nobody-knows-" + std::to_string(i) + "\":1";
  const Answer made = server.send("POST", maps, R"({"metadata":{"name":"m"})" + unknown + "}");
  CHECK(made.code == 201);
  std::size_t count = 0, size = 0;
  for (const auto& [name, value] : made.headers.fields())
    if (name == "warning") ++count, size += value.size();
  CHECK(count > 10);
  CHECK(size < 8192);
}

TEST_CASE("who loses sight of an object is told its last state that they saw, at the revision of the change") {
  TestServer server;
  REQUIRE(server.send("POST", maps, R"({"metadata":{"name":"m","labels":{"a":"seen"}}})").code == 201);
  const Answer changed = server.send("PATCH", maps + "/m", R"({"metadata":{"labels":{"a":"hidden"}}})", "application/merge-patch+json");
  REQUIRE(changed.code == 200);
  const std::string events = server.read_until(maps + "?watch=1&labelSelector=a%3Dseen&resourceVersion=1", "DELETED");
  const std::string gone = events.substr(events.find("DELETED"));
  CHECK(field(gone, "a") == "seen");
  CHECK(field(gone, "resourceVersion") == field(changed.body, "resourceVersion"));
}

TEST_CASE("garbage gets a Status, not a crash") {
  TestServer server;
  CHECK(server.send("POST", maps, "{\"kind\":").code == 400);
  CHECK(server.send("POST", maps, "[1,2]").code == 400);
  CHECK(server.send("POST", maps, std::string(5 << 20, ' ')).code == 413);
  CHECK(server.send("POST", maps, R"({"kind":"Pod","apiVersion":"v1"})").code == 400);
  CHECK(server.send("PATCH", maps + "/x", "{}", "text/plain").code == 415);
  CHECK(server.send("GET", maps, "", "", "admin-token", "text/html").code == 406);
  CHECK(server.send("GET", "/apis/no.such/v1/things").code == 404);
  CHECK(server.send("GET", maps + "?labelSelector=a%3D%3D%3Db").code == 400);
  CHECK(server.send("GET", maps + "?resourceVersion=abc").code >= 400);
  CHECK(server.send("DELETE", "/api/v1/namespaces/default").code == 403);
}

TEST_CASE("finalizers keep an object until the last is taken off") {
  TestServer server;
  server.send("POST", maps, R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"fin","finalizers":["example.com/keep"]}})");
  CHECK(server.send("DELETE", maps + "/fin").code == 200);
  Answer waiting = server.send("GET", maps + "/fin");
  CHECK(waiting.code == 200);
  CHECK(waiting.body.find("deletionTimestamp") != std::string::npos);
  server.send("PATCH", maps + "/fin", R"({"metadata":{"finalizers":null}})", "application/merge-patch+json");
  CHECK(server.send("GET", maps + "/fin").code == 404);
}

TEST_CASE("repeated gets, lists and watch starts encode nothing again") {
  TestServer server;
  for (int i = 0; i < 20; ++i) server.send("POST", maps, config_map("e" + std::to_string(i)));
  server.send("GET", maps);
  server.send("GET", maps, "", "", "admin-token", "application/vnd.kubernetes.protobuf");
  const auto before = rusternetes::api_server::object_encodings();
  for (int i = 0; i < 300; ++i) {
    REQUIRE(server.send("GET", maps + "/e1").code == 200);
    REQUIRE(server.send("GET", maps).code == 200);
    REQUIRE(server.send("GET", maps, "", "", "admin-token", "application/vnd.kubernetes.protobuf").code == 200);
  }
  for (int i = 0; i < 100; ++i) REQUIRE_FALSE(server.read_until(maps + "?watch=true", "\"e9\"").empty());
  CHECK(rusternetes::api_server::object_encodings() == before);
}

TEST_CASE("discovery answers in both forms, with an ETag") {
  TestServer server;
  CHECK(server.send("GET", "/api").body.find("\"versions\":[\"v1\"]") != std::string::npos);
  CHECK(server.send("GET", "/apis/apps/v1").body.find("\"deployments/scale\"") != std::string::npos);
  Answer aggregated = server.send("GET", "/apis", "", "", "admin-token", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  CHECK(aggregated.body.find("\"APIGroupDiscoveryList\"") != std::string::npos);
  CHECK(aggregated.headers.get("etag"));
}
