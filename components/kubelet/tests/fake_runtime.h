#pragma once
// A runtime in memory: containers are records that tests end, fail and forget.

#include <map>
#include <set>

#include "engine/runtime.h"

namespace rusternetes::kubelet::testing {

class FakeRuntime final : public engine::Runtime {
 public:
  explicit FakeRuntime(asio::any_io_executor executor) : changed_(std::move(executor)) {}

  // What tests turn.
  std::set<std::string> images;                                // references that are here
  std::map<std::string, Status> pull_errors;                   // by reference; else a pull succeeds
  std::map<std::string, int> exits_at_once;                    // container name -> exit code
  std::map<std::string, std::string> start_errors;             // container name -> StartError's message
  std::map<std::string, Status> create_errors;                 // container name -> why none is made
  std::map<std::string, Status> unstarted;                     // container name -> why it stays as created
  std::map<std::string, int> looks;                            // by Pod uid: how often its containers were listed
  // What a command comes to, by the container's name; a zero exit code without it.
  std::function<Task<Result<engine::ExecOutput>>(std::string, std::vector<std::string>, std::chrono::milliseconds)> on_exec;
  // What exec and attach give, by the container's id.
  std::function<Result<std::unique_ptr<engine::ExecSession>>(std::string id, engine::ExecSpec spec, bool is_attach)> on_session;
  std::string sandbox_netns;  // "/proc/PID/ns/net" of each sandbox that is made
  bool ignores_stop_signal = false;                            // then only SIGKILL ends a container
  std::vector<std::string> calls;                              // "create web/0", "stop web 30", ...
  std::map<std::string, engine::ContainerConfig> configs;      // by container id
  std::map<std::string, engine::SandboxConfig> sandbox_configs;  // by sandbox id
  std::map<std::string, engine::ContainerStatus> containers;
  std::map<std::string, engine::SandboxStatus> sandboxes;
  std::vector<engine::HolderConfig> holders;  // their ids are holder0, holder1, ...
  std::string holder_netns;                   // where the newest one is: what run_network_holder says

  // The newest container of that name ends.
  void end_container(const std::string& name, int exit_code);
  // As after the host's restart: nothing runs.
  void reboot();
  void tell(engine::RuntimeEvent::Kind kind, const std::string& id, bool is_sandbox = false);
  engine::ContainerStatus* newest(const std::string& name);
  bool is_running(const std::string& name) {
    auto* found = newest(name);
    return found && found->state == engine::ContainerState::running;
  }

  Task<Result<engine::RuntimeVersion>> version() override;
  Task<engine::RuntimeStatus> status() override;
  Task<Result<std::string>> run_pod_sandbox(engine::SandboxConfig config) override;
  Task<Result<void>> stop_pod_sandbox(std::string id) override;
  Task<Result<void>> remove_pod_sandbox(std::string id) override;
  Task<Result<std::vector<engine::Sandbox>>> list_pod_sandboxes(std::string pod_uid) override;
  Task<Result<engine::SandboxStatus>> pod_sandbox_status(std::string id) override;
  Task<Result<engine::Holder>> run_network_holder(engine::HolderConfig config) override;
  Task<Result<void>> remove_network_holders(std::string kept_id) override;
  Task<Result<std::string>> create_container(std::string sandbox_id, engine::ContainerConfig config) override;
  Task<Result<void>> start_container(std::string id) override;
  Task<Result<void>> stop_container(std::string id, std::chrono::seconds grace) override;
  Task<Result<void>> remove_container(std::string id) override;
  Task<Result<std::vector<engine::Container>>> list_containers(std::string pod_uid) override;
  Task<Result<engine::ContainerStatus>> container_status(std::string id) override;
  Task<Result<void>> update_container_resources(std::string, engine::Resources) override { co_return Result<void>{}; }
  Task<Result<engine::ExecOutput>> exec_sync(std::string id, std::vector<std::string> command, std::chrono::milliseconds timeout) override;
  Task<Result<std::unique_ptr<engine::ExecSession>>> exec(std::string id, engine::ExecSpec spec) override {
    if (!on_session) co_return internal_error("no exec here");
    co_return on_session(std::move(id), std::move(spec), false);
  }
  Task<Result<std::unique_ptr<engine::ExecSession>>> attach(std::string id, bool has_stdin) override {
    if (!on_session) co_return internal_error("no attach here");
    engine::ExecSpec spec;
    spec.has_stdin = has_stdin;
    co_return on_session(std::move(id), std::move(spec), true);
  }
  Task<Result<engine::ImageDetails>> image_status(std::string reference) override;
  Task<Result<std::vector<engine::ImageSummary>>> list_images() override;
  Task<Result<std::string>> pull_image(std::string reference, engine::RegistryAuth auth) override;
  Task<Result<void>> remove_image(std::string) override { co_return Result<void>{}; }
  Task<> watch_events(std::function<void(const engine::RuntimeEvent&)> on_event) override;
  std::string pod_cgroup_path(std::string_view cgroup_parent) const override { return std::string(cgroup_parent); }

 private:
  void end(engine::ContainerStatus& container, int exit_code);
  AsyncEvent changed_;
  std::function<void(const engine::RuntimeEvent&)> on_event_;
  int next_id_ = 0;
};

}  // namespace rusternetes::kubelet::testing
