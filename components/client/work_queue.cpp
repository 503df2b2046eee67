#include "client/work_queue.h"

#include <algorithm>

namespace rusternetes::client {

using SteadyClock = std::chrono::steady_clock;

// A place among the waiters for as long as a worker waits. Who was woken stands at the end, so that the next
// key wakes somebody else.
class WorkQueue::Waiting {
 public:
  explicit Waiting(WorkQueue& queue)
      : waiters_(queue.waiters_), place_(waiters_->emplace(waiters_->begin(), queue.executor_)) {}
  ~Waiting() { waiters_->erase(place_); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  Task<bool> until(Time deadline) { return place_->wait_until(deadline); }

 private:
  std::shared_ptr<Waiters> waiters_;
  Waiters::iterator place_;
};

WorkQueue::WorkQueue(asio::any_io_executor executor) : WorkQueue(std::move(executor), Options{}) {}
WorkQueue::WorkQueue(asio::any_io_executor executor, Options options)
    : options_(std::move(options)), executor_(std::move(executor)) {}

void WorkQueue::wake_one() {
  if (waiters_->empty()) return;
  waiters_->front().set();
  waiters_->splice(waiters_->end(), *waiters_, waiters_->begin());
}

void WorkQueue::add(std::string key) {
  if (processing_.contains(key)) {  // it changed while it is being worked on: once more afterwards
    again_.insert(std::move(key));
    return;
  }
  const std::int64_t rank = options_.rank ? options_.rank(key) : 0;
  if (auto queued = queued_.find(key); queued != queued_.end()) {
    Place& place = queued->second;
    if (place.rank == rank) return;
    auto moved = ready_.extract(place);
    moved.key().rank = place.rank = rank;
    ready_.insert(std::move(moved));
    return;
  }
  const Place place{rank, came_++};
  queued_.emplace(key, place);
  ready_.emplace(place, std::move(key));
  wake_one();
}

void WorkQueue::add_after(std::string key, std::chrono::nanoseconds delay) {
  if (delay <= std::chrono::nanoseconds::zero()) return add(std::move(key));
  const Time due = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(delay);
  if (auto waiting = delayed_.find(key); waiting != delayed_.end()) {
    if (waiting->second->first <= due) return;
    later_.erase(waiting->second);
    waiting->second = later_.emplace(due, std::move(key));
  } else {
    delayed_[key] = later_.emplace(due, key);
  }
  wake_one();  // to wait no longer than until then
}

void WorkQueue::add_rate_limited(std::string key) {
  const int failures = failures_[key]++;
  auto delay = options_.base_delay;
  for (int i = 0; i < failures && delay < options_.max_delay; ++i) delay *= 2;
  add_after(std::move(key), std::min(delay, options_.max_delay));
}

void WorkQueue::forget(const std::string& key) { failures_.erase(key); }

int WorkQueue::failures(const std::string& key) const {
  auto it = failures_.find(key);
  return it == failures_.end() ? 0 : it->second;
}

void WorkQueue::take_due() {
  const auto now = SteadyClock::now();
  while (!later_.empty() && later_.begin()->first <= now) {
    std::string key = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    delayed_.erase(key);
    add(std::move(key));
  }
}

Task<std::string> WorkQueue::next() {
  for (;;) {
    take_due();
    if (!ready_.empty()) {
      std::string key = std::move(ready_.begin()->second);
      ready_.erase(ready_.begin());
      queued_.erase(key);
      processing_.insert(key);
      // Somebody else must look after what is left, also after what is due later: this worker may be busy for
      // long.
      if (!ready_.empty() || !later_.empty()) wake_one();
      co_return key;
    }
    Waiting waiting(*this);
    co_await waiting.until(later_.empty() ? Time::max() : later_.begin()->first);
  }
}

void WorkQueue::done(const std::string& key) {
  processing_.erase(key);
  if (again_.erase(key)) add(key);
}

}  // namespace rusternetes::client
