// Compose manifests: what is read is all that stands there, and what is not understood is refused.
#include "launcher/manifest/manifest.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::launcher;

namespace {

constexpr const char* small = R"(version: "2.4"
networks:
  cluster:
    name: rusternetes-dev
    driver: bridge
    driver_opts:
      com.docker.network.bridge.name: rn1234
      com.docker.network.driver.mtu: "1400"
    ipam:
      config:
        - subnet: 10.214.0.0/24
          gateway: 10.214.0.1
    labels: {rusternetes.io/cluster: dev}
services:
  api-server:
    image: localhost/rusternetes/api-server:1
    container_name: rusternetes-dev-api-server
    command: ["--etcd-servers", "https://10.214.0.2:2379"]
    networks: {cluster: {ipv4_address: 10.214.0.5}}
    depends_on: [rhino]
    ports: ["127.0.0.1:6443:6443"]
    restart: always
    stop_grace_period: 1m20s
  kubelet:
    image: localhost/rusternetes/kubelet:1
    container_name: rusternetes-dev-kubelet
    network_mode: service:node
    pid: host
    privileged: true
    volumes:
      - {type: bind, source: /var/lib/dev, target: /var/lib/dev, bind: {propagation: rshared}}
      - {type: bind, source: /etc/pki, target: /pki, read_only: true}
  node:
    image: localhost/rusternetes/pause:1
    container_name: rusternetes-dev-node
    hostname: node
    networks: {cluster: {ipv4_address: 10.214.0.16}}
    sysctls: {net.ipv4.ip_forward: "1"}
  rhino:
    image: localhost/rusternetes/rhino:1
    container_name: rusternetes-dev-rhino
    networks: {cluster: {ipv4_address: 10.214.0.2}}
    labels: {rusternetes.io/component: rhino}
)";

std::string with(const std::string& what, const std::string& instead) {
  std::string text = small;
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), instead);
}

std::string refusal(const std::string& text) {
  const auto read = read_manifest(text);
  REQUIRE_FALSE(read);
  CHECK(read.error().is("ManifestBroken"));
  return read.error().message;
}

}  // namespace

TEST_CASE("a manifest is read as it stands") {
  const auto read = read_manifest(small);
  REQUIRE(read);
  REQUIRE(read->networks.size() == 1);
  const auto& network = read->networks[0];
  CHECK(network.name == "rusternetes-dev");
  CHECK(network.subnet == "10.214.0.0/24");
  CHECK(network.gateway == "10.214.0.1");
  CHECK(network.bridge_name == "rn1234");
  CHECK(network.mtu == 1400);
  CHECK(network.labels.at("rusternetes.io/cluster") == "dev");

  const auto* api = read->find("api-server");
  REQUIRE(api);
  CHECK(api->image == "localhost/rusternetes/api-server:1");
  CHECK(api->command == std::vector<std::string>{"--etcd-servers", "https://10.214.0.2:2379"});
  CHECK(api->address == "10.214.0.5");
  REQUIRE(api->ports.size() == 1);
  CHECK(api->ports[0].host_address == "127.0.0.1");
  CHECK(api->ports[0].host_port == 6443);
  CHECK(api->restart == "always");
  CHECK(api->stop_grace == std::chrono::seconds(80));

  const auto* kubelet = read->find("kubelet");
  REQUIRE(kubelet);
  CHECK(kubelet->network_mode == "service:node");
  CHECK(kubelet->pid_mode == "host");
  CHECK(kubelet->is_privileged);
  CHECK(kubelet->restart == "no");
  REQUIRE(kubelet->mounts.size() == 2);
  CHECK(kubelet->mounts[0].propagation == "rshared");
  CHECK_FALSE(kubelet->mounts[0].is_read_only);
  CHECK(kubelet->mounts[1].target == "/pki");
  CHECK(kubelet->mounts[1].is_read_only);
  CHECK(read->find("node")->sysctls.at("net.ipv4.ip_forward") == "1");
  CHECK_FALSE(read->find("nobody"));
}

TEST_CASE("services start after what they depend on and whose network they are in") {
  const auto read = read_manifest(small);
  REQUIRE(read);
  std::vector<std::string> order;
  for (const auto* service : read->start_order()) order.push_back(service->key);
  CHECK(order == std::vector<std::string>{"node", "rhino", "api-server", "kubelet"});
}

TEST_CASE("a manifest that says more than is understood is refused, with the line") {
  CHECK(refusal(with("restart: always", "mem_limit: 1g")) ==
        "the manifest cannot be used: line 22: service api-server has a field \"mem_limit\" that is not "
        "known here");
  CHECK(refusal(with("restart: always", "restart: sometimes"))
            .find("line 22: \"sometimes\" is not one of no, always") != std::string::npos);
  CHECK(refusal(with("type: bind, source: /var/lib/dev", "type: volume, source: /var/lib/dev"))
            .find("\"volume\" is not one of bind") != std::string::npos);
  CHECK(refusal(with("\"127.0.0.1:6443:6443\"", "\"6443:6443\"")).find("is not ADDRESS:PORT:PORT") !=
        std::string::npos);
  CHECK(refusal(with("1m20s", "80")).find("\"80\" lacks its unit, s or m") != std::string::npos);
  CHECK(refusal(with("privileged: true", "privileged: maybe")).find("neither true nor false") !=
        std::string::npos);
  CHECK(refusal(with("version: \"2.4\"", "version: \"3\"")).find("its version is \"3\"") !=
        std::string::npos);
  CHECK(refusal("services: [").find("the manifest is not YAML") == 0);
  CHECK(refusal("[]").find("the manifest is not a mapping") != std::string::npos);
}

TEST_CASE("a manifest that does not hold together is refused") {
  CHECK(refusal(with("service:node", "service:nobody"))
            .find("service kubelet needs service nobody, which is not there") != std::string::npos);
  CHECK(refusal(with("service:node", "bridge")).find("is not one of host, none, service:NAME") !=
        std::string::npos);
  CHECK(refusal(with("networks: {cluster: {ipv4_address: 10.214.0.5}}",
                     "networks: {other: {ipv4_address: 10.214.0.5}}"))
            .find("network other, which is not there") != std::string::npos);
  CHECK(refusal(with("10.214.0.16", "10.214.0.2")).find("two services have the address 10.214.0.2") !=
        std::string::npos);
  CHECK(refusal(with("rusternetes-dev-kubelet", "rusternetes-dev-node"))
            .find("two services have the container_name") != std::string::npos);
  CHECK(refusal(with("    hostname: node", "    depends_on: [kubelet]")).find("in a circle") !=
        std::string::npos);
  CHECK(refusal(with("    network_mode: service:node\n", "")).find("needs either networks or network_mode") !=
        std::string::npos);
}
