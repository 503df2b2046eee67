// What others wrote past us is put right: states are written straight into the store.

#include "api-server/allocation_repair_plan.h"

#include <fmt/format.h>

#include <future>
#include <thread>

#include "api-server/storage_codec.h"
#include "api-server/strategy/service_allocation.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/edit.h"
#include "client/object_builder.h"
#include "server_test_support.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
using api_server::testing::Answer;
using api_server::testing::TestServer;
using apimachinery::Document;

namespace {

const std::string services = "/api/v1/namespaces/default/services";
const std::string addresses = "/apis/networking.k8s.io/v1/ipaddresses";
const std::string events = "/api/v1/namespaces/default/events";
constexpr std::int64_t now_us = 1'700'000'000'000'000;

EntryPtr entry(const apimachinery::Type& type, const std::string& key, const std::string& json) {
  static storage::Revision revision = 1;
  return EntryPtr(new ObjectEntry(key, ++revision, client::ObjectBuilder::from_json(type, json)));
}
// spec: what follows in it.
EntryPtr service_entry(const std::string& name, const std::string& spec) {
  return entry(
      apimachinery::core_v1::Service::schema_type(), "default/" + name,
      fmt::format(
          R"({{"metadata":{{"name":"{}","namespace":"default","creationTimestamp":"2023-01-01T00:00:00Z"}},"spec":{{{}}}}})",
          name, spec));
}
EntryPtr with_address(const std::string& name, const std::string& address) {
  return service_entry(name, fmt::format(R"("clusterIP":"{0}","clusterIPs":["{0}"])", address));
}
EntryPtr address_entry(const std::string& address, const std::string& service,
                       const std::string& created = "2023-01-01T00:00:00Z",
                       const std::string& resource = "services",
                       const std::string& by = "ipallocator.k8s.io") {
  return entry(
      apimachinery::networking_v1::IPAddress::schema_type(), address,
      fmt::format(
          R"({{"metadata":{{"name":"{}","creationTimestamp":"{}","labels":{{"ipaddress.kubernetes.io/ip-family":"{}","ipaddress.kubernetes.io/managed-by":"{}"}}}},
      "spec":{{"parentRef":{{"resource":"{}","namespace":"default","name":"{}"}}}}}})",
          address, created, address.find(':') == std::string::npos ? "IPv4" : "IPv6", by, resource, service));
}
Snapshot snapshot(std::vector<EntryPtr> entries) {
  Snapshot out;
  for (auto& one : entries) out.map = out.map.put(std::move(one));
  return out;
}
const Snapshot& cidrs() {
  static const Snapshot all = snapshot(
      {entry(apimachinery::networking_v1::ServiceCIDR::schema_type(), "kubernetes",
             R"({"metadata":{"name":"kubernetes"},"spec":{"cidrs":["10.96.0.0/16","fd00::/112"]}})")});
  return all;
}
AddressPlan planned(std::vector<EntryPtr> held_by, std::vector<EntryPtr> held) {
  return plan_address_repairs(snapshot(std::move(held_by)), snapshot(std::move(held)), cidrs(), now_us);
}
using Action = AddressRepair::Action;

