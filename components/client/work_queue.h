#pragma once
// Keys that wait to be reconciled (client-go's rate-limiting queue): each key once, never two of the same at
// a time, failed ones again after an exponential back-off; in the order in which they became ready, or by
// rank first. One executor's.

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/task.h"

namespace rusternetes::client {

class WorkQueue {
 public:
  struct Options {
    std::chrono::milliseconds base_delay{5};
    std::chrono::milliseconds max_delay{1000'000};
    // The higher comes first. Asked when a key becomes ready, and again when it is added while it waits.
    std::function<std::int64_t(const std::string& key)> rank = {};
  };
  explicit WorkQueue(asio::any_io_executor executor);
  WorkQueue(asio::any_io_executor executor, Options options);

  void add(std::string key);
  // A key waits once: of two delays the one that is over first counts.
  void add_after(std::string key, std::chrono::nanoseconds delay);
  // After its back-off, which doubles with every call until forget().
  void add_rate_limited(std::string key);
  void forget(const std::string& key);
  int failures(const std::string& key) const;
  std::size_t size() const { return ready_.size(); }
  // Keys whose delay is not over.
  std::size_t delayed() const { return later_.size(); }

  // The next key; done() must follow. Throws when the waiting coroutine is cancelled. Any number may wait.
  Task<std::string> next();
  void done(const std::string& key);

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Waiters = std::list<AsyncEvent>;  // each waits on its own: an AsyncEvent has one deadline
  class Waiting;
  struct Place {
    std::int64_t rank;
    std::uint64_t number;  // as they came
    bool operator<(const Place& other) const {
      return rank != other.rank ? rank > other.rank : number < other.number;
    }
  };
  void take_due();
  void wake_one();
  Options options_;
  asio::any_io_executor executor_;
  std::shared_ptr<Waiters> waiters_ =
      std::make_shared<Waiters>();  // outlives a queue whose workers were never stopped
  std::map<Place, std::string> ready_;
  std::map<std::string, Place> queued_;  // those in ready_
  std::uint64_t came_ = 0;
  std::set<std::string> processing_, again_;
  std::multimap<Time, std::string> later_;
  std::map<std::string, std::multimap<Time, std::string>::iterator> delayed_;
  std::map<std::string, int> failures_;
};

}  // namespace rusternetes::client
