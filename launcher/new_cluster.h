#pragma once
// What a cluster that is to be is made of: what flags and file ask for, and what is chosen for the rest.

#include <chrono>
#include <map>
#include <string>

#include "launcher/addresses.h"
#include "launcher/config_file.h"
#include "launcher/ports/engine_port.h"
#include "launcher/session.h"

namespace rusternetes::launcher {

// What flags and file ask for, before the host is looked at.
struct ClusterRequest {
  ConfigFile config;  // of --config; empty without
  AddressRequest addresses;
  std::string mode;
  bool is_highly_available = false;
  std::string registry;
  std::map<std::string, std::string> images;  // component -> reference
  std::string engine;
  std::string node_network;
  std::string key_algorithm;
  bool has_network_policy = true;
  std::chrono::milliseconds wait{};
};

// Those of `create` that say what the cluster is; each has its field in the file.
std::vector<Flag> cluster_flags();

// Reads --config, of which flags and the argument take precedence, into the invocation's flags and name, and
// then those. BadRequest, ConfigBroken, InvalidName, NotFound.
Result<ClusterRequest> read_request(Invocation& invocation);

// ClusterExists, with the first of what was asked for that is otherwise in the cluster. What was not asked
// for does not count.
Result<> check_is_same(const Invocation& invocation, const ClusterRequest& request,
                       const ClusterSettings& settings);

// NotRoot, BinaryMissing, PathTooLong.
Result<> check_host(Invocation& invocation, const std::string& mode);
// An engine that answers, of that kind if it is not empty, or a Podman of the cluster's own.
Result<EngineChoice> choose_engine(Invocation& invocation, const std::string& kind);
// Nothing of the name may be around, whichever home it came from: names of links, rules and containers carry
// it. ClusterExists, FolderInTheWay.
Result<> check_is_new(Invocation& invocation, Session& session, const EngineChoice& engine);

// What a new cluster runs: this release. BinaryMissing.
Result<> choose_release(const Invocation& invocation, ClusterSettings& settings);
// What --image says: component -> reference. BadRequest.
Result<std::map<std::string, std::string>> image_flags(const Invocation& invocation);
// The components' images, into `settings`: as the user says, from a registry, or made of the programs. BadRequest,
// BinaryMissing, EtcdMissing.
Result<> choose_images(Invocation& invocation, const std::string& registry,
                       const std::map<std::string, std::string>& images, ClusterSettings& settings);

// Chooses engine, addresses and images; looks only. Nothing of the name may be around: ClusterExists,
// FolderInTheWay.
Result<ClusterSettings> choose_settings(Invocation& invocation, Session& session,
                                        const ClusterRequest& request);

}  // namespace rusternetes::launcher
