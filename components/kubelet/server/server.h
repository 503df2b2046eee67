#pragma once
// The kubelet's own HTTPS server: /healthz, /pods, /containerLogs, metrics, and streams (stream_server.h), for who proves to
// be somebody (client certificate or bearer token) and may (SubjectAccessReview).

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/worker.h"
#include "client/api_client.h"
#include "engine/container_log.h"
#include "http/server.h"
#include "kubelet/options.h"
#include "kubelet/pod/pod.h"
#include "kubelet/server/metrics.h"
#include "kubelet/server/server_auth.h"
#include "kubelet/server/stream_server.h"

namespace rusternetes::kubelet {

class KubeletServer {
 public:
  struct Parts {
    const KubeletOptions& options;
    client::ApiClient& client;
    engine::Runtime& runtime;
    WorkerThread& files;
    std::function<Document(std::string_view name_space, std::string_view name)> find_pod;
    std::function<std::vector<Document>()> list_pods;
    std::function<std::string()> health;
  };
  explicit KubeletServer(Parts parts);
  ~KubeletServer();
  // Takes the listening socket.
  Result<void> start(int socket);
  Task<> stop();
  std::uint16_t port() const { return port_; }
  // Of exec, attach and port-forward.
  std::size_t stream_sessions() const { return streams_.sessions(); }
  // Those who follow its log read to the end and stop.
  void container_ended(const std::string& id);

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  Task<> serve_logs(std::shared_ptr<http::Exchange> exchange, std::string name_space, std::string pod, std::string container,
                    std::map<std::string, std::string> query);
  Task<> serve_metrics(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path, std::map<std::string, std::string> query);
  Task<> serve_pods(std::shared_ptr<http::Exchange> exchange);
  Task<> respond(std::shared_ptr<http::Exchange> exchange, int status, std::string text, std::string type = "text/plain; charset=utf-8");

  Parts parts_;
  ServerAuth auth_;
  MetricsEndpoints metrics_;
  StreamServer streams_;
  std::unique_ptr<http::Server> server_;
  std::uint16_t port_ = 0;
  std::multimap<std::string, engine::ContainerLogStream*> followers_;  // by container id
};

// "/containerLogs/ns/pod/c?tailLines=5": path parts and query, percent-decoded.
struct Target {
  std::vector<std::string> parts;
  std::map<std::string, std::string> query;  // of a name that comes twice, the last
  QueryPairs pairs;                          // all of the query, in its order
};
Target parse_target(std::string_view target);

// The options of a request for logs; a bad number is a BadRequest.
Result<engine::LogOptions> log_options(const std::map<std::string, std::string>& query, SystemTime now);

// Which container's log is asked for: its id without the runtime's prefix. BadRequest in the words that kubectl shows.
Result<std::string> container_to_log(const core_v1::Pod& pod, std::string_view container, bool previous);

}  // namespace rusternetes::kubelet