bool comes(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class Repaired : public TestServer {
 public:
  explicit Repaired(std::chrono::milliseconds interval = std::chrono::hours(1))
      : TestServer(with(interval)) {}
  static InstanceOptions with(std::chrono::milliseconds interval) {
    InstanceOptions options;
    options.allocation_repair.interval = interval;
    options.allocation_repair.settle = std::chrono::milliseconds(10);
    return options;
  }
  void write(storage::TxnRequest request) {
    std::promise<bool> done;
    store().txn(std::move(request), [&](Result<storage::TxnResponse> response) {
      done.set_value(response && response->succeeded);
    });
    REQUIRE(done.get_future().get());
  }
  void erase(const std::string& key) {
    storage::DeleteRequest remove;
    remove.key = key;
    storage::TxnRequest request;
    request.success.emplace_back(std::move(remove));
    write(std::move(request));
  }
  void put(const std::string& key, std::shared_ptr<const std::string> value) {
    storage::PutRequest put;
    put.key = key;
    put.value = std::move(value);
    storage::TxnRequest request;
    request.success.emplace_back(std::move(put));
    write(std::move(request));
  }
  void put_address(const EntryPtr& address) {
    const auto& kind = *apimachinery::Registry::builtin()->find_kind("networking.k8s.io/v1", "IPAddress");
    put(storage_key(kind, "", address->key), encode_for_storage(kind, address->document.root()));
  }
  void make(const std::string& name, const std::string& spec) {
    REQUIRE(send("POST", services,
                 fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"ports":[{{"port":80}}],{}}}}})", name,
                             spec))
                .code == 201);
  }
  std::string holder(const std::string& address) {
    const Answer answer = send("GET", addresses + "/" + address);
    if (answer.code != 200) return "";
    const auto at = answer.body.find(R"("parentRef":)");
    return answer.body.substr(at, answer.body.find('}', at) - at);
  }
  bool is_held_by(const std::string& address, const std::string& service) {
    return comes([&] {
      return holder(address).find(fmt::format(R"("resource":"services","namespace":"default","name":"{}")",
                                              service)) != std::string::npos;
    });
  }
  bool has_event(const std::string& reason, const std::string& message) {
    return comes([&] {
      const std::string body = send("GET", events).body;
      return body.find(fmt::format(R"("reason":"{}","message":"{}")", reason, message)) != std::string::npos;
    });
  }
  NodePortSet ports() {
    auto range = store().range({.key = std::string(node_port_range_key)});
    REQUIRE(range);
    if (range->kvs.empty()) return {};
    apimachinery::Arena arena;
    const auto registry = apimachinery::Registry::builtin();
    auto object = decode_from_storage(arena, *range->kvs[0].value,
                                      *registry->find_kind("v1", "RangeAllocation"), *registry);
    REQUIRE(object);
    return read_node_ports(apimachinery::core_v1::RangeAllocation(&*object).data());
  }
};
std::size_t bit(int port) { return static_cast<std::size_t>(port - node_port_first); }

}  // namespace

TEST_CASE("what changes no address and nobody who holds one starts no repair") {
  const auto service = [](const std::string& spec, const std::string& more = "") {
    return entry(
        apimachinery::core_v1::Service::schema_type(), "default/a",
        fmt::format(
            R"({{"metadata":{{"name":"a","namespace":"default"{}}},"spec":{{{}}},"status":{{"loadBalancer":{{"ingress":[{{"ip":"1.2.3.{}"}}]}}}}}})",
            more, spec, more.size()));
  };
  const EntryPtr one = service(R"("clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"])");
  CHECK(concerns_addresses("services", nullptr, one, false));
  CHECK(concerns_addresses("services", one, one, true));
  CHECK_FALSE(
      concerns_addresses("services", one,
                         service(R"("clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"selector":{"a":"b"})",
                                 R"(,"labels":{"a":"b"})"),
                         false));
  CHECK(concerns_addresses("services", one, service(R"("clusterIP":"10.96.0.2","clusterIPs":["10.96.0.2"])"),
                           false));
  CHECK(concerns_addresses(
      "services", one, service(R"("clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00::1"])"), false));
  CHECK(concerns_addresses("services", one, service(R"("clusterIP":"","externalName":"x")"), false));
  const EntryPtr held = address_entry("10.96.0.1", "a");
  CHECK_FALSE(concerns_addresses("ipaddresses", held, address_entry("10.96.0.1", "a", "2024-01-01T00:00:00Z"),
                                 false));
  CHECK(concerns_addresses("ipaddresses", held, address_entry("10.96.0.1", "b"), false));
  CHECK(concerns_addresses("ipaddresses", held,
                           address_entry("10.96.0.1", "a", "2023-01-01T00:00:00Z", "pods"), false));
  CHECK(concerns_addresses("ipaddresses", held,
                           address_entry("10.96.0.1", "a", "2023-01-01T00:00:00Z", "services", "me"), false));
  const auto cidr = [](const std::string& blocks, const std::string& status) {
    return entry(
        apimachinery::networking_v1::ServiceCIDR::schema_type(), "more",
        fmt::format(
            R"({{"metadata":{{"name":"more"}},"spec":{{"cidrs":[{}]}},"status":{{"conditions":[{{"type":"Ready","status":"{}"}}]}}}})",
            blocks, status));
  };
  CHECK_FALSE(concerns_addresses("servicecidrs", cidr(R"("10.0.0.0/24")", "False"),
                                 cidr(R"("10.0.0.0/24")", "True"), false));
  CHECK(concerns_addresses("servicecidrs", cidr(R"("10.0.0.0/24")", "True"),
                           cidr(R"("10.0.0.0/24","fd00::/112")", "True"), false));
}

