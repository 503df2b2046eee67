#pragma once
// Attachments to containers whose standard input outlives their clients (stdin without stdinOnce). Podman
// ends a container's input with the first connection that leaves it, so the kubelet keeps its own: when a
// client goes, its attachment waits here for the next one, and what the container says meanwhile is dropped.

#include <map>
#include <memory>
#include <string>

#include "base/task.h"
#include "engine/runtime.h"
#include "engine/std_stream.h"

namespace rusternetes::kubelet {

struct Attachment {
  std::unique_ptr<engine::ExecSession> session;
  engine::StdStreamDecoder decoder;  // somewhere in a frame
};

class Attachments {
 public:
  explicit Attachments(asio::any_io_executor executor) : executor_(executor), tasks_(std::move(executor)) {}

  // One that waits, to go on with; none when there is none. Who is cancelled meanwhile leaves it to the next.
  Task<std::unique_ptr<Attachment>> take(std::string container_id);
  // Until it is taken, or the container's output ends.
  void keep(std::string container_id, std::unique_ptr<Attachment> attachment);
  Task<> stop();
  std::size_t size() const { return waiting_.size(); }

 private:
  struct Entry {
    explicit Entry(asio::any_io_executor executor) : tasks(std::move(executor)) {}
    std::unique_ptr<Attachment> attachment;
    TaskGroup tasks;
    bool has_ended = false;
  };
  // One that comes to whoever takes it.
  struct Taking {
    explicit Taking(asio::any_io_executor executor) : done(std::move(executor)) {}
    AsyncEvent done;
    std::unique_ptr<Attachment> attachment;
    bool is_done = false, is_given_up = false;
  };
  static Task<> drain(std::shared_ptr<Entry> entry);
  Task<> release(std::string container_id, std::shared_ptr<Entry> entry, std::shared_ptr<Taking> taking);

  asio::any_io_executor executor_;
  std::multimap<std::string, std::shared_ptr<Entry>>
      waiting_;  // by container; ended ones are dropped when one comes or goes
  TaskGroup tasks_;
};

}  // namespace rusternetes::kubelet
