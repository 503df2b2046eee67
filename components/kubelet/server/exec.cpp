#include "kubelet/server/exec.h"

#include <fmt/ranges.h>

#include <boost/asio/this_coro.hpp>
#include <optional>
#include <vector>

#include "base/log.h"
#include "engine/std_stream.h"
#include "kubelet/server/session_end.h"

namespace rusternetes::kubelet {

namespace {

using engine::StdStream;
using http::ByteStream;
using http::RemoteStatus;

constexpr std::chrono::seconds kLastWords{2};  // for a process whose client has gone

class CommandSession {
 public:
  CommandSession(asio::any_io_executor executor, engine::Runtime& runtime, Attachments& attachments,
                 std::unique_ptr<http::RemoteCommand> client, CommandRequest request)
      : runtime_(runtime),
        attachments_(attachments),
        client_(std::move(client)),
        request_(std::move(request)),
        tasks_(executor),
        last_tasks_(executor),
        changed_(executor),
        ended_(executor) {}

  Task<> run() {
    auto opened = co_await client_->open();
    if (!opened) {
      log::debug("kubelet", "exec in {}: {}", request_.container_id, opened.error().message);
      co_return;
    }
    auto started = co_await start();
    if (!started) {
      (void)co_await client_->finish(RemoteStatus::failed(failure(started.error())));
      co_return;
    }
    if (client_->stdin_stream()) tasks_.spawn("exec stdin", copy_input());
    tasks_.spawn("exec terminal size", copy_sizes());
    tasks_.spawn("exec client", watch_client());
    tasks_.spawn("exec output", copy_output());
    while (!status_ && !client_->is_gone()) co_await changed_.wait();
    co_await tasks_.stop();
    if (status_)
      (void)co_await client_->finish(*std::move(status_));
    else if (!request_.is_attach)
      co_await end_process();
  }

  void hurry() { client_->hurry(); }

  Task<> end(std::chrono::milliseconds grace) {
    co_await tasks_.stop();
    co_await last_tasks_.stop();
    if (attachment_ && request_.keeps_stdin && !has_output_ended_)
      attachments_.keep(request_.container_id, std::move(attachment_));
    attachment_.reset();
    co_await client_->close(grace);
  }

 private:
  std::string failure(const Status& status) const {
    return fmt::format(
        "{}: {}",
        request_.is_attach ? "error attaching to container" : "error executing command in container",
        status.message);
  }

  Task<Result<void>> start() {
    if (request_.keeps_stdin) attachment_ = co_await attachments_.take(request_.container_id);
    if (attachment_) co_return Result<void>{};
    Result<std::unique_ptr<engine::ExecSession>> started = Status{};
    if (request_.is_attach)
      started =
          co_await runtime_.attach(request_.container_id, request_.spec.has_stdin || request_.keeps_stdin);
    else
      started = co_await runtime_.exec(request_.container_id, request_.spec);
    if (!started) co_return std::move(started).error();
    attachment_ = std::make_unique<Attachment>();
    attachment_->session = *std::move(started);
    co_return Result<void>{};
  }

  engine::ExecSession& process() { return *attachment_->session; }

  // Nobody is left who could. It may end by itself, since its input has ended.
  Task<> end_process() {
    last_tasks_.spawn("exec end of input", end_input());
    const auto code = co_await soon_ended(last_tasks_);
    co_await last_tasks_.stop();
    if (code) co_return;
    auto killed = co_await process().kill();
    if (!killed) log::warn("kubelet", "exec in {}: {}", request_.container_id, killed.error().message);
  }

  Task<> end_input() { (void)co_await process().stream().shutdown_write(); }

  // The exit code, if the process has ended or does so within a moment.
  Task<std::optional<int>> soon_ended(TaskGroup& tasks) {
    tasks.spawn("exec end", wait_for_end());
    (void)co_await ended_.wait_until(std::chrono::steady_clock::now() + kLastWords);
    co_return exit_code_;
  }

  Task<> wait_for_end() {
    auto code = co_await process().exit_code();
    if (code)
      exit_code_ = *code;
    else
      log::debug("kubelet", "exec in {}: {}", request_.container_id, code.error().message);
    ended_.set();
  }

