#include "launcher/components/engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/value.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <sstream>

#include "certs/file.h"
#include "engine/connection.h"
#include "engine/detect.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/host_facts.h"
#include "engine/image_builder.h"
#include "engine/json_lines.h"
#include "engine/json_read.h"
#include "engine/private_podman.h"
#include "engine/reference.h"
#include "engine/runtime.h"
#include "launcher/components/image_archive.h"
#include "launcher/failure.h"
#include "pause/embedded_pause.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds image_timeout{std::chrono::minutes(30)};
// What the kubelet notes on a sandbox: its Pod's terminationGracePeriodSeconds.
constexpr std::string_view grace_annotation = "grace-period-seconds";
constexpr std::string_view sidecars_annotation = "sidecars";  // "proxy,logs"
// Of a pause process, which ends at once.
constexpr int sandbox_grace_s = 1;
// What a group has that comes after the Pod's grace period is over, as a kubelet gives it.
constexpr std::chrono::seconds least_grace{2};

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

bool EngineApi::is_answering(const EngineChoice& choice) {
  return engine::socket_peer(choice.socket).has_value();
}

std::vector<std::string> loaded_names(std::string_view said) {
  std::vector<std::string> names;
  for (std::size_t at = 0; (at = said.find("Loaded image", at)) != std::string_view::npos;) {
    const auto colon = said.find(": ", at);
    if (colon == std::string_view::npos) break;
    const auto end = std::min(said.find('\n', colon), said.size());
    for (std::size_t begin = colon + 2; begin < end;) {
      const auto comma = std::min(said.find(',', begin), end);
      names.push_back(engine::normalize_reference(said.substr(begin, comma - begin)));
      begin = comma + 1;
    }
    at = end;
  }
  return names;
}

Result<std::vector<std::string>> EngineApi::load_archive(
    const EngineChoice& choice, const fs::path& archive,
    const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) {
  RN_CHECK(check_image_archive(archive));
  RN_TRY(engine::Engine * engine, at(choice));
  const std::string target = engine->dialect().api() + "/images/load?quiet=true";
  hooks_.point("before engine POST " + target);
  auto answer = upload_file(choice.socket, target, archive, on_progress);
  hooks_.point("after engine POST " + target);
  if (!answer) return std::move(answer).error();
  const auto refused = [&](const std::string& message) {
    return failure("BadArchive", fmt::format("the engine does not take {}: {}", archive.string(), message));
  };
  if (answer->status >= 400)
    return refused(engine->connection().map_error(answer->status, answer->body).message);
  std::string error, said;
  engine::JsonLines lines;
  RN_CHECK(lines.feed(answer->body + "\n", [&](const boost::json::value& line) {
    if (auto message = engine::json_string(line, "error"); !message.empty()) error = std::move(message);
    said += engine::json_string(line, "stream");
  }));
  if (!error.empty()) return refused(error);
  return loaded_names(said);
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

Result<> EngineApi::remove_pause_image(const EngineChoice& choice) { return remove_image(choice, pause_tag()); }

Result<> EngineApi::remove_image(const EngineChoice& choice, const std::string& reference) {
  RN_TRY(engine::Engine * engine, at(choice));
  // Without force an engine refuses what a container uses, such as a cluster of another home; that is as it
  // should be.
  (void)run(engine->remove_image(reference, false));
  return {};
}

Result<> EngineApi::pull_image(const EngineChoice& choice, const std::string& reference) {
  RN_TRY(engine::Engine * engine, at(choice));
  const auto pulled = run(engine->pull_image(reference, {}, image_timeout));
  if (pulled) return {};
  return failure("ImageNotFound", fmt::format("the image {} cannot be pulled: {}", reference,
                                              pulled.error().message));
}

std::string EngineApi::pause_image() { return pause_tag(); }

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
    const auto label = [&](const std::string& key) {
      const auto found = one.labels.find(key);
      return found == one.labels.end() ? std::string() : found->second;
    };
    ClusterContainer container{
        .id = one.id,
        .name = one.name,
        .is_running = one.state == engine::ContainerState::running && !engine->is_gone(one.pid),
        .is_sandbox = is("sandbox"),
        .sandbox_id = is("sandbox") ? one.id : label(engine::label::kSandboxId),
        .name_in_pod = label(engine::label::kContainerName)};
    if (const auto slash = owner->second.find('/'); slash != std::string::npos)
      container.node = owner->second.substr(slash + 1);
    const std::string grace = label(engine::label::kAnnotationPrefix + std::string(grace_annotation));
    if (int seconds = 0;
        std::from_chars(grace.data(), grace.data() + grace.size(), seconds).ec == std::errc() && seconds >= 0)
      container.grace = std::chrono::seconds(seconds);
    std::stringstream sidecars(label(engine::label::kAnnotationPrefix + std::string(sidecars_annotation)));
    for (std::string sidecar; std::getline(sidecars, sidecar, ',');) container.sidecars.push_back(sidecar);
    if (!is("holder")) {
      out.push_back(std::move(container));
      continue;
    }
    // Sandboxes of host-network Pods stand on the holder, and Podman refuses to remove what others stand on.
    container.is_sandbox = container.is_holder = true;
    holders.push_back(std::move(container));
  }
  out.insert(out.end(), holders.begin(), holders.end());
  return out;
}

