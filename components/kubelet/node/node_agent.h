#pragma once
// Keeps the Node and its Lease: registers, reports status when something changes, and shows every few seconds that it lives.

#include <functional>
#include <string>

#include "base/worker.h"
#include "client/api_client.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "kubelet/node/node_status.h"

namespace rusternetes::kubelet {

class NodeAgent {
 public:
  // `not_ready` tells why the node cannot run Pods; empty: it can. `on_node` hears of every newer Node, and
  // of the same again while the node cannot run Pods. `worker` reads files.
  NodeAgent(client::ApiClient& client, engine::Runtime& runtime, const KubeletOptions& options, WorkerThread& worker,
            client::EventRecorder& events, std::function<std::string()> not_ready,
            std::function<void(const Document& node)> on_node);
  void start(TaskGroup& tasks, std::uint16_t kubelet_port);
  // Something that status shows may have changed.
  void trigger() { wake_.set(); }
  // The Node as last read or written; empty before it is registered.
  const Document& node() const { return node_; }
  // A newer one from a watch.
  void observe(Document node);
  const Machine& machine() const { return input_.machine; }
  const std::map<std::string, std::string>& allocatable() const { return allocatable_; }
  const std::string& runtime_name() const { return runtime_name_; }
  const engine::RuntimeVersion& runtime_version() const { return version_; }
  // What status shows of an image's id.
  const std::map<std::string, std::string>& image_refs() const { return image_refs_; }
  // Machine and runtime have been read once.
  Task<> wait_until_known();

 private:
  void adopt(Document node);
  Task<Result<void>> read_again();
  Task<> keep_status();
  Task<> keep_lease();
  Task<Result<void>> measure();
  Task<Result<void>> ensure_registered();
  Task<Result<void>> report();
  Task<Result<void>> renew_lease();

  client::ApiClient& client_;
  engine::Runtime& runtime_;
  const KubeletOptions& options_;
  WorkerThread& worker_;
  client::EventRecorder& events_;
  std::function<std::string()> not_ready_;
  std::function<void(const Document& node)> on_node_;
  AsyncEvent wake_, known_, registered_;
  NodeInput input_;
  bool is_known_ = false, is_registered_ = false;
  std::string runtime_name_;
  engine::RuntimeVersion version_;
  std::map<std::string, std::string> allocatable_, image_refs_;
  Document node_;
  bool is_doubtful_ = false;  // whether the api-server has it so
  SteadyTime reported_at_{};
  std::int64_t told_heartbeat_us_ = 0;  // of what was reported last
  Document lease_;
  std::string status_problem_, lease_problem_;  // each is told once
};

// Greater by resourceVersion.
bool is_newer(const Document& object, const Document& than);

}  // namespace rusternetes::kubelet
