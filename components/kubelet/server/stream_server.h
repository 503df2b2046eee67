#pragma once
// /exec, /attach, /run and /portForward: commands in containers and connections to Pods' ports, with their
// streams (http/streams/). A session outlives the request that began it, and ends when its command or its
// client does.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/worker.h"
#include "engine/runtime.h"
#include "http/server.h"
#include "http/streams/port_forward.h"
#include "http/streams/remote_command.h"
#include "kubelet/pod/pod.h"
#include "kubelet/server/attached.h"

namespace rusternetes::kubelet {

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

class StreamServer {
 public:
  using FindPod = std::function<Document(std::string_view name_space, std::string_view name)>;
  // Everything outlives it. From the executor's thread.
  StreamServer(asio::any_io_executor executor, engine::Runtime& runtime, FindPod find_pod,
               http::StreamTimeouts timeouts = {});
  ~StreamServer();

  // Whether a path ("exec", "default", "web", "c") is one of its own.
  static bool serves(const std::vector<std::string>& path);
  // Answers the request. Who asks may do so already. `keep` lives as long as what the request began.
  Task<> handle(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path, QueryPairs query,
                std::shared_ptr<void> keep = {});
  // Ends all sessions and attachments; what they started in containers runs on.
  Task<> stop();
  std::size_t sessions() const { return tasks_.size(); }

 private:
  Task<> serve_command(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path,
                       QueryPairs query, std::shared_ptr<void> keep);
  Task<> serve_run(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path, QueryPairs query);
  Task<> serve_port_forward(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path,
                            QueryPairs query, std::shared_ptr<void> keep);
  static Task<> keep_until_end(Task<> session, std::shared_ptr<void> keep);
  // The Pod, checked against the UID in a path that has one.
  Result<Document> pod_of(const std::vector<std::string>& path) const;
  // The id of the Pod's running container of that name.
  Task<Result<std::string>> running_container(Document pod, std::string name);
  Task<Result<engine::SandboxStatus>> ready_sandbox(Document pod);

  asio::any_io_executor executor_;
  engine::Runtime& runtime_;
  FindPod find_pod_;
  http::StreamTimeouts timeouts_;
  WorkerThread sockets_{"kubelet-sockets"};
  Attachments attachments_;
  TaskGroup tasks_;
};

// The streams that a request asks for. BadRequest when it asks for none.
Result<http::RemoteCommandOptions> remote_command_options(const QueryPairs& query);
std::vector<std::string> query_values(const QueryPairs& query, std::string_view key);

}  // namespace rusternetes::kubelet
