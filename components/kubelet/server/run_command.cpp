#include "kubelet/server/run_command.h"

#include "base/log.h"
#include "engine/exec_output.h"
#include "kubelet/server/session_end.h"

namespace rusternetes::kubelet {

class RunCommand::Session {
 public:
  Session(asio::any_io_executor executor, RunCommand& command) : command_(command), tasks_(std::move(executor)) {}

  Task<> run() {
    engine::ExecSpec spec;
    spec.command = command_.command_;
    auto started = co_await command_.runtime_.exec(command_.container_id_, std::move(spec));
    if (!started) {
      finish(std::move(started).error());
      co_return;
    }
    process_ = *std::move(started);
    tasks_.spawn("run output", collect());
    while (!command_.has_ended_ && !command_.is_abandoned_) co_await command_.changed_.wait();
    if (command_.has_ended_) co_return;
    auto killed = co_await process_->kill();
    if (!killed) log::warn("kubelet", "run in {}: {}", command_.container_id_, killed.error().message);
  }

  void hurry() {}

  Task<> end(std::chrono::milliseconds) {
    co_await tasks_.stop();
    finish(Status{503, "ServiceUnavailable", "the kubelet is stopping"});
  }

 private:
  Task<> collect() {
    Result<engine::ExecOutput> output = engine::ExecOutput{};
    co_await engine::collect_output(process_.get(), &output);
    finish(std::move(output));
  }

  // The first one counts.
  void finish(Result<engine::ExecOutput> output) {
    if (std::exchange(command_.has_ended_, true)) return;
    command_.output_ = std::move(output);
    command_.changed_.set();
    command_.answered_.set();
  }

  RunCommand& command_;
  std::unique_ptr<engine::ExecSession> process_;
  TaskGroup tasks_;
};

RunCommand::RunCommand(asio::any_io_executor executor, engine::Runtime& runtime, std::string container_id,
                       std::vector<std::string> command)
    : runtime_(runtime),
      container_id_(std::move(container_id)),
      command_(std::move(command)),
      changed_(executor),
      answered_(executor) {}

Task<> RunCommand::run(std::shared_ptr<RunCommand> self) {
  const auto executor = co_await asio::this_coro::executor;
  Session session(executor, *self);
  co_await run_session(session);
}

Task<Result<engine::ExecOutput>> RunCommand::result() {
  while (!has_ended_) co_await answered_.wait();
  co_return std::move(output_);
}

void RunCommand::abandon() {
  is_abandoned_ = true;
  changed_.set();
}

}  // namespace rusternetes::kubelet
