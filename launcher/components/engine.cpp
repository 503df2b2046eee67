#include "launcher/components/engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <cerrno>

#include "certs/file.h"
#include "engine/connection.h"
#include "engine/detect.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/host_facts.h"
#include "engine/image_builder.h"
#include "engine/private_podman.h"
#include "engine/reference.h"
#include "engine/runtime.h"
#include "launcher/failure.h"
#include "pause/embedded_pause.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds image_timeout{std::chrono::minutes(30)};
constexpr std::size_t archive_limit = std::size_t{16} << 30;

std::string pause_tag() { return engine::RuntimeOptions{}.pause_image; }

fs::path socket_in(const fs::path& folder) { return folder / "podman.sock"; }

// The body of GET /images/REF/get into a file.
Task<Result<void>> save(engine::Engine* engine, std::string reference, int fd) {
  http::ClientRequest request;
  request.target = engine->dialect().api() + "/images/" + engine::normalize_reference(reference) + "/get";
  auto response = co_await engine->connection().open(std::move(request));
  if (!response) co_return std::move(response).error();
  for (;;) {
    auto piece = co_await (*response)->read_some();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return Result<void>();
    for (std::string_view rest = *piece; !rest.empty();) {
      const ssize_t written = ::write(fd, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) co_return errno_error("write the image", errno);
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }
}

}  // namespace

bool is_owned_by(std::string_view owner, std::string_view cluster) {
  return owner.starts_with(cluster) && (owner.size() == cluster.size() || owner[cluster.size()] == '/');
}

EngineApi::EngineApi(std::function<std::optional<std::string>(const char*)> variable, Hooks& hooks)
    : variable_(std::move(variable)), hooks_(hooks) {}
EngineApi::~EngineApi() = default;

template <class T>
Result<T> EngineApi::run(Task<Result<T>> task) {
  std::optional<Result<T>> result;
  std::exception_ptr error;
  asio::co_spawn(context_, std::move(task), [&](std::exception_ptr thrown, Result<T> value) {
    error = thrown;
    result.emplace(std::move(value));
  });
  context_.restart();
  while (!result) context_.run_one();
  if (error) std::rethrow_exception(error);
  return *std::move(result);
}

engine::EngineOptions EngineApi::options(std::chrono::milliseconds timeout) const {
  engine::EngineOptions options;
  options.request_timeout = timeout;
  options.on_request = [&hooks = hooks_](std::string_view method, std::string_view target, bool is_done) {
    hooks.point(fmt::format("{} engine {} {}", is_done ? "after" : "before", method, target));
  };
  return options;
}

Result<engine::Engine*> EngineApi::at(const EngineChoice& choice) {
  auto& engine = engines_[choice.socket];
  if (!engine) {
    RN_TRY(engine,
           run(engine::Engine::connect(context_.get_executor(), choice.socket, options(image_timeout))));
  }
  return engine.get();
}

Result<EngineChoice> EngineApi::find(const std::string& kind) {
  engine::DetectOptions wanted;
  if (!kind.empty()) wanted.kind = kind == "docker" ? engine::EngineKind::docker : engine::EngineKind::podman;
  wanted.engine = options(image_timeout);
  // Where the user points the engines' own clients to.
  const auto from = [&](const char* name, std::vector<std::string>& sockets) {
    const auto value = variable_(name);
    if (value && value->starts_with("unix://")) sockets = {value->substr(7)};
  };
  from("CONTAINER_HOST", wanted.podman_sockets);
  from("DOCKER_HOST", wanted.docker_sockets);
  RN_TRY(auto found, run(engine::detect_engine(context_.get_executor(), wanted)));
  EngineChoice choice{.kind = std::string(engine::to_string(found->info().kind)),
                      .socket = found->socket_path(),
                      .version = found->info().version};
  engines_[choice.socket] = std::move(found);
  return choice;
}

bool EngineApi::can_start_private() { return !engine::find_program("podman").empty(); }

std::string EngineApi::private_socket(const fs::path& folder) { return socket_in(folder).string(); }

Result<> EngineApi::start_private(const fs::path& folder) {
  RN_CHECK(certs::make_folder(folder, 0700));
  engine::PrivatePodmanOptions wanted;
  wanted.directory = folder.string();
  auto started = engine::start_private_podman(wanted);
  if (!started && !started.error().is("AlreadyExists")) return std::move(started).error();
  return {};
}

