#include "client/work_queue.h"

#include <algorithm>

namespace rusternetes::client {

using SteadyClock = std::chrono::steady_clock;

WorkQueue::WorkQueue(asio::any_io_executor executor) : WorkQueue(std::move(executor), Options{}) {}
WorkQueue::WorkQueue(asio::any_io_executor executor, Options options)
    : options_(options), wake_(std::move(executor)) {}

void WorkQueue::add(std::string key) {
  if (processing_.contains(key)) {  // it changed while it is being worked on: once more afterwards
    again_.insert(std::move(key));
    return;
  }
  if (!queued_.insert(key).second) return;
  ready_.push_back(std::move(key));
  wake_.set();
}

void WorkQueue::add_after(std::string key, std::chrono::nanoseconds delay) {
  if (delay <= std::chrono::nanoseconds::zero()) return add(std::move(key));
  later_.emplace(SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(delay), std::move(key));
  wake_.set();
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
    add(std::move(key));
  }
}

Task<std::string> WorkQueue::next() {
  for (;;) {
    take_due();
    if (!ready_.empty()) {
      std::string key = std::move(ready_.front());
      ready_.pop_front();
      queued_.erase(key);
      processing_.insert(key);
      if (!ready_.empty()) wake_.set();  // another worker may wait
      co_return key;
    }
    const auto until = later_.empty() ? SteadyClock::time_point::max() : later_.begin()->first;
    co_await wake_.wait_until(until);
  }
}

void WorkQueue::done(const std::string& key) {
  processing_.erase(key);
  if (again_.erase(key)) add(key);
}

}  // namespace rusternetes::client