namespace {

// Stops Pods side by side. Every completion runs on the one loop that stop_pods() turns.
class PodStopper {
 public:
  PodStopper(asio::io_context& context, engine::Engine& engine, const std::vector<PodToStop>& pods,
             const std::function<void(std::size_t)>& on_stopped)
      : context_(context), engine_(engine), pods_(pods), on_stopped_(on_stopped), stages_(pods.size()) {}

  Result<> run() {
    for (std::size_t pod = 0; pod < pods_.size(); ++pod) stop_next(pod);
    context_.restart();
    while (stopped_ < pods_.size()) context_.run_one();
    if (error_) std::rethrow_exception(error_);
    return std::move(first_);
  }

 private:
  struct Stage {
    std::size_t next = 0;  // the group that comes next; after the last one the sandboxes
    std::size_t left = 0;  // of the group that is being stopped
  };

  void stop_next(std::size_t pod) {
    const PodToStop& what = pods_[pod];
    const std::size_t group = stages_[pod].next++;
    if (group < what.groups.size()) {
      const auto rest = begin_ + what.grace - std::chrono::steady_clock::now();
      const auto grace = group == 0 ? what.grace : std::max(least_grace, std::chrono::ceil<std::chrono::seconds>(rest));
      return stop(pod, what.groups[group], static_cast<int>(grace.count()));
    }
    if (group == what.groups.size() && !what.sandboxes.empty()) return stop(pod, what.sandboxes, sandbox_grace_s);
    ++stopped_;
    if (on_stopped_) on_stopped_(stopped_);
  }
  void stop(std::size_t pod, const std::vector<std::string>& ids, int grace_s) {
    stages_[pod].left = ids.size();
    for (const std::string& id : ids)
      asio::co_spawn(context_, engine_.stop_container(id, grace_s),
                     [this, pod](std::exception_ptr thrown, Result<void> result) {
                       if (thrown) error_ = thrown;
                       if (!result && first_) first_ = std::move(result);
                       if (--stages_[pod].left == 0) stop_next(pod);
                     });
  }

  asio::io_context& context_;
  engine::Engine& engine_;
  const std::vector<PodToStop>& pods_;
  const std::function<void(std::size_t)>& on_stopped_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::vector<Stage> stages_;  // of each Pod
  std::size_t stopped_ = 0;
  Result<> first_;
  std::exception_ptr error_;
};

}  // namespace

Result<> EngineApi::stop_pods(const EngineChoice& choice, const std::vector<PodToStop>& pods,
                              const std::function<void(std::size_t)>& on_stopped) {
  RN_TRY(engine::Engine * engine, at(choice));
  return PodStopper(context_, *engine, pods, on_stopped).run();
}

Result<> EngineApi::remove_container(const EngineChoice& choice, const std::string& id) {
  RN_TRY(engine::Engine * engine, at(choice));
  return run(engine->remove_container(id, true));
}

}  // namespace rusternetes::launcher
