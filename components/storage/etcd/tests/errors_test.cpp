#include "storage/etcd/errors.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "storage/blocking.h"
#include "storage/etcd/etcd_store.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::etcd;

TEST_CASE("a call whose connection a server closes is one that another server may answer, and may have happened") {
  for (const grpc::Status& status : {grpc::Status(grpc::StatusCode::UNKNOWN, "Stream removed"),
                                     grpc::Status(grpc::StatusCode::UNKNOWN, "No status received"),
                                     grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed"),
                                     grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded")}) {
    CHECK(is_server_failing(status));
    CHECK_FALSE(is_surely_unsent(status));
  }
  // What a server has answered.
  CHECK_FALSE(is_server_failing(grpc::Status(grpc::StatusCode::UNKNOWN, "etcdserver: corrupt cluster")));
  CHECK_FALSE(is_server_failing(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "Stream removed")));
  CHECK(is_surely_unsent(grpc::Status(grpc::StatusCode::UNAVAILABLE, "etcdserver: no leader")));
}

namespace {

// Speaks so much HTTP/2 that each call is answered by headers alone, without a status of gRPC's.
class StatuslessServer {
 public:
  StatuslessServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    socklen_t length = sizeof own;
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&own), &length) == 0);
    port_ = ntohs(own.sin_port);
    accepting_ = std::thread([this] {
      for (int fd; (fd = ::accept(listener_, nullptr, nullptr)) >= 0;) serving_.emplace_back([this, fd] { serve(fd); });
    });
  }
  ~StatuslessServer() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (std::thread& one : serving_) one.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::atomic<int> answered{0};

 private:
  static bool read(int fd, void* into, std::size_t size) {
    return ::recv(fd, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
  void serve(int fd) {
    const auto send = [fd](std::vector<unsigned char> bytes) {
      return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    };
    unsigned char preface[24], head[9];
    bool goes_on = read(fd, preface, sizeof preface) && send({0, 0, 0, 4, 0, 0, 0, 0, 0});  // SETTINGS
    while (goes_on && read(fd, head, sizeof head)) {
      std::vector<unsigned char> payload(static_cast<std::size_t>(head[0]) << 16 | head[1] << 8 | head[2]);
      if (!payload.empty() && !read(fd, payload.data(), payload.size())) break;
      if (head[3] == 4 && head[4] == 0) goes_on = send({0, 0, 0, 4, 1, 0, 0, 0, 0});
      if (head[3] != 1) continue;
      // HEADERS with END_STREAM and END_HEADERS: ":status: 200" of HPACK's table.
      goes_on = send({0, 0, 1, 1, 5, head[5], head[6], head[7], head[8], 0x88});
      ++answered;
    }
    ::close(fd);
  }
  int listener_;
  std::uint16_t port_ = 0;
  std::thread accepting_;
  std::vector<std::thread> serving_;
};

}  // namespace

TEST_CASE("a server that ends a call without a status, as one does that stops, is an error and no abort") {
  StatuslessServer server;
  EtcdOptions options;
  options.servers = {server.url()};
  auto opened = EtcdStore::open(options);
  if (opened) {
    const auto found = blocking_call<RangeResponse>(
        [&](auto done) { (*opened)->range(RangeRequest{.key = "a"}, std::move(done)); });
    CHECK_FALSE(found);
  }
  CHECK(server.answered > 0);
}
