#pragma once
// What Podman and Docker do differently, behind one interface: how a request must be made for the same
// outcome, and how its answer reads. Plain functions without I/O (but for a seccomp profile's file), so both
// are tested without an engine.

#include <boost/json/fwd.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/host_facts.h"
#include "engine/std_stream.h"
#include "engine/types.h"

namespace rusternetes::engine {

struct Request {
  std::string method, target, body;
};

class Dialect {
 public:
  virtual ~Dialect() = default;

  // The prefix of the Docker-compatible API: "/v1.41".
  virtual std::string api() const = 0;
  virtual Result<Request> create_container(const ContainerSpec& spec) const = 0;
  virtual Request list_containers(const std::map<std::string, std::string>& labels) const = 0;
  virtual std::vector<ContainerSummary> read_containers(const boost::json::value& answer) const = 0;
  virtual Request inspect_container(std::string_view id) const = 0;
  virtual ContainerDetails read_container(const boost::json::value& answer) const = 0;
  // By force, and with it whatever has joined its namespaces, as far as the engine minds those.
  virtual Request remove_with_dependents(std::string_view id) const = 0;
  virtual Request update_resources(std::string_view id, const Resources& resources) const = 0;
  virtual Request create_network(const NetworkSpec& spec) const = 0;
  virtual Request inspect_network(std::string_view name) const = 0;
  virtual Request list_networks(const std::map<std::string, std::string>& labels) const = 0;
  virtual NetworkDetails read_network(const boost::json::value& network) const = 0;
  // An error answer to a Status with a reason of types.h.
  virtual Status map_error(int status, std::string message) const = 0;
  // An event of the stream, in Docker's words.
  virtual EngineEvent read_event(const boost::json::value& event) const = 0;
  // Whether a whole frame of a process' output is the engine's complaint about its input, and no word of the process.
  virtual bool is_own_word(StdStream, std::string_view) const { return false; }

  const HostFacts& host() const { return host_; }
  const EngineInfo& info() const { return info_; }
  // What became known after the start (Engine::learn).
  void set_info(EngineInfo info) { info_ = std::move(info); }

 protected:
  Dialect(EngineInfo info, HostFacts host) : info_(std::move(info)), host_(host) {}
  EngineInfo info_;
  HostFacts host_;
};

std::unique_ptr<Dialect> make_docker_dialect(EngineInfo info, HostFacts host);
std::unique_ptr<Dialect> make_podman_dialect(EngineInfo info, HostFacts host);

// --- shared by both quirk files

// {"label":["a=b","c"]} for ?filters=, escaped.
std::string label_filter(const std::map<std::string, std::string>& labels);
ContainerState container_state(std::string_view engine_word);
// The adds with ALL replaced by what the host holds; `known` limits the numbers to those the engine has heard
// of.
std::vector<std::string> expand_capabilities(const std::vector<std::string>& names, const HostFacts& host,
                                             int known);
// An oom_score_adj only if the kernel would accept it: lowering needs CAP_SYS_RESOURCE.
std::optional<int> allowed_oom_score(const Resources& resources, const HostFacts& host);
// Later entries win, as in a process's environment.
std::map<std::string, std::string> merged_env(const std::vector<std::pair<std::string, std::string>>& env);
// cgroupfs: the path; systemd: the slice's name, "kubepods-burstable-podX.slice", with '-' in a name made
// '_'.
std::string cgroup_parent_argument(std::string_view path, std::string_view cgroup_driver);
// Where that parent is in a hierarchy: "/kubepods.slice/kubepods-burstable.slice/..." with systemd.
std::string cgroup_parent_path(std::string_view path, std::string_view cgroup_driver);
EngineEvent read_event_fields(const boost::json::value& event);

}  // namespace rusternetes::engine
