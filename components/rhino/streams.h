#pragma once
// The streams that are open, so that stop() can end them: a server does not shut down while one is.

#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "rhino/errors.h"

namespace rusternetes::rhino {

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  virtual ~Stream() = default;
  // Ends it with UNAVAILABLE, soon; from any thread, more than once.
  virtual void end() = 0;
};

class Streams {
 public:
  // False: no stream is taken any more.
  bool add(std::shared_ptr<Stream> stream) {
    std::lock_guard lock(mutex_);
    if (is_stopped_) return false;
    all_.insert(std::move(stream));
    return true;
  }
  void remove(const std::shared_ptr<Stream>& stream) {
    std::lock_guard lock(mutex_);
    all_.erase(stream);
  }
  void stop() {
    std::vector<std::shared_ptr<Stream>> open;
    {
      std::lock_guard lock(mutex_);
      is_stopped_ = true;
      open.assign(all_.begin(), all_.end());
    }
    for (const auto& stream : open) stream->end();
  }

 private:
  std::mutex mutex_;
  std::set<std::shared_ptr<Stream>> all_;
  bool is_stopped_ = false;
};

// What every stream is beside its messages, on a reactor of gRPC's: it is in `streams`, and lives, from
// begin() to OnDone, and finishes once.
template <class Reactor>
class StreamReactor : public Reactor, public Stream {
 public:
  explicit StreamReactor(Streams& streams) : streams_(streams) {}
  // Before gRPC is given it.
  void begin() {
    self_ = shared_from_this();
    if (streams_.add(self_))
      start();
    else
      finish(errors::stopped());
  }
  void end() final { finish(errors::stopped()); }
  void OnCancel() override { finish(grpc::Status::CANCELLED); }
  void OnDone() final {
    on_done();
    auto self = std::move(self_);
    streams_.remove(self);
  }

 protected:
  virtual void start() = 0;
  virtual void on_finish_locked() {}
  virtual void on_done() {}

  void finish(grpc::Status status) {
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(is_finished_, true)) return;
      on_finish_locked();
    }
    this->Finish(std::move(status));
  }
  bool is_finished() {
    std::lock_guard lock(mutex_);
    return is_finished_;
  }
  // Nothing is read or written once the stream is finished; what else reads or writes has to see to that
  // under the mutex.
  template <class Message>
  void read(Message& message) {
    std::lock_guard lock(mutex_);
    if (!is_finished_) this->StartRead(&message);
  }
  template <class Message>
  void write(const Message& message) {
    std::lock_guard lock(mutex_);
    if (!is_finished_) this->StartWrite(&message);
  }

  std::mutex mutex_;
  bool is_finished_ = false;

 private:
  Streams& streams_;
  std::shared_ptr<Stream> self_;  // while gRPC has it
};

}  // namespace rusternetes::rhino