Result<> EngineApi::stop_private(const fs::path& folder) {
  const std::string socket = private_socket(folder);
  engines_.erase(socket);
  // Who listens on the socket is the service, whichever command started it.
  if (const auto peer = engine::socket_peer(socket)) engine::stop_private_podman({peer->pid, socket});
  std::error_code ignored;
  fs::remove(socket, ignored);
  return {};
}

Result<bool> EngineApi::has_image(const EngineChoice& choice, const std::string& reference) {
  RN_TRY(engine::Engine * engine, at(choice));
  return run(engine->has_image(reference));
}

Result<std::vector<std::string>> EngineApi::load_archive(const EngineChoice& choice,
                                                         const fs::path& archive) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_TRY(std::string bytes, certs::read_text(archive, archive_limit));
  return run(engine->load_images(std::move(bytes)));
}

Result<> EngineApi::save_image(const EngineChoice& choice, const std::string& reference,
                               const fs::path& archive) {
  RN_TRY(engine::Engine * engine, at(choice));
  const int fd = ::open(archive.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("create " + archive.string(), errno);
  const Result<> result = run(save(engine, reference, fd));
  ::close(fd);
  return result;
}

Result<> EngineApi::load_pause_image(const EngineChoice& choice) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_TRY(const bool is_there, run(engine->has_image(pause_tag())));
  if (is_there) return {};
  const auto program = pause_binary();
  RN_TRY(engine::ImageArchive archive,
         engine::build_pause_image(std::string(reinterpret_cast<const char*>(program.data()), program.size()),
                                   pause_tag()));
  RN_TRY([[maybe_unused]] auto loaded, run(engine->load_images(std::move(archive.tar))));
  return {};
}

Result<> EngineApi::remove_pause_image(const EngineChoice& choice) {
  RN_TRY(engine::Engine * engine, at(choice));
  // Without force an engine refuses what a container uses, such as a cluster of another home; that is as it
  // should be.
  (void)run(engine->remove_image(pause_tag(), false));
  return {};
}

Result<std::vector<ClusterContainer>> EngineApi::containers(const EngineChoice& choice,
                                                            const std::string& cluster) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_TRY(const auto all, run(engine->list_containers({{engine::label::kOwner, ""}})));
  std::vector<ClusterContainer> out, holders;
  for (const engine::ContainerSummary& one : all) {
    const auto owner = one.labels.find(engine::label::kOwner);
    if (owner == one.labels.end() || !is_owned_by(owner->second, cluster)) continue;
    const auto kind = one.labels.find(engine::label::kKind);
    const auto is = [&](std::string_view word) { return kind != one.labels.end() && kind->second == word; };
    ClusterContainer container{one.id, one.name, one.state == engine::ContainerState::running, is("sandbox")};
    if (!is("holder")) {
      out.push_back(std::move(container));
      continue;
    }
    // Sandboxes of host-network Pods stand on the holder, and Podman refuses to remove what others stand on.
    container.is_sandbox = true;
    holders.push_back(std::move(container));
  }
  out.insert(out.end(), holders.begin(), holders.end());
  return out;
}

Result<> EngineApi::stop_containers(const EngineChoice& choice, const std::vector<std::string>& ids,
                                    std::chrono::seconds grace) {
  RN_TRY(engine::Engine * engine, at(choice));
  Result<> first;
  std::size_t left = ids.size();
  std::exception_ptr error;
  for (const std::string& id : ids)
    asio::co_spawn(context_, engine->stop_container(id, static_cast<int>(grace.count())),
                   [&](std::exception_ptr thrown, Result<void> result) {
                     --left;
                     if (thrown) error = thrown;
                     if (!result && first) first = std::move(result);
                   });
  context_.restart();
  while (left > 0) context_.run_one();
  if (error) std::rethrow_exception(error);
  return first;
}

Result<> EngineApi::remove_container(const EngineChoice& choice, const std::string& id) {
  RN_TRY(engine::Engine * engine, at(choice));
  return run(engine->remove_container(id, true));
}

}  // namespace rusternetes::launcher
