#include "fake_runtime.h"

#include <fmt/format.h>

#include "apimachinery/errors.h"

namespace rusternetes::kubelet::testing {

using engine::ContainerState;
using engine::RuntimeEvent;
using engine::SandboxState;

namespace {
std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}
Status absent(const std::string& id) { return apimachinery::not_found({"", "containers"}, id); }
}  // namespace

engine::ContainerStatus* FakeRuntime::newest(const std::string& name) {
  engine::ContainerStatus* out = nullptr;
  for (auto& [id, container] : containers)
    if (container.name == name && (!out || container.attempt >= out->attempt)) out = &container;
  return out;
}

void FakeRuntime::tell(RuntimeEvent::Kind kind, const std::string& id, bool is_sandbox) {
  if (!on_event_) return;
  RuntimeEvent event;
  event.kind = kind;
  event.id = id;
  event.is_sandbox = is_sandbox;
  const std::string sandbox = is_sandbox ? id : containers[id].sandbox_id;
  event.pod_uid = sandboxes[sandbox].uid;
  on_event_(event);
}

void FakeRuntime::end(engine::ContainerStatus& container, int exit_code) {
  container.state = ContainerState::exited;
  container.exit_code = exit_code;
  container.reason = exit_code == 0 ? "Completed" : "Error";
  container.finished_at_ns = now_ns();
  container.pid = 0;
  tell(RuntimeEvent::Kind::died, container.id);
}

void FakeRuntime::end_container(const std::string& name, int exit_code) { end(*newest(name), exit_code); }

void FakeRuntime::reboot() {
  for (auto& [id, sandbox] : sandboxes) sandbox.state = SandboxState::not_ready;
  for (auto& [id, container] : containers)
    if (container.state == ContainerState::running) end(container, 255);
}

Task<Result<engine::RuntimeVersion>> FakeRuntime::version() {
  co_return engine::RuntimeVersion{"fake", "1.0", "cgroupfs", 1};
}
Task<engine::RuntimeStatus> FakeRuntime::status() { co_return engine::RuntimeStatus{true, "", ""}; }

Task<Result<std::string>> FakeRuntime::run_pod_sandbox(engine::SandboxConfig config) {
  const std::string id = fmt::format("sandbox{}", ++next_id_);
  calls.push_back(fmt::format("sandbox {}/{}", config.name, config.attempt));
  engine::SandboxStatus made;
  made.id = id;
  made.name = config.name;
  made.namespace_name = config.namespace_name;
  made.uid = config.uid;
  made.attempt = config.attempt;
  made.state = SandboxState::ready;
  made.created_at_ns = now_ns();
  made.annotations = config.annotations;
  made.network = config.network;
  made.pid = 1;
  made.netns_path = sandbox_netns;
  sandboxes[id] = made;
  sandbox_configs[id] = std::move(config);
  co_return id;
}

Task<Result<void>> FakeRuntime::stop_pod_sandbox(std::string id) {
  auto it = sandboxes.find(id);
  if (it == sandboxes.end()) co_return Result<void>{};
  for (auto& [container_id, container] : containers)
    if (container.sandbox_id == id && container.state == ContainerState::running) end(container, 137);
  it->second.state = SandboxState::not_ready;
  co_return Result<void>{};
}

Task<Result<void>> FakeRuntime::remove_pod_sandbox(std::string id) {
  std::erase_if(containers, [&](const auto& entry) { return entry.second.sandbox_id == id; });
  sandboxes.erase(id);
  co_return Result<void>{};
}

Task<Result<std::vector<engine::Sandbox>>> FakeRuntime::list_pod_sandboxes(std::string pod_uid) {
  std::vector<engine::Sandbox> out;
  for (const auto& [id, sandbox] : sandboxes)
    if (pod_uid.empty() || sandbox.uid == pod_uid) out.push_back(sandbox);
  co_return out;
}

Task<Result<engine::SandboxStatus>> FakeRuntime::pod_sandbox_status(std::string id) {
  auto it = sandboxes.find(id);
  if (it == sandboxes.end()) co_return absent(id);
  co_return it->second;
}

Task<Result<engine::Holder>> FakeRuntime::run_network_holder(engine::HolderConfig config) {
  if (holders.empty() || config.is_replacement) holders.push_back(std::move(config));
  co_return engine::Holder{fmt::format("holder{}", holders.size() - 1), 1, holder_netns};
}
Task<Result<void>> FakeRuntime::remove_network_holders(std::string) { co_return Result<void>{}; }

