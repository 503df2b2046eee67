#pragma once
// Coroutines of one executor that wait for their turn, first come first served. Must outlive those who wait.

#include <list>

#include "base/task.h"

namespace rusternetes::http {

class Waiters {
 public:
  explicit Waiters(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  // Until a wake_one() or wake_all() is meant for this one. A turn that came to a cancelled one goes to the
  // next.
  Task<> wait();
  void wake_one();
  void wake_all();
  bool empty() const { return waiting_.empty(); }

 private:
  struct Waiter {
    AsyncEvent event;
    bool is_woken = false;
  };
  class Place;
  asio::any_io_executor executor_;
  std::list<Waiter*> waiting_;
};

}  // namespace rusternetes::http
