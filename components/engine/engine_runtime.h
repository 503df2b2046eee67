#pragma once
// Runtime over an Engine. Internal to engine/; others call make_runtime().

#include <list>
#include <unordered_map>

#include "engine/engine.h"
#include "engine/oom_log.h"
#include "engine/runtime.h"

namespace rusternetes::engine {

// At most so many at a time on one executor; in no particular order.
class AsyncSemaphore {
 public:
  AsyncSemaphore(asio::any_io_executor executor, int count) : executor_(std::move(executor)), free_(count) {}
  // Holds a place until destroyed.
  class Hold {
   public:
    explicit Hold(AsyncSemaphore* owner) : owner_(owner) {}
    Hold(Hold&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (owner_) owner_->release();
    }

   private:
    AsyncSemaphore* owner_;
  };
  Task<Hold> acquire();

 private:
  void release();
  asio::any_io_executor executor_;
  int free_;
  std::list<AsyncEvent> waiting_;
};

class EngineRuntime final : public Runtime {
 public:
  EngineRuntime(Engine& engine, RuntimeOptions options);

  Task<Result<RuntimeVersion>> version() override;
  Task<RuntimeStatus> status() override;
  Task<Result<std::string>> run_pod_sandbox(SandboxConfig config) override;
  Task<Result<void>> stop_pod_sandbox(std::string id) override;
  Task<Result<void>> remove_pod_sandbox(std::string id) override;
  Task<Result<std::vector<Sandbox>>> list_pod_sandboxes(std::string pod_uid) override;
  Task<Result<SandboxStatus>> pod_sandbox_status(std::string id) override;
  Task<Result<Holder>> run_network_holder(HolderConfig config) override;
  Task<Result<void>> remove_network_holders(std::string kept_id) override;
  Task<Result<std::string>> create_container(std::string sandbox_id, ContainerConfig config) override;
  Task<Result<void>> start_container(std::string id) override;
  Task<Result<void>> stop_container(std::string id, std::chrono::seconds grace) override;
  Task<Result<void>> remove_container(std::string id) override;
  Task<Result<std::vector<Container>>> list_containers(std::string pod_uid) override;
  Task<Result<ContainerStatus>> container_status(std::string id) override;
  Task<Result<void>> update_container_resources(std::string id, Resources resources) override;
  Task<Result<ExecOutput>> exec_sync(std::string id, std::vector<std::string> command,
                                     std::chrono::milliseconds timeout) override;
  Task<Result<std::unique_ptr<ExecSession>>> exec(std::string id, ExecSpec spec) override;
  Task<Result<std::unique_ptr<ExecSession>>> attach(std::string id, bool has_stdin) override;
  Task<Result<ImageDetails>> image_status(std::string reference) override;
  Task<Result<std::vector<ImageSummary>>> list_images() override;
  Task<Result<std::string>> pull_image(std::string reference, RegistryAuth auth) override;
  Task<Result<void>> remove_image(std::string reference) override;
  Task<> watch_events(std::function<void(const RuntimeEvent&)> on_event) override;
  std::string pod_cgroup_path(std::string_view cgroup_parent) const override;

 private:
  Task<Result<void>> ensure_pause_image();
  // Creates a container of the pause image, which is loaded first where it is missing.
  Task<Result<std::string>> create_pause(ContainerSpec spec);
  // Creates; a namesake that never started (left by a crash between create and start) is replaced.
  Task<Result<std::string>> create_replacing(ContainerSpec spec);
  Task<Result<void>> start_limited(std::string id);
  // The container, if it is this owner's and of this kind; else NotFound.
  Task<Result<ContainerDetails>> inspect_own(std::string id, std::string_view kind);
  Task<Result<std::vector<ContainerSummary>>> list_own(std::string_view kind, std::string pod_uid,
                                                       std::string sandbox_id = {});
  Task<Result<void>> stop_quietly(std::string id, int grace_seconds);
  ContainerSpec container_spec(const ContainerDetails& sandbox, ContainerConfig config) const;
  ContainerStatus to_status(const ContainerDetails& details);
  Result<void> link_log(const ContainerDetails& details) const;

  Engine& engine_;
  RuntimeOptions options_;
  AsyncSemaphore starts_;
  OomLog oom_log_;
  bool has_pause_image_ = false;
  // Podman keeps no word of a failed start: the text lives here until the container is removed.
  struct FailedStart {
    std::string message;
    std::int64_t time_ns;
  };
  std::unordered_map<std::string, FailedStart> failed_starts_;
};

// Labels without the runtime's own, and the annotations kept among them.
void split_labels(const Labels& all, Labels& labels, Labels& annotations);
std::string label_value(const Labels& labels, std::string_view key);
std::uint32_t label_number(const Labels& labels, std::string_view key);
// Kills a process on the host if it is still one of this container's.
bool kill_container_process(int pid, std::string_view container_id);

namespace label {
inline constexpr char kCgroupParent[] = "io.rusternetes.cgroup-parent";
inline constexpr char kHostIpc[] = "io.rusternetes.host-ipc";
}  // namespace label

}  // namespace rusternetes::engine