Task<Result<std::string>> FakeRuntime::create_container(std::string sandbox_id, engine::ContainerConfig config) {
  const std::string id = fmt::format("container{}", ++next_id_);
  calls.push_back(fmt::format("create {}/{}", config.name, config.attempt));
  if (auto it = create_errors.find(config.name); it != create_errors.end()) co_return it->second;
  engine::ContainerStatus made;
  made.id = id;
  made.sandbox_id = std::move(sandbox_id);
  made.name = config.name;
  made.attempt = config.attempt;
  made.image = config.image_reference;
  made.image_id = config.image;
  made.state = ContainerState::created;
  made.created_at_ns = now_ns();
  made.log_path = config.log_path;
  containers[id] = made;
  configs[id] = std::move(config);
  co_return id;
}

Task<Result<void>> FakeRuntime::start_container(std::string id) {
  auto& container = containers[id];
  calls.push_back("start " + container.name);
  if (auto it = start_errors.find(container.name); it != start_errors.end()) {
    end(container, 128);
    container.reason = "StartError";
    container.message = it->second;
    co_return Status{400, engine::reason::kStartError, it->second};
  }
  if (auto it = unstarted.find(container.name); it != unstarted.end()) co_return it->second;
  container.state = ContainerState::running;
  container.started_at_ns = now_ns();
  container.pid = 100;
  tell(RuntimeEvent::Kind::started, id);
  if (auto it = exits_at_once.find(container.name); it != exits_at_once.end()) end(container, it->second);
  co_return Result<void>{};
}

Task<Result<void>> FakeRuntime::stop_container(std::string id, std::chrono::seconds grace) {
  auto it = containers.find(id);
  if (it == containers.end() || it->second.state != ContainerState::running) co_return Result<void>{};
  calls.push_back(fmt::format("stop {} {}", it->second.name, grace.count()));
  if (!ignores_stop_signal) {
    end(it->second, 0);
    co_return Result<void>{};
  }
  co_await sleep_for(grace);
  it = containers.find(id);
  if (it != containers.end() && it->second.state == ContainerState::running) end(it->second, 137);
  co_return Result<void>{};
}

Task<Result<engine::ExecOutput>> FakeRuntime::exec_sync(std::string id, std::vector<std::string> command, std::chrono::milliseconds timeout) {
  const std::string name = containers[id].name;
  calls.push_back(fmt::format("exec {} {}", name, fmt::join(command, " ")));
  if (!on_exec) co_return engine::ExecOutput{};
  co_return co_await on_exec(name, std::move(command), timeout);
}

Task<Result<void>> FakeRuntime::remove_container(std::string id) {
  calls.push_back("remove " + containers[id].name);
  containers.erase(id);
  co_return Result<void>{};
}

Task<Result<std::vector<engine::Container>>> FakeRuntime::list_containers(std::string pod_uid) {
  ++looks[pod_uid];
  std::vector<engine::Container> out;
  for (const auto& [id, container] : containers) {
    auto sandbox = sandboxes.find(container.sandbox_id);
    if (pod_uid.empty() || (sandbox != sandboxes.end() && sandbox->second.uid == pod_uid)) out.push_back(container);
  }
  co_return out;
}

Task<Result<engine::ContainerStatus>> FakeRuntime::container_status(std::string id) {
  auto it = containers.find(id);
  if (it == containers.end()) co_return absent(id);
  co_return it->second;
}

Task<Result<engine::ImageDetails>> FakeRuntime::image_status(std::string reference) {
  if (!images.contains(reference)) co_return absent(reference);
  engine::ImageDetails out;
  out.id = "sha256:" + std::string(64, 'a');
  out.repo_tags = {reference};
  out.size_bytes = 1000;
  co_return out;
}

Task<Result<std::vector<engine::ImageSummary>>> FakeRuntime::list_images() {
  std::vector<engine::ImageSummary> out;
  for (const auto& reference : images) {
    engine::ImageSummary one;
    one.id = "sha256:" + std::string(64, 'a');
    one.repo_tags = {reference};
    one.size_bytes = 1000;
    out.push_back(one);
  }
  co_return out;
}

Task<Result<std::string>> FakeRuntime::pull_image(std::string reference, engine::RegistryAuth) {
  calls.push_back("pull " + reference);
  if (auto it = pull_errors.find(reference); it != pull_errors.end()) co_return it->second;
  images.insert(reference);
  co_return "sha256:" + std::string(64, 'a');
}

Task<> FakeRuntime::watch_events(std::function<void(const RuntimeEvent&)> on_event) {
  on_event_ = std::move(on_event);
  // Whoever watched may be gone when the next thing happens.
  const std::shared_ptr<void> end(nullptr, [this](void*) { on_event_ = nullptr; });
  on_event_(RuntimeEvent{});
  for (;;) co_await changed_.wait();  // until cancelled
}

}  // namespace rusternetes::kubelet::testing
