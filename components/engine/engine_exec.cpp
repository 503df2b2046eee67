#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/json_read.h"

namespace rusternetes::engine {
namespace json = boost::json;

Task<Result<std::string>> Engine::create_exec(std::string container_id, ExecSpec spec) {
  json::object body{{"AttachStdin", spec.has_stdin},   {"AttachStdout", spec.has_stdout},
                    {"AttachStderr", spec.has_stderr}, {"Tty", spec.has_tty},
                    {"Cmd", to_json(spec.command)},    {"Privileged", spec.is_privileged}};
  if (!spec.env.empty()) body["Env"] = to_json(spec.env);
  if (!spec.user.empty()) body["User"] = spec.user;
  if (!spec.working_dir.empty()) body["WorkingDir"] = spec.working_dir;
  auto target = dialect_->api() + "/containers/" + url_escape(container_id) + "/exec";
  auto answer = co_await connection_->call("POST", target, json::serialize(body));
  if (!answer) co_return std::move(answer).error();
  co_return json_string(*answer, "Id");
}

Task<Result<StreamSession>> Engine::start_exec(std::string exec_id, bool has_tty) {
  // Never detached: Podman then reports Running for ever, and 404 later.
  json::object body{{"Detach", false}, {"Tty", has_tty}};
  auto target = dialect_->api() + "/exec/" + url_escape(exec_id) + "/start";
  auto stream = co_await connection_->hijack(target, json::serialize(body));
  if (!stream) co_return std::move(stream).error();
  co_return StreamSession{std::move(*stream), has_tty};
}

Task<Result<void>> Engine::resize_exec(std::string exec_id, int width, int height) {
  auto target =
      fmt::format("{}/exec/{}/resize?h={}&w={}", dialect_->api(), url_escape(exec_id), height, width);
  co_return co_await connection_->command("POST", target);
}

Task<Result<ExecDetails>> Engine::inspect_exec(std::string exec_id) {
  auto answer = co_await connection_->call("GET", dialect_->api() + "/exec/" + url_escape(exec_id) + "/json");
  if (!answer) co_return std::move(answer).error();
  ExecDetails details;
  details.is_running = json_bool(*answer, "Running");
  details.exit_code = static_cast<int>(json_int(*answer, "ExitCode"));
  details.pid = static_cast<int>(json_int(*answer, "Pid"));
  co_return details;
}

Task<Result<StreamSession>> Engine::attach(std::string container_id, bool has_stdin, bool has_tty) {
  auto target = fmt::format("{}/containers/{}/attach?stream=true&stdin={}&stdout=true&stderr=true",
                            dialect_->api(), url_escape(container_id), has_stdin);
  auto stream = co_await connection_->hijack(target, {});
  if (!stream) co_return std::move(stream).error();
  co_return StreamSession{std::move(*stream), has_tty};
}

Task<Result<void>> Engine::resize_container(std::string container_id, int width, int height) {
  auto target = fmt::format("{}/containers/{}/resize?h={}&w={}", dialect_->api(), url_escape(container_id),
                            height, width);
  co_return co_await connection_->command("POST", target);
}

}  // namespace rusternetes::engine
