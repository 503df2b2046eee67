#pragma once
// A command of /run: it has no streams, only an answer with all that it wrote.

#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "engine/runtime.h"

namespace rusternetes::kubelet {

// Between the request, whose handler is cancelled when its client goes, and the task that has the process, which is not.
class RunCommand {
 public:
  // `runtime` outlives it.
  RunCommand(asio::any_io_executor executor, engine::Runtime& runtime, std::string container_id,
             std::vector<std::string> command);

  // From the process' start to its end. Once abandon() was called it is killed: nobody would end it, and engines let it run
  // on. One whose task is cancelled runs on, as after exec: the kubelet that stops is no client that left.
  static Task<> run(std::shared_ptr<RunCommand> self);

  // For the handler, once.
  Task<Result<engine::ExecOutput>> result();
  // The client has gone. Nothing happens to a process that has ended.
  void abandon();

 private:
  class Session;
  engine::Runtime& runtime_;
  std::string container_id_;
  std::vector<std::string> command_;
  AsyncEvent changed_;   // for run()
  AsyncEvent answered_;  // for result()
  Result<engine::ExecOutput> output_ = engine::ExecOutput{};
  bool has_ended_ = false, is_abandoned_ = false;
};

}  // namespace rusternetes::kubelet
