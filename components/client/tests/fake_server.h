#pragma once
// Servers that a test writes the answers of: orderly ones, and one that breaks off within its answer.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "base/task.h"
#include "http/server.h"

namespace rusternetes::client::testing {

struct Reply {
  int code = 200;
  std::string body;
  std::string type = "application/json";
  std::vector<std::string> pieces;  // a stream, instead of the body
  bool hangs = false;
};

class FakeServer {
 public:
  using Answer = std::function<Reply(const http::RequestHead& head, std::string body)>;
  FakeServer(asio::any_io_executor executor, Answer answer)
      : executor_(executor), answer_(std::move(answer)) {
    http::Server::Options options;
    options.executors = {executor};
    options.handler = [this](std::shared_ptr<http::Exchange> exchange) {
      return handle(std::move(exchange));
    };
    server_ = std::make_unique<http::Server>(std::move(options));
    auto port = server_->listen_plain("127.0.0.1", 0);
    REQUIRE(port);
    url_ = "http://127.0.0.1:" + std::to_string(*port);
    server_->start();
  }
  ~FakeServer() { run_blocking(executor_, server_->stop(std::chrono::milliseconds(0))); }
  const std::string& url() const { return url_; }
  std::vector<std::string> requests;  // "GET /api/..."; on the executor

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange) {
    requests.push_back(std::string(exchange->head().method) + " " + std::string(exchange->head().target));
    auto body = co_await exchange->read_body(1 << 20);
    if (!body) co_return;
    const Reply reply = answer_(exchange->head(), *body);
    if (reply.hangs) {
      AsyncEvent never(executor_);
      co_await never.wait();
    }
    http::ResponseHead head;
    head.status = reply.code;
    head.headers.add("content-type", reply.type);
    if (reply.pieces.empty()) {
      std::vector<http::Slice> slices;
      slices.push_back(http::Slice::own(reply.body));
      auto sent = co_await exchange->respond(std::move(head), std::move(slices));
      (void)sent;
      co_return;
    }
    auto begun = co_await exchange->begin(std::move(head));
    for (const auto& piece : reply.pieces) {
      std::vector<http::Slice> slices;
      slices.push_back(http::Slice::own(piece));
      auto sent = co_await exchange->write(std::move(slices));
      if (!sent) co_return;
    }
    auto finished = co_await exchange->finish();
    (void)begun, (void)finished;
  }
  asio::any_io_executor executor_;
  Answer answer_;
  std::unique_ptr<http::Server> server_;
  std::string url_;
};

// Reads a request, answers half, and closes.
class DyingServer {
 public:
  explicit DyingServer(asio::any_io_executor executor)
      : acceptor_(executor, {asio::ip::make_address("127.0.0.1"), 0}), tasks_(executor) {
    url_ = "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
    tasks_.spawn("dying-server", serve());
  }
  ~DyingServer() { run_blocking(tasks_.executor(), tasks_.stop()); }
  const std::string& url() const { return url_; }
  int requests = 0;  // on the executor

 private:
  Task<> serve() {
    for (;;) {
      asio::ip::tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
      asio::streambuf buffer;
      co_await asio::async_read_until(socket, buffer, "\r\n\r\n", asio::use_awaitable);
      ++requests;
      const std::string half =
          "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"kind\":";
      co_await asio::async_write(socket, asio::buffer(half), asio::use_awaitable);
    }
  }
  asio::ip::tcp::acceptor acceptor_;
  TaskGroup tasks_;
  std::string url_;
};

// Where nobody listens.
inline std::string refusing_url(asio::any_io_executor executor) {
  asio::ip::tcp::acceptor acceptor(executor, {asio::ip::make_address("127.0.0.1"), 0});
  return "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
}

}  // namespace rusternetes::client::testing
