#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/engine_runtime.h"
#include "engine/exec_output.h"

namespace rusternetes::engine {
namespace {

// The exit code of an exec whose streams have ended. Docker may close them some ms before it has heard of the exit, a
// process may close them and run on, and no engine sends an event that tells: asked again at growing distances, up to
// a second, until it has ended.
Task<Result<int>> exit_code_of(Engine* engine, std::string exec_id) {
  for (auto pause = std::chrono::milliseconds(5);; pause = std::min(pause * 2, std::chrono::milliseconds(1000))) {
    auto details = co_await engine->inspect_exec(exec_id);
    if (!details) co_return std::move(details).error();
    if (!details->is_running) co_return details->exit_code;
    co_await sleep_for(pause);
  }
}

class EngineExec final : public ExecSession {
 public:
  EngineExec(Engine* engine, std::string container_id, std::string exec_id, StreamSession session)
      : engine_(engine),
        container_id_(std::move(container_id)),
        exec_id_(std::move(exec_id)),
        session_(std::move(session)) {}
  http::ByteStream& stream() override { return *session_.stream; }
  bool has_tty() const override { return session_.has_tty; }
  bool is_own_word(StdStream which, std::string_view frame) const override {
    return engine_->dialect().is_own_word(which, frame);
  }
  Task<Result<void>> resize(int width, int height) override {
    return engine_->resize_exec(exec_id_, width, height);
  }
  Task<Result<int>> exit_code() override { return exit_code_of(engine_, exec_id_); }
  Task<Result<void>> kill() override {
    // Docker takes the connection over before it has started the process: it has no number for some ms.
    for (auto pause = std::chrono::milliseconds(5);; pause *= 2) {
      auto details = co_await engine_->inspect_exec(exec_id_);
      if (!details) co_return std::move(details).error();
      if (details->pid > 0 && kill_container_process(details->pid, container_id_)) co_return Result<void>();
      if (!details->is_running && details->pid > 0) co_return Result<void>();
      if (pause > std::chrono::milliseconds(1000)) {
        if (!details->is_running) co_return Result<void>();
        co_return internal_error(
            fmt::format("process {} of {} could not be killed", details->pid, container_id_));
      }
      co_await sleep_for(pause);
    }
  }

 private:
  Engine* engine_;
  std::string container_id_, exec_id_;
  StreamSession session_;
};

class EngineAttach final : public ExecSession {
 public:
  EngineAttach(Engine* engine, std::string container_id, StreamSession session)
      : engine_(engine), container_id_(std::move(container_id)), session_(std::move(session)) {}
  http::ByteStream& stream() override { return *session_.stream; }
  bool has_tty() const override { return session_.has_tty; }
  bool is_own_word(StdStream which, std::string_view frame) const override {
    return engine_->dialect().is_own_word(which, frame);
  }
  Task<Result<void>> resize(int width, int height) override {
    return engine_->resize_container(container_id_, width, height);
  }
  Task<Result<int>> exit_code() override { return engine_->wait_container(container_id_); }
  Task<Result<void>> kill() override { return engine_->kill_container(container_id_, "KILL"); }

 private:
  Engine* engine_;
  std::string container_id_;
  StreamSession session_;
};

}  // namespace

Task<Result<std::unique_ptr<ExecSession>>> EngineRuntime::exec(std::string id, ExecSpec spec) {
  auto details = co_await inspect_own(id, "container");
  if (!details) co_return std::move(details).error();
  bool has_tty = spec.has_tty;
  auto exec_id = co_await engine_.create_exec(id, std::move(spec));
  if (!exec_id) co_return std::move(exec_id).error();
  auto session = co_await engine_.start_exec(*exec_id, has_tty);
  if (!session) co_return std::move(session).error();
  std::unique_ptr<ExecSession> out =
      std::make_unique<EngineExec>(&engine_, details->id, *exec_id, std::move(*session));
  co_return std::move(out);
}

Task<Result<std::unique_ptr<ExecSession>>> EngineRuntime::attach(std::string id, bool has_stdin) {
  auto details = co_await inspect_own(id, "container");
  if (!details) co_return std::move(details).error();
  auto session = co_await engine_.attach(details->id, has_stdin, details->has_tty);
  if (!session) co_return std::move(session).error();
  std::unique_ptr<ExecSession> out =
      std::make_unique<EngineAttach>(&engine_, details->id, std::move(*session));
  co_return std::move(out);
}

Task<Result<ExecOutput>> EngineRuntime::exec_sync(std::string id, std::vector<std::string> command,
                                                  std::chrono::milliseconds timeout) {
  ExecSpec spec;
  spec.command = std::move(command);
  auto session = co_await exec(std::move(id), std::move(spec));
  if (!session) co_return std::move(session).error();
  Result<ExecOutput> out = ExecOutput{};
  bool in_time = co_await run_with_deadline(collect_output(session->get(), &out), timeout);
  if (!in_time) {
    // The engines let it run on when the client is gone.
    auto killed = co_await (*session)->kill();
    auto note = killed ? std::string() : ": " + killed.error().message;
    co_return Status{504, "Timeout", fmt::format("command timed out after {} ms{}", timeout.count(), note),
                     nullptr};
  }
  co_return std::move(out);
}

}  // namespace rusternetes::engine