TEST_CASE("Services and addresses that agree need no repair, nor do addresses that others keep") {
  const auto plan =
      planned({with_address("a", "10.96.0.5"),
               service_entry("headless", R"("clusterIP":"None","clusterIPs":["None"])"),
               service_entry("name", R"("type":"ExternalName")"), with_address("six", "fd00::5")},
              {address_entry("10.96.0.5", "a"), address_entry("fd00::5", "six"),
               address_entry("10.96.0.9", "none", "2023-01-01T00:00:00Z", "gateways", "somebody.else")});
  CHECK(plan.repairs.empty());
  CHECK(plan.reports.empty());
  CHECK(plan.look_again_us == 0);
}

TEST_CASE("a Service may write its IPv4 address with zeros before it or mapped into IPv6") {
  const auto text = GENERATE(as<std::string>{}, "010.96.0.9", "::ffff:10.96.0.9", "::FFFF:0A60:9");
  const auto plan = planned({with_address("a", text)}, {address_entry("10.96.0.9", "a")});
  CHECK(plan.repairs.empty());
  CHECK(plan.reports.empty());
}

TEST_CASE("an address that nobody holds, or somebody else by mistake, becomes its Service's") {
  SECTION("nobody") {
    const auto plan = planned({with_address("a", "10.96.0.5")}, {});
    REQUIRE(plan.repairs.size() == 1);
    CHECK(plan.repairs[0].action == Action::create);
    CHECK(plan.repairs[0].report.reason == "ClusterIPNotAllocated");
    CHECK(plan.repairs[0].report.message == "Cluster IP [IPv4]: 10.96.0.5 is not allocated; repairing");
  }
  SECTION("something else, or a Service that is not there or has another") {
    const auto held = GENERATE(address_entry("10.96.0.5", "a", "2023-01-01T00:00:00Z", "gateways"),
                               address_entry("10.96.0.5", "gone"), address_entry("10.96.0.5", "b"));
    const auto plan = planned({with_address("a", "10.96.0.5"), with_address("b", "10.96.0.6")},
                              {held, address_entry("10.96.0.6", "b")});
    REQUIRE(plan.repairs.size() == 1);
    CHECK(plan.repairs[0].action == Action::hand_over);
    CHECK(plan.repairs[0].owner->key == "default/a");
    CHECK(plan.repairs[0].report.message ==
          "the ClusterIP [IPv4]: 10.96.0.5 for Service default/a has a wrong reference; repairing");
    CHECK(plan.reports.empty());
  }
  SECTION("wrong labels") {
    const auto plan =
        planned({with_address("a", "10.96.0.5")},
                {address_entry("10.96.0.5", "a", "2023-01-01T00:00:00Z", "services", "nobody")});
    REQUIRE(plan.repairs.size() == 1);
    CHECK(plan.repairs[0].action == Action::hand_over);
    CHECK(plan.repairs[0].report.reason.empty());
  }
}

TEST_CASE("what only people can mend is told") {
  const auto plan = planned(
      {with_address("a", "10.96.0.5"), with_address("b", "10.96.0.5"), with_address("out", "10.97.0.1"),
       with_address("own", "10.96.0.0"), with_address("bad", "10.96.0")},
      {address_entry("10.96.0.5", "a")});
  CHECK(plan.repairs.empty());
  std::map<std::string, std::string> told;
  for (const auto& report : plan.reports) told[report.about->key] = report.reason + ": " + report.message;
  CHECK(told == std::map<std::string, std::string>{
                    {"default/b",
                     "ClusterIPAlreadyAllocated: Cluster IP [IPv4]:10.96.0.5 was assigned to multiple "
                     "services; please recreate service"},
                    {"default/out",
                     "ClusterIPOutOfRange: Cluster IP [IPv4]: 10.97.0.1 is not within any configured Service "
                     "CIDR; please recreate service"},
                    {"default/own",
                     "ClusterIPOutOfRange: Cluster IP [IPv4]: 10.96.0.0 is not within any configured Service "
                     "CIDR; please recreate service"},
                    {"default/bad",
                     "ClusterIPNotValid: Cluster IP 10.96.0 is not a valid IP; please recreate Service"}});
}

