#include "bridge_world.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <thread>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "client/object_builder.h"
#include "network/netlink.h"
#include "network/node_sysctls.h"
#include "network/service_drop.h"

#include <linux/sockios.h>  // after net/if.h

namespace rusternetes::host_agent::testing {

using namespace network;

Result<std::string> nft(const NetworkNamespace& where, const std::string& commands) {
  return inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto opened, Nft::open());
    return opened.run(commands);
  });
}

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

namespace {
// A link becomes a port of a bridge.
void add_port(const NetworkNamespace& host, const std::string& bridge, const std::string& link) {
  const auto done = inside(host, [&]() -> Result<> {
    ifreq request{};
    std::strncpy(request.ifr_name, bridge.c_str(), IFNAMSIZ - 1);
    request.ifr_ifindex = static_cast<int>(::if_nametoindex(link.c_str()));
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int failed = ::ioctl(fd, SIOCBRADDIF, &request);
    const int error = errno;
    ::close(fd);
    if (failed) return errno_error("a port of the bridge", error);
    return {};
  });
  REQUIRE(done);
}

void add_address(const NetworkNamespace& where, const char* link, const IpPrefix& address) {
  auto netlink = Netlink::open(where);
  REQUIRE(netlink->ensure_address({(*netlink->find_link(link))->index, address, std::nullopt}));
}
}  // namespace

BridgeNetwork::BridgeNetwork(NetworkNamespace host, std::string bridge, const std::string& network)
    : host_(std::move(host)), bridge_(std::move(bridge)), network_(network) {
  auto netlink = Netlink::open(host_);
  REQUIRE(netlink->create_bridge(bridge_, ""));
  REQUIRE(netlink->set_up(bridge_));
  add_address(host_, bridge_.c_str(), IpPrefix(address(1), 24));
}

NetworkNamespace BridgeNetwork::add_container(int number) {
  const auto made = new_namespace();
  auto outer = Netlink::open(host_), inner = Netlink::open(made);
  const std::string name = bridge_.substr(0, 8) + "-" + std::to_string(number);
  REQUIRE(outer->create_veth({name, "eth0", &made, 0, ""}));
  add_port(host_, bridge_, name);
  REQUIRE(outer->set_up(name));
  REQUIRE(inner->set_up("eth0"));
  add_address(made, "eth0", IpPrefix(address(number), 24));
  REQUIRE(inner->ensure_route({IpPrefix::everything(AF_INET), address(1)}));
  REQUIRE(outer->wait_until_running(name));
  REQUIRE(inner->wait_until_running("eth0"));
  return made;
}

BridgeWorld::BridgeWorld(std::string bridge)
    : network(host, std::move(bridge), "10.214.3"),
      node1(network.add_container(11)),
      node2(network.add_container(12)),
      api(network.add_container(5)) {
  join(host, "up0", *IpPrefix::parse("198.51.100.1/24"), outside, "eth0",
       *IpPrefix::parse("198.51.100.2/24"));
  REQUIRE(Netlink::open(host)->ensure_route({IpPrefix::everything(AF_INET), ip("198.51.100.2")}));
  for (const auto& [node, pod] : {std::pair{&node1, "10.244.1.2/32"}, {&node2, "10.244.2.2/32"}}) {
    REQUIRE(prepare_node(*node));
    add_address(*node, "lo", *IpPrefix::parse(pod));
    add_address(*node, "lo", *IpPrefix::parse("10.96.0.10/32"));
    add_address(*node, "lo", *IpPrefix::parse("172.30.0.10/32"));
  }
  // As the kubelets have them.
  REQUIRE(Netlink::open(node1)->ensure_route({*IpPrefix::parse("10.244.2.0/24"), network.address(12)}));
  REQUIRE(Netlink::open(node2)->ensure_route({*IpPrefix::parse("10.244.1.0/24"), network.address(11)}));
}

HostAgentOptions BridgeWorld::options() const {
  HostAgentOptions out;
  out.cluster = "demo";
  out.gateways = {network.address(1)};
  out.networks = {network.range()};
  out.pod_ranges = {*IpPrefix::parse("10.244.0.0/16")};
  out.service_ranges = {*IpPrefix::parse("10.96.0.0/16")};
  return out;
}

void BridgeWorld::masquerade_as_netavark() const {
  REQUIRE(
      nft(host,
          "table ip nat {\n chain POSTROUTING {\n type nat hook postrouting priority 100; policy accept;\n"
          " ip saddr 10.214.3.0/24 jump NETAVARK\n }\n chain NETAVARK {\n ip daddr 10.214.3.0/24 accept\n"
          " ip daddr != 224.0.0.0/4 masquerade\n }\n}\n"));
}

void BridgeWorld::forbid_forwarding() const {
  REQUIRE(nft(host,
              "table ip filter {\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n"
              " counter jump DOCKER-USER\n }\n"
              " chain DOCKER-USER {\n ip daddr 203.0.113.9 counter drop\n counter return\n }\n}\n"));
}

