#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/host_facts.h"
#include "engine/json_read.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

// The newest API version whose meaning was checked; a server that has dropped it is spoken to in its oldest.
constexpr std::pair<int, int> kPreferredApi{1, 41};

std::pair<int, int> parse_api(std::string_view text) {
  int major = 0, minor = 0;
  std::size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) major = major * 10 + (text[i] - '0');
  for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) minor = minor * 10 + (text[i] - '0');
  return {major, minor};
}

std::string choose_api(std::string_view current, std::string_view oldest) {
  auto chosen =
      std::clamp(kPreferredApi, std::min(parse_api(oldest), parse_api(current)), parse_api(current));
  return fmt::format("{}.{}", chosen.first, chosen.second);
}

// Podman's /version costs 0.25 s, since it asks the package manager about its helpers; the ping's headers say the same.
std::optional<EngineInfo> read_ping(const Answer& answer) {
  const auto version = answer.headers.get("libpod-api-version");
  const auto api = answer.headers.get("api-version");
  if (answer.status != 200 || !version || !api) return std::nullopt;
  EngineInfo info;
  info.kind = EngineKind::podman;
  info.version = *version;
  info.api_version = choose_api(*api, {});
  return info;
}

EngineInfo read_version(const json::value& version) {
  EngineInfo info;
  info.kind = EngineKind::docker;
  info.version = json_string(version, "Version");
  const auto& components = json_at(version, "Components");
  if (components.is_array())
    for (const auto& component : components.get_array())
      if (json_string(component, "Name") == "Podman Engine") {
        info.kind = EngineKind::podman;
        info.version = json_string(component, "Version");
      }
  info.api_version = choose_api(json_string(version, "ApiVersion"), json_string(version, "MinAPIVersion"));
  return info;
}

void read_info(const json::value& answer, EngineInfo& info) {
  info.host_name = json_string(answer, "Name");
  info.cgroup_version = json_string(answer, "CgroupVersion") == "2" ? 2 : 1;
  info.cgroup_driver = json_string(answer, "CgroupDriver");
  info.default_runtime = json_string(answer, "DefaultRuntime");
  const auto& runtimes = json_at(answer, "Runtimes");
  if (runtimes.is_object())
    for (const auto& [name, runtime] : runtimes.get_object()) info.runtimes.emplace_back(name);
  info.log_driver = json_string(answer, "LoggingDriver");
  info.data_root = json_string(answer, "DockerRootDir");
  info.memory_bytes = json_int(answer, "MemTotal");
  info.cpus = static_cast<int>(json_int(answer, "NCPU"));
  info.is_rootless = info.is_rootless || json_bool(answer, "Rootless");
  for (const auto& option : json_strings(answer, "SecurityOptions")) {
    if (option.find("name=rootless") != std::string::npos) info.is_rootless = true;
    if (option.find("name=apparmor") != std::string::npos) info.has_apparmor = true;
    if (option.find("name=seccomp") != std::string::npos) info.has_seccomp = true;
  }
}

}  // namespace

Engine::Engine(std::unique_ptr<Connection> connection, EngineInfo info, std::unique_ptr<Dialect> dialect,
               int process_id)
    : connection_(std::move(connection)),
      info_(std::move(info)),
      dialect_(std::move(dialect)),
      process_id_(process_id) {}
Engine::~Engine() = default;

const std::string& Engine::socket_path() const { return connection_->socket_path(); }
asio::any_io_executor Engine::executor() const { return connection_->executor(); }

Task<Result<std::unique_ptr<Engine>>> Engine::connect(asio::any_io_executor executor, std::string socket_path,
                                                      EngineOptions options) {
  int error_number = 0;
  auto peer = socket_peer(socket_path, &error_number);
  if (!peer) {
    auto cause = errno_error("connect", error_number).message;
    co_return Status{503, reason::kUnreachable,
                     fmt::format("no engine answers on {}: {}", socket_path, cause), nullptr};
  }
  auto created = Connection::create(executor, socket_path, std::move(options));
  if (!created) co_return std::move(created).error();
  auto connection = std::move(*created);
  auto ping = co_await connection->request("GET", "/_ping");
  if (!ping) co_return std::move(ping).error();
  auto info = read_ping(*ping);
  const bool is_podman = info.has_value();
  if (!info) {
    auto version = co_await connection->call("GET", "/version");
    if (!version) co_return std::move(version).error();
    info = read_version(*version);
  }
  info->is_rootless = is_podman && peer->uid != 0;  // Docker's may be reached through a proxy
  auto host = read_host_facts(peer->pid);
  auto dialect =
      info->kind == EngineKind::podman ? make_podman_dialect(*info, host) : make_docker_dialect(*info, host);
  connection->set_error_mapper([raw = dialect.get()](int status, std::string message) {
    return raw->map_error(status, std::move(message));
  });
  std::unique_ptr<Engine> engine(
      new Engine(std::move(connection), *std::move(info), std::move(dialect), peer->pid));
  if (!is_podman) {
    auto learned = co_await engine->learn();
    if (!learned && !learned.error().is(reason::kRootless)) co_return std::move(learned).error();
  }
  co_return std::move(engine);
}

Task<Result<void>> Engine::learn() {
  if (!is_known_) {
    auto answer = co_await connection_->call("GET", dialect_->api() + "/info");
    if (!answer) co_return std::move(answer).error();
    read_info(*answer, info_);
    dialect_->set_info(info_);
    is_known_ = true;
  }
  if (info_.is_rootless)
    co_return Status{403, reason::kRootless, fmt::format("the engine on {} is rootless", socket_path()), nullptr};
  co_return Result<void>();
}

Task<Result<void>> Engine::ping() {
  auto answer = co_await connection_->request("GET", "/_ping", {}, std::chrono::seconds(5));
  if (!answer) co_return std::move(answer).error();
  if (answer->status != 200) co_return connection_->map_error(answer->status, answer->body);
  co_return Result<void>();
}

}  // namespace rusternetes::engine
