#include "engine/detect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "engine/host_facts.h"

namespace rusternetes::engine {
namespace {

Status rootless(const std::string& socket) {
  return Status{
      403, reason::kRootless,
      fmt::format(
          "the engine on {} is rootless: it cannot make Pod networks, cgroups and mounts for a cluster. "
          "Use the system's engine as root: `systemctl enable --now podman.socket` (or docker), then run "
          "this command as root",
          socket),
      nullptr};
}

// A user's own engine, which only explains why none of the system was found.
std::string users_socket() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (!runtime) return {};
  for (const char* name : {"/podman/podman.sock", "/docker.sock"})
    if (std::string path = std::string(runtime) + name; socket_peer(path)) return path;
  return {};
}

Task<Result<std::unique_ptr<Engine>>> try_socket(asio::any_io_executor executor, std::string path,
                                                 DetectOptions options) {
  int error = 0;
  if (!socket_peer(path, &error)) {
    if (error == EACCES || error == EPERM)
      co_return Status{403, "Forbidden",
                       fmt::format("{} is not open to this user; run this command as root", path), nullptr};
    auto cause = errno_error(path, error).message;
    co_return Status{503, reason::kUnreachable, std::move(cause), nullptr};
  }
  auto engine = co_await Engine::connect(executor, path, options.engine);
  if (!engine) co_return std::move(engine).error();
  const auto& info = (*engine)->info();
  if (info.is_rootless) co_return rootless(path);
  if (options.kind && *options.kind != info.kind)
    co_return Status{400, "Invalid",
                     fmt::format("{} belongs to {}, but {} was asked for", path, to_string(info.kind),
                                 to_string(*options.kind)),
                     nullptr};
  co_return std::move(engine);
}

}  // namespace

Task<Result<std::unique_ptr<Engine>>> detect_engine(asio::any_io_executor executor, DetectOptions options) {
  std::vector<std::string> candidates;
  if (!options.socket_path.empty()) {
    auto path = options.socket_path;
    if (path.starts_with("unix://")) path.erase(0, 7);
    candidates.push_back(path);
  } else {
    if (options.kind != EngineKind::docker)
      candidates.insert(candidates.end(), options.podman_sockets.begin(), options.podman_sockets.end());
    if (options.kind != EngineKind::podman)
      candidates.insert(candidates.end(), options.docker_sockets.begin(), options.docker_sockets.end());
  }
  std::vector<std::string> tried;
  std::optional<Status> refusal;
  for (const auto& path : candidates) {
    auto engine = co_await try_socket(executor, path, options);
    if (engine) co_return std::move(engine);
    auto status = std::move(engine).error();
    tried.push_back(status.message);
    // A refusal says more than "not found": kept unless another candidate works.
    if (!status.is(reason::kUnreachable) && !refusal) refusal = status;
  }
  if (refusal) co_return *refusal;
  // Whose socket was named is merely not there.
  if (options.socket_path.empty())
    if (auto path = users_socket(); !path.empty()) co_return rootless(path);
  co_return Status{
      503, reason::kUnreachable,
      fmt::format(
          "no engine found ({}). Start one: `systemctl start podman.socket` or `systemctl start docker`",
          fmt::join(tried, "; ")),
      nullptr};
}

}  // namespace rusternetes::engine