std::string BridgeWorld::route(const char* range, int protocol) const {
  for (const auto& route : *Netlink::open(host)->routes())
    if (route.destination == *IpPrefix::parse(range) && route.protocol == protocol && route.gateway)
      return route.gateway->to_string();
  return "";
}

bool BridgeWorld::is_dropped(const char* range) const {
  return check_service_drop(host, "demo", {*IpPrefix::parse(range)}).has_value();
}

client::Document node_object(const std::string& name, const IpAddress& address, const std::string& pods,
                             bool is_ready) {
  const std::string ready = is_ready ? "True" : "False";
  return client::ObjectBuilder::from_json(
      apimachinery::core_v1::Node::schema_type(),
      R"({"metadata":{"name":")" + name + R"(","uid":"u"},"spec":{"podCIDRs":[")" + pods +
          R"("]},"status":{"addresses":[{"type":"Hostname","address":")" + name +
          R"("},{"type":"InternalIP","address":")" + address.to_string() +
          R"("}],"conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":")" +
          ready + "\"}]}}");
}

client::Document service_cidr(const std::string& name, const std::string& range,
                              const std::string& condition) {
  const std::string status =
      condition.empty() ? "" : R"(,"status":{"conditions":[{"type":")" + condition + R"(","status":"True"}]})";
  return client::ObjectBuilder::from_json(
      apimachinery::networking_v1::ServiceCIDR::schema_type(),
      R"({"metadata":{"name":")" + name + R"(","uid":"u"},"spec":{"cidrs":[")" + range + "\"]}" + status + "}");
}

Agent::Agent(const NetworkNamespace& host, const HostAgentOptions& options)
    : host_(host),
      options_(options),
      thread_("agent",
              [host] {
                const auto entered = enter(host);
                RN_ASSERT(entered.has_value(), "the host's namespace can be entered");
              }),
      api_(std::make_shared<MemoryApi::Shared>(thread_.executor())) {
  api_->on_patch = [this](const std::string& resource, const std::string& name, const std::string& body) {
    return confirm(resource, name, body);
  };
}

Result<client::Document> Agent::confirm(const std::string& resource, const std::string& name,
                                        const std::string& body) {
  const auto found = api_->kinds["servicecidrs"].objects.find(name);
  if (resource != "servicecidrs/status" || found == api_->kinds["servicecidrs"].objects.end() ||
      body.find("\"type\":\"" + options_.service_cidr_condition + "\",\"status\":\"True\"") == body.npos)
    return Status{400, "BadRequest", body};
  const apimachinery::networking_v1::ServiceCIDR cidr(&found->second.root());
  const std::string range(cidr.spec().cidrs()[0]);
  const bool is_dropped =
      network::check_service_drop(host_, options_.cluster, {*IpPrefix::parse(range)}).has_value();
  confirmed_.push_back(name + (is_dropped ? " dropped" : ""));
  if (confirmed_.size() == 1) return Status{503, "ServiceUnavailable", "not now"};
  auto confirmed = service_cidr(name, range, options_.service_cidr_condition);
  api_->set("servicecidrs", confirmed);
  return confirmed;
}

std::vector<std::string> Agent::confirmed() {
  std::vector<std::string> out;
  on_thread([&] { out = confirmed_; });
  return out;
}

Agent::~Agent() {
  stop();
  thread_.stop();
}

void Agent::on_thread(const std::function<void()>& work) {
  std::promise<void> done;
  asio::post(thread_.executor(), [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void Agent::start() {
  auto keeper = HostKeeper::open(host_, options_);
  REQUIRE(keeper);
  on_thread([&] {
    agent_ =
        std::make_unique<HostAgent>(std::make_unique<MemoryApi>(api_), host_, options_, *std::move(keeper));
    agent_->start();
  });
}

void Agent::stop() {
  if (!agent_) return;
  run_blocking(thread_.executor(), agent_->stop());
  on_thread([&] { agent_.reset(); });
}

void Agent::set(const std::string& resource, const client::Document& object) {
  on_thread([&] { api_->set(resource, object); });
}
void Agent::remove(const std::string& resource, const std::string& name) {
  on_thread([&] { api_->remove(resource, name); });
}
void Agent::forbid(bool is_forbidden) {
  on_thread([&] {
    api_->forbidden.clear();
    if (is_forbidden) api_->forbidden = {"nodes", "servicecidrs"};
  });
}

HostKeeper::Report Agent::report() {
  HostKeeper::Report out;
  on_thread([&] { out = agent_->report(); });
  return out;
}

std::vector<std::string> Agent::events() {
  std::vector<std::string> out;
  on_thread([&] {
    for (const auto& each : api_->events)
      out.emplace_back(apimachinery::core_v1::Event(&each.root()).reason());
  });
  return out;
}

}  // namespace rusternetes::host_agent::testing
