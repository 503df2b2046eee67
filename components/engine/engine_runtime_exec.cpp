#include <fmt/format.h>

#include <chrono>

#include "engine/connection.h"
#include "engine/engine_runtime.h"
#include "engine/std_stream.h"

namespace rusternetes::engine {
namespace {

constexpr std::size_t kOutputLimit = 16u << 20;

// The exit code of an exec whose streams have ended. Docker may close them some ms before it has heard of the
// exit, and sends no event that tells: asked again at growing distances, for 2 s at most.
Task<Result<int>> exit_code_of(Engine* engine, std::string exec_id) {
  auto pause = std::chrono::milliseconds(5);
  for (;;) {
    auto details = co_await engine->inspect_exec(exec_id);
    if (!details) co_return std::move(details).error();
    if (!details->is_running) co_return details->exit_code;
    if (pause > std::chrono::milliseconds(1500))
      co_return internal_error("the process has closed its streams but runs on");
    co_await sleep_for(pause);
    pause *= 2;
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

Task<> EngineRuntime::collect(http::ByteStream* stream, Result<ExecOutput>* out) {
  StdStreamDecoder decoder;
  std::size_t left = kOutputLimit;
  auto keep = [out, &left](StdStream which, std::string_view bytes) {
    bytes = bytes.substr(0, left);
    left -= bytes.size();
    (which == StdStream::err ? (*out)->stderr_bytes : (*out)->stdout_bytes).append(bytes);
  };
  for (;;) {
    auto piece = co_await stream->read_some();
    if (!piece) {
      *out = std::move(piece).error();
      co_return;
    }
    if (piece->empty()) co_return;
    if (auto decoded = decoder.feed(*piece, keep); !decoded) {
      *out = std::move(decoded).error();
      co_return;
    }
  }
}

Task<Result<ExecOutput>> EngineRuntime::exec_sync(std::string id, std::vector<std::string> command,
                                                  std::chrono::milliseconds timeout) {
  ExecSpec spec;
  spec.command = std::move(command);
  auto session = co_await exec(std::move(id), std::move(spec));
  if (!session) co_return std::move(session).error();
  Result<ExecOutput> out = ExecOutput{};
  bool in_time = co_await run_with_deadline(collect(&(*session)->stream(), &out), timeout);
  if (!in_time) {
    // The engines let it run on when the client is gone.
    auto killed = co_await (*session)->kill();
    auto note = killed ? std::string() : ": " + killed.error().message;
    co_return Status{504, "Timeout", fmt::format("command timed out after {} ms{}", timeout.count(), note),
                     nullptr};
  }
  if (!out) co_return std::move(out);
  auto code = co_await (*session)->exit_code();
  if (!code) co_return std::move(code).error();
  out->exit_code = *code;
  co_return std::move(out);
}

}  // namespace rusternetes::engine
