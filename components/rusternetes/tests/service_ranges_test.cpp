// ServiceCIDRs of a whole process without an engine, in a network namespace of its own that is the host.

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

#include "apimachinery/api/networking_v1.h"
#include "client/object_builder.h"
#include "client/remote_client.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "network/node_link.h"
#include "network/service_drop.h"
#include "rusternetes/process.h"

using namespace rusternetes;
using apimachinery::Document;
using apimachinery::networking_v1::ServiceCIDR;
using network::IpPrefix;
namespace fs = std::filesystem;

namespace {

constexpr client::Resource cidrs{"networking.k8s.io", "v1", "servicecidrs"};

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

struct World {
  World() {
    char name[] = "/tmp/ranges-test-XXXXXX";
    folder = ::mkdtemp(name);
    options.data_dir = (folder / "data").string();
    options.cluster_name = "ranges-" + std::to_string(::getpid());
    options.node_name = "n1";
    options.secure_port = 0;
    options.engine_socket = (folder / "none.sock").string();
    REQUIRE(complete(options));
  }
  ~World() { fs::remove_all(folder); }
  bool is_dropped(const char* range) const {
    return network::check_service_drop(host, options.cluster_name, {*IpPrefix::parse(range)}).has_value();
  }
  bool is_routed(const char* range) const {
    auto netlink = network::Netlink::open(host);
    const auto link = netlink->find_link(network::node_link_name(options.cluster_name, "n1"));
    const auto routes = netlink->routes();
    return *link && std::ranges::any_of(*routes, [&](const network::Route& route) {
      return route.destination == *IpPrefix::parse(range) && route.index == (*link)->index;
    });
  }
  fs::path folder;
  ProcessOptions options;
  network::NetworkNamespace host = *network::NetworkNamespace::current();
};

class Api {
 public:
  explicit Api(const World& world) {
    auto remote = client::read_kubeconfig(world.options.data_dir + "/kubeconfig");
    REQUIRE(remote);
    auto made =
        client::make_remote_client(thread_.executor(), *std::move(remote), apimachinery::Registry::builtin());
    REQUIRE(made);
    client_ = *std::move(made);
  }
  ~Api() {
    run_blocking(thread_.executor(), close());
    thread_.stop();
  }
  void create(const std::string& name, const std::string& block) {
    auto object = client::ObjectBuilder::from_json(
        ServiceCIDR::schema_type(),
        R"({"metadata":{"name":")" + name + R"("},"spec":{"cidrs":[")" + block + "\"]}}");
    Result<Document> made = internal_error("not run");
    run_blocking(thread_.executor(), put(object, made));
    REQUIRE(made);
  }
  bool is_ready(const std::string& name) {
    bool out = false;
    run_blocking(thread_.executor(), read(name, out));
    return out;
  }
  void remove(const std::string& name) { run_blocking(thread_.executor(), take(name)); }

 private:
  Task<> close() {
    client_.reset();
    co_return;
  }
  Task<> put(Document object, Result<Document>& made) {
    made = co_await client_->create(cidrs, "", "", "", object, {});
  }
  Task<> read(std::string name, bool& out) {
    auto got = co_await client_->get(cidrs, "", name);
    if (!got) co_return;
    for (const auto one : ServiceCIDR(&got->root()).status().conditions())
      out = out || (one.type() == "Ready" && one.status() == "True");
  }
  Task<> take(std::string name) { (void)co_await client_->remove(cidrs, "", name, {}); }
  EventThread thread_{"api-test"};
  std::unique_ptr<client::ApiClient> client_;
};

}  // namespace

TEST_CASE(
    "a ServiceCIDR is ready when the host drops and routes it, also after a restart, and leaves nothing") {
  const auto own = network::NetworkNamespace::create();
  if (!own) {
    std::cout << "SKIPPED: no network namespace can be made here\n";
    return;
  }
  const auto ran = network::inside_thread(*own, []() -> Result<> {
    World world;
    std::ostringstream output;
    auto* const before = std::cout.rdbuf(output.rdbuf());
    {
      Process process(world.options);
      REQUIRE(process.start());
      Api api(world);
      CHECK_FALSE(world.is_dropped("172.30.0.0/24"));
      api.create("more", "172.30.0.0/24");
      api.create("taken", "10.213.0.0/30");  // the link's own addresses
      CHECK(eventually([&] { return api.is_ready("more"); }));
      CHECK(world.is_dropped("172.30.0.0/24"));
      CHECK(world.is_routed("172.30.0.0/24"));
      CHECK_FALSE(api.is_ready("taken"));
      CHECK_FALSE(world.is_dropped("10.213.0.0/30"));
      process.stop();
      CHECK_FALSE(world.is_dropped("172.30.0.0/24"));  // as by hand all goes
    }
    Process process(world.options);
    REQUIRE(process.start());
    CHECK(world.is_dropped("172.30.0.0/24"));  // before the node begins
    CHECK(world.is_routed("172.30.0.0/24"));
    Api api(world);
    api.remove("more");
    CHECK(
        eventually([&] { return !world.is_routed("172.30.0.0/24") && !world.is_dropped("172.30.0.0/24"); }));
    CHECK(world.is_dropped("10.96.0.0/16"));
    CHECK(world.is_routed("10.96.0.0/16"));
    process.stop();
    std::cout.rdbuf(before);
    return {};
  });
  CHECK(ran);
}
