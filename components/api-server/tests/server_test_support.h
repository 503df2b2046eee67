#pragma once
// An api-server in this process, on a store in a folder of its own, spoken to over real HTTP.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "api-server/instance.h"
#include "base/task.h"
#include "http/client.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::api_server::testing {

struct Answer {
  int code = 0;
  http::Headers headers;
  std::string body;
};

class TestServer {
 public:
  explicit TestServer(InstanceOptions options = {}) : options_(std::move(options)) {
    char name[] = "/tmp/rusternetes-api-XXXXXX";
    folder_ = ::mkdtemp(name);
    std::ofstream(folder_ / "tokens.csv") << "admin-token,admin,1,\"system:masters\"\nbob-token,bob,2,devs\n";
    start();
  }
  ~TestServer() {
    run([this]() -> Task<> {
      client_.reset();
      co_return;
    });
    instance_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  // Ends the server and starts it again on the same store.
  void restart() {
    instance_.reset();
    store_.reset();
    start();
  }
  Answer send(std::string method, std::string target, std::string body = {}, std::string content_type = "application/json",
              std::string token = "admin-token", std::string accept = "application/json") {
    Answer answer;
    run([&]() -> Task<> {
      http::ClientRequest request;
      request.method = method;
      request.target = target;
      request.body = body;
      if (!body.empty()) request.headers.set("content-type", content_type);
      request.headers.set("accept", accept);
      request.headers.set("user-agent", "test/1");
      if (!token.empty()) request.headers.set("authorization", "Bearer " + token);
      auto response = co_await client_->send(std::move(request));
      if (!response) {
        answer.body = response.error().message;
        co_return;
      }
      answer.code = (*response)->head().status;
      answer.headers = (*response)->head().headers;
      auto text = co_await (*response)->read_all(64 << 20);
      if (text) answer.body = *text;
    });
    return answer;
  }
  // A response that is under way.
  std::unique_ptr<http::ClientResponse> open(std::string target, std::string token) {
    std::unique_ptr<http::ClientResponse> out;
    run([&]() -> Task<> {
      http::ClientRequest request;
      request.target = target;
      request.headers.set("authorization", "Bearer " + token);
      auto response = co_await client_->send(std::move(request));
      if (response) out = std::move(*response);
    });
    REQUIRE(out);
    return out;
  }
  // Reads a stream until `enough` is in it or the deadline is over.
  std::string read_until(std::string target, std::string enough) {
    std::string all;
    run([&]() -> Task<> {
      http::ClientRequest request;
      request.target = target;
      request.headers.set("authorization", "Bearer admin-token");
      auto response = co_await client_->send(std::move(request));
      if (!response) co_return;
      while (all.find(enough) == std::string::npos) {
        auto piece = co_await (*response)->read_some();
        if (!piece || piece->empty()) break;
        all += *piece;
      }
    });
    return all;
  }
  template <class F>
  void run(F body) {
    run_blocking(thread_.executor(), body());
  }
  Instance& instance() { return *instance_; }
  EventThread& thread() { return thread_; }
  storage::Store& store() { return *store_; }

 private:
  void start() {
    storage::sqlite::StoreOptions options;
    options.path = folder_ / "store.db";
    auto store = storage::sqlite::SqliteStore::open(options);
    REQUIRE(store);
    store_ = std::move(*store);
    InstanceOptions instance_options = options_;
    instance_options.bind_address = "127.0.0.1";
    instance_options.secure_port = 0;
    instance_options.token_auth_file = folder_ / "tokens.csv";
    instance_ = std::make_unique<Instance>(*store_, instance_options);
    auto started = instance_->start();
    REQUIRE(started);
    run([this]() -> Task<> {
      auto client = http::Client::create(thread_.executor(), {"http://127.0.0.1:" + std::to_string(instance_->port()), {}});
      if (client) client_ = std::move(*client);
      co_return;
    });
    REQUIRE(client_);
  }
  InstanceOptions options_;
  std::filesystem::path folder_;
  EventThread thread_{"test-client"};
  std::unique_ptr<storage::sqlite::SqliteStore> store_;
  std::unique_ptr<Instance> instance_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace rusternetes::api_server::testing
