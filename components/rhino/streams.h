#pragma once
// The streams that are open, so that stop() can end them: a server does not shut down while one is.

#include <memory>
#include <mutex>
#include <set>
#include <vector>

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

}  // namespace rusternetes::rhino
