#include "controller-manager/service_cidr_plan.h"

#include <algorithm>
#include <set>
#include <thread>

#include "apimachinery/api/core_v1.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using namespace std::chrono_literals;
using apimachinery::Cidr;
using apimachinery::networking_v1::IPAddress;
using apimachinery::networking_v1::ServiceCIDR;

namespace {

constexpr Resource cidrs{"networking.k8s.io", "v1", "servicecidrs"}, services{"", "v1", "services"};

Document cidr_of(const std::string& name, const std::string& blocks) {
  return client::ObjectBuilder::from_json(
      ServiceCIDR::schema_type(),
      R"({"metadata":{"name":")" + name + R"("},"spec":{"cidrs":[)" + blocks + "]}}");
}
Document address_of(const std::string& name, const std::string& by = "ipallocator.k8s.io") {
  return client::ObjectBuilder::from_json(
      IPAddress::schema_type(), R"({"metadata":{"name":")" + name +
                                    R"(","labels":{"ipaddress.kubernetes.io/managed-by":")" + by + "\"}}}");
}
bool may_go(const Document& cidr, const std::vector<Document>& others,
            const std::vector<Document>& addresses) {
  auto all = others;
  all.push_back(cidr);
  return controller_manager::may_go(ServiceCIDR(&cidr.root()), all, addresses);
}
bool has_condition(const Document& cidr, const std::string& status, const std::string& reason,
                   const std::string& message) {
  for (const auto condition : ServiceCIDR(&cidr.root()).status().conditions())
    if (condition.type() == "Ready")
      return condition.status() == status && condition.reason() == reason && condition.message() == message;
  return false;
}

// On the controllers' thread.
class Guard final : public ServiceCidrGuard {
 public:
  Task<Result<void>> stand(std::vector<Cidr> blocks) override {
    if (refuses) co_return Status{409, "AlreadyExists", "the host uses it"};
    for (const auto& block : blocks) stands.insert(block.to_string());
    co_return Result<void>{};
  }
  Task<Result<void>> retain(std::vector<Cidr> all) override {
    kept.clear();
    for (const auto& block : all) kept.insert(block.to_string());
    co_return Result<void>{};
  }
  bool refuses = false;
  std::set<std::string> stands, kept;
};

}  // namespace

TEST_CASE("a ServiceCIDR is ready, and its addresses are given out, once its guard has made it safe") {
  ManualClock clock(std::chrono::system_clock::now());
  ManagerOptions options;
  options.clock = &clock;
  const auto guard = std::make_shared<Guard>();
  guard->refuses = true;
  options.service_cidr_guard = guard;
  ControllerWorld world({"service-cidr-controller"}, options);
  world.start();
  world.create(cidrs, "", R"({"metadata":{"name":"more"},"spec":{"cidrs":["10.200.0.0/24"]}})");
  CHECK(world.comes(events, "default", [](const ControllerWorld::Objects& all) {
    return std::any_of(all.begin(), all.end(), [](const auto& one) {
      return apimachinery::core_v1::Event(&one.second.root()).message() ==
             "The ServiceCIDR can not be used on this node: the host uses it";
    });
  }));
  const auto make = [&] {
    const auto* kind = world.admin().registry()->find_resource("", "v1", "services");
    const auto object = client::ObjectBuilder::from_json(
        *kind->type, R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.200.0.7","ports":[{"port":80}]}})");
    return world.wait(world.admin().create(services, "default", "", "", object, {}));
  };
  CHECK_FALSE(has_condition(world.get(cidrs, "", "more"), "True", "", "Kubernetes Service CIDR is ready"));
  const auto early = make();
  REQUIRE_FALSE(early);
  CHECK(early.error().message.find("the provided network does not match the current range") !=
        std::string::npos);
  world.on_thread([&] { guard->refuses = false; });
  REQUIRE(world.becomes(cidrs, "", "more", [](const Document& cidr) {
    return has_condition(cidr, "True", "", "Kubernetes Service CIDR is ready");
  }));
  CHECK(make());
  world.on_thread([&] {
    CHECK(guard->stands.contains("10.200.0.0/24"));
    CHECK(guard->kept.contains("10.200.0.0/24"));
  });
  // It stands as long as the ServiceCIDR is there at all.
  world.remove(cidrs, "", "more");
  clock.advance(60s);
  CHECK(world.becomes(cidrs, "", "more", [](const Document& cidr) {
    return cidr && ServiceCIDR(&cidr.root()).metadata().has_deletionTimestamp();
  }));
  world.on_thread([&] { CHECK(guard->kept.contains("10.200.0.0/24")); });
  world.remove(services, "default", "s");
  REQUIRE(world.goes(cidrs, "", "more"));
  const auto end = std::chrono::steady_clock::now() + 20s;
  bool is_kept = true;
  while (is_kept && std::chrono::steady_clock::now() < end) {
    world.on_thread([&] { is_kept = guard->kept.contains("10.200.0.0/24"); });
    std::this_thread::sleep_for(5ms);
  }
  CHECK_FALSE(is_kept);
}

