#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/json_read.h"
#include "engine/reference.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

std::string container_target(const Dialect& dialect, std::string_view id, std::string_view verb) {
  return dialect.api() + "/containers/" + url_escape(id) + "/" + std::string(verb);
}

// Forgives what is gone already.
Result<void> unless_absent(Result<void> answer) {
  if (!answer && answer.error().is("NotFound")) return {};
  return answer;
}

}  // namespace

Task<Result<std::string>> Engine::create_container(ContainerSpec spec) {
  spec.image = normalize_reference(spec.image);
  for (const auto& mount : spec.mounts) {
    // Podman takes a missing source and fails only at the start, with runc's words.
    struct stat status {};
    if (::stat(mount.host_path.c_str(), &status) != 0)
      co_return Status{400, "Invalid", fmt::format("mount source {} does not exist", mount.host_path),
                       nullptr};
  }
  auto learned = co_await learn();
  if (!learned) co_return std::move(learned).error();
  auto request = dialect_->create_container(spec);
  if (!request) co_return std::move(request).error();
  auto answer = co_await connection_->call(request->method, request->target, request->body);
  if (!answer) co_return std::move(answer).error();
  auto id = json_string(*answer, "Id");
  if (id.empty()) co_return internal_error("the engine made a container without an id");
  co_return id;
}

Task<Result<void>> Engine::start_container(std::string id) {
  auto started = co_await connection_->command("POST", container_target(*dialect_, id, "start"));
  if (started || started.error().message.find("/cgroup: no such process") == std::string::npos) co_return started;
  // Podman looks for the process's cgroup once it has started it: a short life is over by then.
  auto details = co_await inspect_container(id);
  if (details && details->started_at_ns > 0) co_return Result<void>{};
  co_return started;
}

Task<Result<void>> Engine::stop_container(std::string id, int grace_seconds) {
  auto target = container_target(*dialect_, id, fmt::format("stop?t={}", grace_seconds));
  co_return co_await connection_->command("POST", target, {}, std::chrono::seconds(grace_seconds + 60));
}

Task<Result<void>> Engine::kill_container(std::string id, std::string signal) {
  auto target = container_target(*dialect_, id, "kill?signal=" + url_escape(signal));
  co_return co_await connection_->command("POST", target);
}

Task<Result<void>> Engine::rename_container(std::string id, std::string name) {
  auto target = container_target(*dialect_, id, "rename?name=" + url_escape(name));
  co_return co_await connection_->command("POST", target);
}

Task<Result<void>> Engine::remove_container(std::string id, bool force) {
  // v: the anonymous volumes that an image's VOLUME made.
  auto target =
      dialect_->api() + "/containers/" + url_escape(id) + (force ? "?v=true&force=true" : "?v=true");
  auto answer = co_await connection_->command("DELETE", target);
  co_return unless_absent(std::move(answer));
}

Task<Result<void>> Engine::remove_container_with_dependents(std::string id) {
  auto request = dialect_->remove_with_dependents(id);
  co_return unless_absent(co_await connection_->command(request.method, request.target));
}

bool Engine::is_gone(int pid) const {
  if (pid <= 0 || info_.kind != EngineKind::podman || process_id_ == 0) return false;
  return ::kill(pid, 0) != 0 && errno == ESRCH;
}

// For some 100 ms a dead process has a monitor that is about to tell its exit code.
bool Engine::is_lost(const ContainerDetails& details) const {
  return details.state == ContainerState::running && is_gone(details.pid) &&
         (details.monitor_pid <= 0 || is_gone(details.monitor_pid));
}

Task<Result<ContainerDetails>> Engine::inspect_container(std::string id) {
  auto request = dialect_->inspect_container(id);
  auto answer = co_await connection_->call(request.method, request.target);
  if (!answer) co_return std::move(answer).error();
  co_return dialect_->read_container(*answer);
}

Task<Result<std::vector<ContainerSummary>>> Engine::list_containers(Labels labels) {
  auto request = dialect_->list_containers(labels);
  auto answer = co_await connection_->call(request.method, request.target);
  if (!answer) co_return std::move(answer).error();
  co_return dialect_->read_containers(*answer);
}

Task<Result<int>> Engine::wait_container(std::string id) {
  auto target = container_target(*dialect_, id, "wait?condition=not-running");
  auto answer = co_await connection_->call("POST", target, {}, std::chrono::nanoseconds(-1));
  if (!answer) co_return std::move(answer).error();
  co_return static_cast<int>(json_int(*answer, "StatusCode"));
}

Task<Result<void>> Engine::update_resources(std::string id, Resources resources) {
  auto request = dialect_->update_resources(id, resources);
  co_return co_await connection_->command(request.method, request.target, request.body);
}

Task<Result<std::string>> Engine::create_network(NetworkSpec spec) {
  auto request = dialect_->create_network(spec);
  auto answer = co_await connection_->call(request.method, request.target, request.body);
  if (!answer) co_return std::move(answer).error();
  auto id = json_string(*answer, "Id");
  co_return id.empty() ? json_string(*answer, "id") : id;
}

Task<Result<NetworkDetails>> Engine::inspect_network(std::string name) {
  auto request = dialect_->inspect_network(name);
  auto answer = co_await connection_->call(request.method, request.target);
  if (!answer) co_return std::move(answer).error();
  co_return dialect_->read_network(*answer);
}

Task<Result<std::vector<NetworkDetails>>> Engine::list_networks(Labels labels) {
  auto request = dialect_->list_networks(labels);
  auto answer = co_await connection_->call(request.method, request.target);
  if (!answer) co_return std::move(answer).error();
  std::vector<NetworkDetails> out;
  if (answer->is_array())
    for (const auto& network : answer->get_array()) out.push_back(dialect_->read_network(network));
  co_return out;
}

Task<Result<void>> Engine::remove_network(std::string name) {
  auto answer = co_await connection_->command("DELETE", dialect_->api() + "/networks/" + url_escape(name));
  co_return unless_absent(std::move(answer));
}

Task<Result<std::vector<VolumeDetails>>> Engine::list_volumes(Labels labels) {
  auto answer =
      co_await connection_->call("GET", dialect_->api() + "/volumes?filters=" + label_filter(labels));
  if (!answer) co_return std::move(answer).error();
  std::vector<VolumeDetails> out;
  const auto& volumes = json_at(*answer, "Volumes");
  if (volumes.is_array())
    for (const auto& volume : volumes.get_array())
      out.push_back(
          {json_string(volume, "Name"), json_string(volume, "Mountpoint"), json_map(volume, "Labels")});
  co_return out;
}

Task<Result<void>> Engine::remove_volume(std::string name, bool force) {
  auto target = dialect_->api() + "/volumes/" + url_escape(name) + (force ? "?force=true" : "");
  auto answer = co_await connection_->command("DELETE", target);
  co_return unless_absent(std::move(answer));
}

}  // namespace rusternetes::engine
