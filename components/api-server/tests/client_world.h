#pragma once
// One or two api-servers over one store in this process, and clients of both sorts: over HTTP and in-process.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "api-server/instance.h"
#include "apimachinery/api/core_v1.h"
#include "base/task.h"
#include "client/object_builder.h"
#include "client/remote_client.h"
#include "storage/sqlite/sqlite_store.h"

#include "authn_keys.h"

namespace rusternetes::api_server::testing {

using client::ApiClient;

class ClientWorld {
 public:
  ClientWorld() {
    char name[] = "/tmp/rusternetes-client-XXXXXX";
    folder_ = ::mkdtemp(name);
    std::ofstream(folder_ / "tokens.csv") << "admin-token,admin,1,\"system:masters\"\nbob-token,bob,2,devs\n"
                                          << "manager-token,system:kube-controller-manager,3,\n";
    open();
  }
  ~ClientWorld() {
    drop(clients_);
    servers_.clear();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  // The same store behind servers that remember nothing.
  void restart() {
    drop(clients_);
    servers_.clear();
    store_.reset();
    open();
  }
  Instance& add_server() {
    InstanceOptions options;
    options.bind_address = "127.0.0.1";
    options.secure_port = 0;
    options.token_auth_file = folder_ / "tokens.csv";
    options.service_account_signing_key_pem = test_pem("P-256", true);
    servers_.push_back(std::make_unique<Instance>(*store_, options));
    auto started = servers_.back()->start();
    REQUIRE(started);
    return *servers_.back();
  }
  void stop_server(std::size_t index) { servers_[index]->stop(std::chrono::milliseconds(0)); }

  ApiClient& in_process(const std::string& user = "admin") {
    User who;
    who.name = user;
    who.groups = {std::string(group_authenticated)};
    if (user == "admin") who.groups.push_back(std::string(group_masters));
    return keep(servers_[0]->make_client(who, executor(), "test/1"));
  }
  ApiClient& remote(const std::string& user = "admin") { return keep(make_remote(user + "-token")); }
  std::unique_ptr<ApiClient> make_remote(const std::string& token,
                                         std::shared_ptr<client::TokenSource> tokens = nullptr) {
    client::RemoteOptions options;
    for (const auto& server : servers_)
      options.servers.push_back("http://127.0.0.1:" + std::to_string(server->port()));
    if (!tokens) options.bearer_token = [token] { return token; };
    options.tokens = std::move(tokens);
    auto made = client::make_remote_client(executor(), std::move(options), apimachinery::Registry::builtin());
    REQUIRE(made);
    return std::move(*made);
  }
  // Kept until the end; ends on its own thread.
  ApiClient& keep(std::unique_ptr<ApiClient> client) { return *clients_.emplace_back(std::move(client)); }

  // A coroutine's result, waited for on this thread.
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> out;
    run_blocking(executor(), into(std::move(task), out));
    return *std::move(out);
  }
  void wait(Task<> task) { run_blocking(executor(), std::move(task)); }
  // Ends what lives on the thread.
  template <class T>
  void drop(T& what) {
    run_blocking(executor(), clear(what));
  }
  asio::any_io_executor executor() { return thread_.executor(); }

 private:
  void open() {
    storage::sqlite::StoreOptions options;
    options.path = folder_ / "store.db";
    auto store = storage::sqlite::SqliteStore::open(options);
    REQUIRE(store);
    store_ = std::move(*store);
    add_server();
  }
  template <class T>
  static Task<> into(Task<T> task, std::optional<T>& out) {
    out.emplace(co_await std::move(task));
  }
  template <class T>
  static Task<> clear(T& what) {
    what = T{};
    co_return;
  }
  std::filesystem::path folder_;
  EventThread thread_{"test-client"};
  std::unique_ptr<storage::sqlite::SqliteStore> store_;
  std::vector<std::unique_ptr<Instance>> servers_;
  std::vector<std::unique_ptr<ApiClient>> clients_;
};

// The two sorts of clients, one test set (GENERATE picks).
inline ApiClient& client_of(ClientWorld& world, const std::string& sort, const std::string& user = "admin") {
  return sort == "remote" ? world.remote(user) : world.in_process(user);
}

inline constexpr client::Resource config_maps{"", "v1", "configmaps"};

inline apimachinery::Document made_map(const std::string& name, const std::string& more = "") {
  return client::ObjectBuilder::from_json(apimachinery::core_v1::ConfigMap::schema_type(),
                                          R"({"metadata":{"name":")" + name + R"(","labels":{"name":")" +
                                              name + R"("}},"data":{"k":"v"})" + more + "}");
}

}  // namespace rusternetes::api_server::testing
