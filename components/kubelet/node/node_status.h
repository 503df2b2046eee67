#pragma once
// The Node object as its kubelet writes it: plain functions of what was measured.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apimachinery/document.h"
#include "engine/runtime.h"
#include "kubelet/node/machine.h"
#include "kubelet/options.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

struct NodeInput {
  Machine machine;
  MachineLoad load;
  std::vector<engine::ImageSummary> images;
  std::string runtime_version;  // "podman://4.3.1"
  std::uint16_t kubelet_port = 0;
  std::string not_ready;  // why the node cannot run Pods; empty: it can
  std::int64_t now_us = 0;
};

// Capacity and allocatable, as texts of quantities.
std::map<std::string, std::string> node_capacity(const KubeletOptions& options, const NodeInput& input);
std::map<std::string, std::string> node_allocatable(const KubeletOptions& options, const NodeInput& input);

// A Node to be created: name, labels, annotations and status.
Document new_node(const KubeletOptions& options, const NodeInput& input);
// The Node with the kubelet's labels and annotations; the same document when nothing is missing.
Document with_labels(const Document& node, const KubeletOptions& options, const Machine& machine);
// The Node with its status now. Conditions keep their transition times.
Document with_status(const Document& node, const KubeletOptions& options, const NodeInput& input);
// The Node with its condition Ready false, and everything else as it was: for whoever cannot measure.
Document with_not_ready(const Document& node, const std::string& why, std::int64_t now_us);
// Whether only heartbeat times differ.
bool is_same_but_heartbeats(const Document& before, const Document& after);
// When the condition Ready was last said, in Unix microseconds; 0: never.
std::int64_t ready_heartbeat_us(const Document& node);

}  // namespace rusternetes::kubelet