  Task<> copy_input() {
    for (;;) {
      auto piece = co_await client_->stdin_stream()->read_some();
      if (!piece || piece->empty()) break;
      auto written = co_await process().stream().write(*piece);
      if (!written) co_return;
    }
    // A terminal has no end of input, and Docker would end its output too.
    if (!process().has_tty() && !request_.keeps_stdin) (void)co_await process().stream().shutdown_write();
  }

  Task<> copy_sizes() {
    for (;;) {
      const auto size = co_await client_->next_size();
      if (!size) co_return;
      if (!size->width || !size->height) continue;
      // The engines take the connection over some time before there is a process with a terminal.
      for (auto pause = std::chrono::milliseconds(10); pause < std::chrono::milliseconds(1500); pause *= 2) {
        auto resized = co_await process().resize(size->width, size->height);
        if (resized) break;
        log::debug("kubelet", "terminal of {}: {}", request_.container_id, resized.error().message);
        co_await sleep_for(pause);
      }
    }
  }

  Task<> watch_client() {
    co_await client_->wait_gone();
    changed_.set();
  }

  RemoteStatus exited(int code) const {
    return RemoteStatus::exited(code, fmt::format("{}", fmt::join(request_.spec.command, " ")));
  }

  // A stream that the client has given up does not end the others.
  static Task<> give(ByteStream* to, std::string_view bytes) {
    if (to) (void)co_await to->write(bytes);
  }

  Task<> copy_output() {
    std::vector<std::pair<StdStream, std::string_view>> parts;
    const auto collect = [&parts](StdStream which, std::string_view bytes) {
      parts.emplace_back(which, bytes);
    };
    std::optional<Status> broken;
    std::string held;  // of standard error, dropped if nothing follows
    while (!broken && !client_->is_gone()) {
      auto piece = co_await process().stream().read_some();
      if (!piece) {
        broken = std::move(piece).error();
        has_output_ended_ = true;
        break;
      }
      has_output_ended_ = piece->empty();
      if (has_output_ended_) break;
      parts.clear();
      if (process().has_tty())
        collect(StdStream::out, *piece);
      else if (auto decoded = attachment_->decoder.feed(*piece, collect); !decoded)
        broken = std::move(decoded).error();
      for (const auto& [which, bytes] : parts) {
        if (!held.empty()) co_await give(client_->stderr_stream(), std::exchange(held, {}));
        // The engine's, if it is the last. A command's own last words on its standard error could be the same; elsewhere
        // they are its output.
        if (request_.spec.has_stdin && process().is_own_word(which, bytes)) {
          held = bytes;
          continue;
        }
        co_await give(which == StdStream::err ? client_->stderr_stream() : client_->stdout_stream(), bytes);
      }
    }
    if (client_->is_gone()) co_return;
    std::optional<int> code;
    if (broken && !request_.is_attach)
      code = co_await soon_ended(tasks_);  // what it was given and did not read broke them
    if (code) {
      status_ = exited(*code);
    } else if (broken) {
      status_ = RemoteStatus::failed(failure(*broken));
    } else if (request_.is_attach) {
      status_ = RemoteStatus::success();
    } else {
      auto last = co_await process().exit_code();
      status_ = last ? exited(*last) : RemoteStatus::failed(failure(last.error()));
    }
    changed_.set();
  }

  engine::Runtime& runtime_;
  Attachments& attachments_;
  std::unique_ptr<http::RemoteCommand> client_;
  CommandRequest request_;
  std::unique_ptr<Attachment> attachment_;  // an exec's process, too
  TaskGroup tasks_;
  TaskGroup last_tasks_;  // once tasks_ has stopped, which ends at once what it is given then
  AsyncEvent changed_, ended_;
  std::optional<RemoteStatus> status_;  // once the command has ended
  bool has_output_ended_ = false;
  std::optional<int> exit_code_;  // where it was asked for beside the output
};

}  // namespace

Task<> run_command_session(engine::Runtime& runtime, Attachments& attachments,
                           std::unique_ptr<http::RemoteCommand> client, CommandRequest request) {
  const auto executor = co_await asio::this_coro::executor;
  CommandSession session(executor, runtime, attachments, std::move(client), std::move(request));
  co_await run_session(session);
}

}  // namespace rusternetes::kubelet