TEST_CASE("a ServiceCIDR that somebody else has to confirm is not ready before") {
  ManualClock clock(std::chrono::system_clock::now());
  ManagerOptions options;
  options.clock = &clock;
  options.service_cidr_condition = "example.com/Safe";
  ControllerWorld world({"service-cidr-controller"}, options);
  world.start();
  const auto is_ready = [](const Document& cidr) {
    return has_condition(cidr, "True", "", "Kubernetes Service CIDR is ready");
  };
  const auto confirm = [&](const std::string& name, const std::string& status) {
    REQUIRE(world.wait(world.admin().patch(
        cidrs, "", name, "status", client::PatchType::strategic,
        R"({"status":{"conditions":[{"type":"example.com/Safe","status":")" + status +
            R"(","reason":"Test","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}})",
        {})));
  };
  for (const char* each : {"unsafe", "more"})
    world.create(cidrs, "", std::string(R"({"metadata":{"name":")") + each + R"("},"spec":{"cidrs":["10.)" +
                                (each[0] == 'u' ? "200" : "201") + R"(.0.0/24"]}})");
  confirm("unsafe", "False");
  confirm("more", "True");
  REQUIRE(world.becomes(cidrs, "", "more", is_ready));
  CHECK_FALSE(is_ready(world.get(cidrs, "", "unsafe")));
  confirm("unsafe", "True");
  CHECK(world.becomes(cidrs, "", "unsafe", is_ready));
}

TEST_CASE("a ServiceCIDR may go when no Service's address is in it alone") {
  const Document cidr = cidr_of("a", R"("10.0.0.0/24")");
  CHECK(may_go(cidr, {}, {}));
  CHECK_FALSE(may_go(cidr, {}, {address_of("10.0.0.5")}));
  CHECK(may_go(cidr, {}, {address_of("10.0.1.5")}));
  CHECK(may_go(cidr, {}, {address_of("10.0.0.5", "somebody")}));
  CHECK(may_go(cidr, {}, {address_of("10.0.0.0"), address_of("10.0.0.255")}));  // never given out
  CHECK(may_go(cidr, {cidr_of("b", R"("10.0.0.0/16")")}, {address_of("10.0.0.5")}));
  CHECK(may_go(cidr, {cidr_of("b", R"("10.0.0.0/28")")}, {address_of("10.0.0.5")}));
  CHECK_FALSE(may_go(cidr, {cidr_of("b", R"("10.0.0.0/28")")}, {address_of("10.0.0.25")}));
  const Document dual = cidr_of("d", R"("10.0.0.0/24","fd00::/112")");
  CHECK_FALSE(may_go(dual, {cidr_of("b", R"("10.0.0.0/16")")}, {address_of("fd00::5")}));
  CHECK(may_go(dual, {cidr_of("b", R"("10.0.0.0/16")")}, {address_of("10.0.0.5")}));
}

TEST_CASE("a ServiceCIDR becomes ready, and stays while a Service has an address of it") {
  ManualClock clock(std::chrono::system_clock::now());
  ManagerOptions options;
  options.clock = &clock;
  ControllerWorld world({"service-cidr-controller"}, options);
  world.start();
  world.create(cidrs, "", R"({"metadata":{"name":"more"},"spec":{"cidrs":["10.200.0.0/24"]}})");
  CHECK(world.becomes(cidrs, "", "more", [](const Document& cidr) {
    const auto finalizers = ServiceCIDR(&cidr.root()).metadata().finalizers();
    return finalizers.size() == 1 && finalizers[0] == "networking.k8s.io/service-cidr-finalizer" &&
           has_condition(cidr, "True", "", "Kubernetes Service CIDR is ready");
  }));
  world.create(services, "default",
               R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.200.0.7","ports":[{"port":80}]}})");
  world.remove(cidrs, "", "more");
  CHECK(world.becomes(cidrs, "", "more", [](const Document& cidr) {
    return has_condition(cidr, "False", "Terminating",
                         "There are still IPAddresses referencing the ServiceCIDR, please remove them or "
                         "create a new ServiceCIDR");
  }));
  clock.advance(60s);
  SECTION("the Service goes") { world.remove(services, "default", "s"); }
  SECTION("another ServiceCIDR takes over") {
    world.create(cidrs, "", R"({"metadata":{"name":"larger"},"spec":{"cidrs":["10.200.0.0/16"]}})");
  }
  CHECK(world.goes(cidrs, "", "more"));
}

TEST_CASE("a ServiceCIDR that nothing holds goes after the grace in which it may still be given out of") {
  ManagerOptions options;
  ManualClock clock(std::chrono::system_clock::now());
  options.clock = &clock;
  ControllerWorld world({"service-cidr-controller"}, options);
  world.start();
  world.create(cidrs, "", R"({"metadata":{"name":"more"},"spec":{"cidrs":["10.200.0.0/24"]}})");
  REQUIRE(world.becomes(cidrs, "", "more", [](const Document& cidr) {
    return has_condition(cidr, "True", "", "Kubernetes Service CIDR is ready");
  }));
  world.remove(cidrs, "", "more");
  clock.advance(5s);
  world.patch(cidrs, "", "more", R"({"metadata":{"labels":{"a":"b"}}})");
  CHECK(world.get(cidrs, "", "more"));
  clock.advance(60s);
  // Makes the controller look, unless it has done so already.
  (void)world.wait(world.admin().patch(cidrs, "", "more", "", client::PatchType::strategic,
                                       R"({"metadata":{"labels":{"a":"c"}}})", {}));
  CHECK(world.goes(cidrs, "", "more"));
}
