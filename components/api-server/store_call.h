#pragma once
// A call of the store, whose answer comes to a callback on a thread of the store's, as a coroutine's.

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "base/status.h"
#include "base/task.h"

namespace rusternetes::api_server {

// `start` gets the callback, a copyable void(Result<T>), and calls it once, on whatever thread; the answer is posted back
// to the caller's executor.
template <class T, class Start>
Task<Result<T>> store_call(Start start) {
  auto result = std::make_shared<Result<T>>(Status{});
  auto executor = co_await asio::this_coro::executor;
  auto initiate = [&](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    start([shared, result, executor](Result<T> answer) {
      *result = std::move(answer);
      asio::post(executor, [shared] { (*shared)(); });
    });
  };
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(initiate, asio::use_awaitable);
  co_return std::move(*result);
}

}  // namespace rusternetes::api_server
