#pragma once
// What is kept about a cluster: chosen once by `create`, read by every later command, and the arguments of
// its plans.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/network_port.h"
#include "state/state.h"

namespace rusternetes::launcher {

// A node that is a container of its own.
struct NodeSettings {
  std::string name;     // of its Node object, and of its container behind the cluster's
  std::string address;  // on the cluster's network
  bool operator==(const NodeSettings&) const = default;
};

// What a cluster ran before its last upgrade, for `rollback`.
struct PreviousRelease {
  std::string release, kubernetes, program, manifest;  // as in ClusterSettings
  std::map<std::string, std::string> images;
  std::string registry;
  std::string snapshot;  // the id of what was taken before the upgrade; empty: none was
  std::string shape;     // what the manifest was made for: shape_of()
  bool operator==(const PreviousRelease&) const = default;
};

// Snapshots that are taken by themselves (schedule/schedule.h).
struct SnapshotSchedule {
  std::chrono::seconds every{0};
  int keep = 0;                 // of those that it took
  std::string passphrase_file;  // empty: they are not encrypted
  bool operator==(const SnapshotSchedule&) const = default;
};

struct ClusterSettings {
  std::string name;
  std::string mode = "all-in-one";  // or "sqlite", "etcd": a container for each component
  std::string node_network = "own";  // "own" or "host"
  std::string node_name;
  std::string key_algorithm = "ecdsa";
  EngineChoice engine;
  std::string bind_address = "127.0.0.1";
  std::uint16_t api_port = 0;
  std::vector<std::string> pod_cidrs;      // at most one a family
  std::vector<std::string> service_cidrs;  // at most one a family
  std::vector<std::string>
      node_links;  // blocks of which host and node have an address; none on node_network host
  std::vector<std::string> host_addresses;
  std::vector<std::string> node_addresses;
  std::vector<std::string> published_ports;  // "HOST:NODEPORT", ports of every address of the host
  bool has_network_policy = true;            // whether NetworkPolicies have an effect
  std::string user_kubeconfig;               // the file that the context is merged into
  std::int64_t created_at_ms = 0;
  // Of the modes with containers; empty in the other one, as node_name and node_links are here.
  bool is_highly_available = false;
  std::string network_cidr;         // of the engine's network, an IPv4 /24
  std::string bridge;               // its interface on the host
  std::vector<NodeSettings> nodes;  // in the order in which they were added
  std::string registry;             // where images come from; empty: made of the binaries
  std::map<std::string, std::string> images;  // component -> reference, instead of either
  std::optional<SnapshotSchedule> snapshot_schedule;

  // What it runs. Changed by upgrade and rollback alone.
  std::string release;     // "0.1.0"; empty: made before that was kept
  std::string kubernetes;  // the API level: "v1.35"
  std::string program;     // all-in-one: its own copy of `rusternetes`; empty: the one beside rusternetes-ctl
  // What its containers, or its process, are made of, as another release wrote it: compose YAML, or the words of the
  // process's command in JSON. Empty: as this release makes it.
  std::string manifest;
  std::optional<PreviousRelease> previous;

  bool has_containers() const { return mode != "all-in-one"; }
  bool has_own_node() const { return node_network == "own"; }
  std::string server() const;   // "https://127.0.0.1:6443"
  std::string context() const;  // "rusternetes-NAME"
};

// What images are called that we make and load ourselves; others come from a registry.
inline constexpr std::string_view local_images = "localhost/";

// Mode, nodes and ports: what a manifest is made for.
std::string shape_of(const ClusterSettings& settings);

std::string to_json(const ClusterSettings& settings);
Result<ClusterSettings> settings_from_json(std::string_view text);

// What nobody else may use because of this cluster.
std::vector<state::Reservation> reservations_of(const ClusterSettings& settings);
NodeNetwork node_network_of(const ClusterSettings& settings, const std::string& netns);
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ",");

// "HOST:NODEPORT", two port numbers. BadRequest.
struct PublishedPort {
  std::uint16_t host = 0;
  std::uint16_t node = 0;
};
Result<PublishedPort> parse_published_port(std::string_view text);
// A decimal number from 1 to 65535, or nothing.
std::optional<std::uint16_t> parse_port(std::string_view text);

// A DNS label that begins with a letter, of at most 40 characters, and not a command word.
Result<> check_cluster_name(std::string_view name);

}  // namespace rusternetes::launcher
