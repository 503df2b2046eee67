#include "http/streams/waiters.h"

namespace rusternetes::http {

// A waiter's place in the row, given up when its coroutine ends, however it does.
class Waiters::Place {
 public:
  explicit Place(Waiters& row) : row_(row), waiter_{AsyncEvent(row.executor_)} {
    at_ = row_.waiting_.insert(row_.waiting_.end(), &waiter_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (!waiter_.is_woken)
      row_.waiting_.erase(at_);
    else if (!is_taken)
      row_.wake_one();
  }

  Waiter& waiter() { return waiter_; }
  bool is_taken = false;

 private:
  Waiters& row_;
  Waiter waiter_;
  std::list<Waiter*>::iterator at_;
};

Task<> Waiters::wait() {
  Place place(*this);
  while (!place.waiter().is_woken) co_await place.waiter().event.wait();
  place.is_taken = true;
}

void Waiters::wake_one() {
  if (waiting_.empty()) return;
  Waiter* first = waiting_.front();
  waiting_.pop_front();
  first->is_woken = true;
  first->event.set();
}

void Waiters::wake_all() {
  while (!waiting_.empty()) wake_one();
}

}  // namespace rusternetes::http