TEST_CASE("an address without its Service goes when it is older than a request may last") {
  const std::string created = "2023-11-14T22:13:20Z";  // now
  CHECK(planned({}, {address_entry("10.96.0.5", "gone", created)}).repairs.empty());
  CHECK(planned({}, {address_entry("10.96.0.5", "gone", created)}).look_again_us == now_us + 60'000'001);
  CHECK(planned({}, {address_entry("10.96.0.5", "gone", "2023-11-14T22:12:20Z")}).repairs.empty());
  const auto plan = planned({}, {address_entry("10.96.0.5", "gone", "2023-11-14T22:12:19Z")});
  REQUIRE(plan.repairs.size() == 1);
  CHECK(plan.repairs[0].action == Action::remove);
  CHECK(plan.repairs[0].report.message ==
        "IPAddress: 10.96.0.5 for Service default/gone appears to have leaked: cleaning up");
  // Of a Service that has another one by now: five seconds.
  const auto other = [](const std::string& made) {
    return planned({with_address("a", "10.96.0.6")},
                   {address_entry("10.96.0.6", "a"), address_entry("10.96.0.5", "a", made)});
  };
  CHECK(other("2023-11-14T22:13:16Z").repairs.empty());
  REQUIRE(other("2023-11-14T22:13:10Z").repairs.size() == 1);
  CHECK(other("2023-11-14T22:13:10Z").repairs[0].report.reason == "IPAddressWrongReference");
  const auto changed = planned({}, {address_entry("10.96.0.5", "x", created, "pods")});
  REQUIRE(changed.repairs.size() == 1);
  CHECK(changed.repairs[0].report.message ==
        "IPAddress 10.96.0.5 appears to have been modified, not referencing a Service "
        "&ParentReference{Group:,Resource:pods,Namespace:default,Name:x,}: cleaning up");
}

TEST_CASE("ports of Services are taken, and a port of none is given back in the third round") {
  NodePortSet stored;
  stored[bit(30001)] = stored[bit(30002)] = true;
  const Snapshot all = snapshot(
      {service_entry(
           "a",
           R"("ports":[{"port":1,"nodePort":30001,"protocol":"TCP"},{"port":1,"nodePort":30001,"protocol":"UDP"}],"healthCheckNodePort":30005)"),
       service_entry(
           "b",
           R"("ports":[{"port":1,"nodePort":30001,"protocol":"TCP"},{"port":2,"nodePort":20000,"protocol":"TCP"}])")});
  LeakedPorts leaks;
  for (int round = 1; round <= 3; ++round) {
    const PortPlan plan = plan_port_repairs(stored, all, leaks);
    CHECK(plan.ports[bit(30001)]);
    CHECK(plan.ports[bit(30005)]);
    CHECK(plan.ports[bit(30002)] == (round < 3));
    CHECK(plan.ports.count() == (round < 3 ? 3 : 2));
    leaks = plan.leaks;
    std::set<std::string> told;
    for (const auto& report : plan.reports)
      told.insert(report.about->key + " " + report.reason + ": " + report.message);
    CHECK(told == std::set<std::string>{"default/a PortNotAllocated: Port 30005 is not allocated; repairing",
                                        "default/b PortAlreadyAllocated: Port 30001 was assigned to multiple "
                                        "services; please recreate service",
                                        "default/b PortOutOfRange: Port 20000 is not within the port range "
                                        "30000-32767; please recreate service"});
  }
  CHECK(leaks.empty());
  // One that is used again meanwhile is no leak, and begins anew.
  leaks = plan_port_repairs(stored, all, {}).leaks;
  const Snapshot used =
      snapshot({service_entry("c", R"("ports":[{"port":1,"nodePort":30002,"protocol":"TCP"}])")});
  CHECK_FALSE(plan_port_repairs(stored, used, leaks).leaks.contains(bit(30002)));
}

TEST_CASE("an IPAddress that was lost or points elsewhere is its Service's again, and people are told") {
  Repaired server;
  server.make("a", R"("clusterIP":"10.96.7.7")");
  REQUIRE(server.is_held_by("10.96.7.7", "a"));
  server.erase("/registry/ipaddresses/10.96.7.7");
  CHECK(server.is_held_by("10.96.7.7", "a"));
  CHECK(
      server.has_event("ClusterIPNotAllocated", "Cluster IP [IPv4]: 10.96.7.7 is not allocated; repairing"));
  server.put_address(address_entry("10.96.7.7", "other"));
  CHECK(server.is_held_by("10.96.7.7", "a"));
  CHECK(server.has_event(
      "ClusterIPNotAllocated",
      "the ClusterIP [IPv4]: 10.96.7.7 for Service default/a has a wrong reference; repairing"));
  CHECK(server
            .send("POST", services,
                  R"({"metadata":{"name":"b"},"spec":{"clusterIP":"10.96.7.7","ports":[{"port":80}]}})")
            .code == 422);
}

