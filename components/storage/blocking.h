#pragma once
// A call of the store, whose answer comes to a callback, as one that waits for it.

#include <future>
#include <memory>
#include <utility>

#include "base/status.h"

namespace rusternetes::storage {

// `start` gets the callback, a copyable void(Result<T>), and sees to it that it is called once. Not for a
// thread of the store's: those call it.
template <class T, class Start>
Result<T> blocking_call(Start start) {
  // The callback keeps the promise too: who waited may be gone while the thread that answered is still
  // leaving set_value().
  auto answer = std::make_shared<std::promise<Result<T>>>();
  start([answer](Result<T> result) { answer->set_value(std::move(result)); });
  return answer->get_future().get();
}

}  // namespace rusternetes::storage