TEST_CASE("an old IPAddress without its Service goes, a young one and one of somebody else stay") {
  Repaired server;
  server.put_address(address_entry("10.96.7.9", "gone", "2199-01-01T00:00:00Z"));
  server.put_address(
      address_entry("10.96.7.10", "gone", "2023-01-01T00:00:00Z", "services", "somebody.else"));
  server.put_address(address_entry("10.96.7.8", "gone"));
  CHECK(comes([&] { return server.holder("10.96.7.8").empty(); }));
  CHECK(
      server.has_event("IPAddressNotAllocated",
                       "IPAddress: 10.96.7.8 for Service default/gone appears to have leaked: cleaning up"));
  CHECK_FALSE(server.holder("10.96.7.9").empty());
  CHECK_FALSE(server.holder("10.96.7.10").empty());
}

TEST_CASE("two Services of one address: the one that holds it keeps it") {
  Repaired server;
  server.make("a", R"("clusterIP":"10.96.7.7")");
  const auto& kind = *apimachinery::Registry::builtin()->find_kind("v1", "Service");
  const EntryPtr second = with_address("b", "10.96.7.7");
  server.put("/registry/services/specs/default/b", encode_for_storage(kind, second->document.root()));
  CHECK(server.has_event(
      "ClusterIPAlreadyAllocated",
      "Cluster IP [IPv4]:10.96.7.7 was assigned to multiple services; please recreate service"));
  CHECK(server.is_held_by("10.96.7.7", "a"));
  CHECK(server.send("DELETE", services + "/a").code == 200);
  CHECK(server.is_held_by("10.96.7.7", "b"));
}

TEST_CASE("a server that starts repairs what it finds: the range of node ports was lost") {
  Repaired server;
  server.make("a", R"("type":"NodePort","clusterIP":"10.96.7.7")");
  const NodePortSet before = server.ports();
  REQUIRE(before.count() == 1);
  server.erase(std::string(node_port_range_key));
  server.restart();
  CHECK(comes([&] { return server.ports() == before; }));
  CHECK(server.has_event("PortNotAllocated",
                         fmt::format("Port {} is not allocated; repairing",
                                     node_port_first + static_cast<int>(before._Find_first()))));
}

TEST_CASE("a port that no Service has is free again after some rounds, and one in use never is") {
  Repaired server(std::chrono::milliseconds(50));
  server.make("a", R"("type":"NodePort")");
  NodePortSet ports = server.ports();
  const std::size_t used = ports._Find_first(), leaked = used == bit(30500) ? bit(30501) : bit(30500);
  ports[leaked] = true;
  server.put(std::string(node_port_range_key),
             range_of_node_ports(*apimachinery::Registry::builtin(), ports));
  CHECK(comes([&] { return !server.ports()[leaked]; }));
  CHECK(server.ports()[used]);
}

TEST_CASE("while Services come and go at once nothing that they hold is repaired away") {
  Repaired server(std::chrono::milliseconds(1));
  for (int i = 0; i < 60; ++i) {
    server.make(fmt::format("s{}", i), R"("type":"NodePort")");
    if (i % 3 == 0) REQUIRE(server.send("DELETE", services + fmt::format("/s{}", i)).code == 200);
  }
  const std::string all = server.send("GET", services).body;
  std::set<std::string> ips;
  NodePortSet used;
  for (std::size_t at = 0; (at = all.find(R"("clusterIP":")", at)) != std::string::npos;) {
    at += 13;
    ips.insert(all.substr(at, all.find('"', at) - at));
  }
  for (std::size_t at = 0; (at = all.find(R"("nodePort":)", at)) != std::string::npos;)
    used[bit(std::atoi(all.c_str() + (at += 11)))] = true;
  CHECK(used.count() == 40);
  CHECK(comes([&] { return server.ports() == used; }));
  for (const auto& ip : ips) CHECK_FALSE(server.holder(ip).empty());
  CHECK(server.send("GET", events).body.find("repairing") == std::string::npos);
}

TEST_CASE("the ServiceCIDR of the flag is ready, and comes again when it has gone") {
  Repaired server;
  const std::string path = "/apis/networking.k8s.io/v1/servicecidrs/kubernetes";
  const auto is_ready = [&] {
    const std::string body = server.send("GET", path).body;
    return body.find(R"("type":"Ready","status":"True")") != std::string::npos &&
           body.find("Kubernetes default Service CIDR is ready") != std::string::npos &&
           body.find("10.96.0.0/16") != std::string::npos;
  };
  CHECK(comes(is_ready));
  server.erase("/registry/servicecidrs/kubernetes");
  CHECK(comes(is_ready));
}
