#include "probe_target.h"

#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "kubelet/probe/grpc_health.h"

namespace rusternetes::kubelet::testing {

HttpTarget::HttpTarget(EventThread& thread, const http::ServerTls* tls) : thread_(thread), never_(thread.executor()) {
  http::Server::Options options;
  options.executors = {thread.executor()};
  options.handler = [this](std::shared_ptr<http::Exchange> exchange) { return handle(std::move(exchange)); };
  server_ = std::make_unique<http::Server>(std::move(options));
  auto bound = tls ? server_->listen_tls("127.0.0.1", 0, *tls) : server_->listen_plain("127.0.0.1", 0);
  REQUIRE(bound);
  port = *bound;
  server_->start();
}

HttpTarget::~HttpTarget() { run_blocking(thread_.executor(), close()); }

Task<> HttpTarget::close() {
  co_await server_->stop(std::chrono::milliseconds(0));
  server_.reset();
}

Task<> HttpTarget::handle(std::shared_ptr<http::Exchange> exchange) {
  requests.push_back(exchange->head());
  if (is_silent) co_await never_.wait();
  auto reply = answer(exchange->head());
  http::ResponseHead head;
  head.status = reply.status;
  if (!reply.location.empty()) head.headers.add("location", reply.location);
  std::vector<http::Slice> body;
  body.push_back(http::Slice::own(std::move(reply.body)));
  (void)co_await exchange->respond(std::move(head), std::move(body));
}

namespace {

int listen_on_loopback(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof name;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(fd, 16) != 0) std::abort();
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
  port = ntohs(name.sin_port);
  return fd;
}

}  // namespace

std::uint16_t closed_port() {
  std::uint16_t port = 0;
  ::close(listen_on_loopback(port));
  return port;
}

// One connection with one call.
struct GrpcTarget::Connection {
  GrpcTarget& target;
  int fd;
  std::string request, response;
  std::map<std::string, std::string> headers;
  std::vector<std::pair<std::string, std::string>> trailers;
  nghttp2_session* session = nullptr;

  static nghttp2_nv pair(const std::string& name, const std::string& value) {
    return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())), reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
            name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }

  void reply(std::int32_t stream) {
    {
      std::lock_guard lock(target.mutex_);
      target.headers_ = headers;
    }
    const std::string service = request.size() > 7 ? request.substr(7) : "";
    auto found = target.services_.find(service);
    const Reply wanted = found == target.services_.end() ? Reply{0, 5, "unknown service", true} : found->second;
    trailers = {{"grpc-status", std::to_string(wanted.code)}};
    if (!wanted.message.empty()) trailers.emplace_back("grpc-message", wanted.message);
    static const std::vector<std::pair<std::string, std::string>> head = {{":status", "200"}, {"content-type", "application/grpc"}};
    std::vector<nghttp2_nv> fields;
    for (const auto& [name, value] : head) fields.push_back(pair(name, value));
    if (wanted.is_trailers_only) {
      for (const auto& [name, value] : trailers) fields.push_back(pair(name, value));
      ::nghttp2_submit_response(session, stream, fields.data(), fields.size(), nullptr);
      return;
    }
    if (wanted.code == 0) response = std::string("\0\0\0\0\x02\x08", 6) + static_cast<char>(wanted.health);
    nghttp2_data_provider body{};
    body.source.ptr = this;
    body.read_callback = [](nghttp2_session* session, std::int32_t stream, std::uint8_t* to, std::size_t, std::uint32_t* flags,
                            nghttp2_data_source* source, void*) -> ssize_t {
      auto& self = *static_cast<Connection*>(source->ptr);
      std::memcpy(to, self.response.data(), self.response.size());
      *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      std::vector<nghttp2_nv> last;
      for (const auto& [name, value] : self.trailers) last.push_back(pair(name, value));
      ::nghttp2_submit_trailer(session, stream, last.data(), last.size());
      return static_cast<ssize_t>(self.response.size());
    };
    ::nghttp2_submit_response(session, stream, fields.data(), fields.size(), &body);
  }

  void run() {
    nghttp2_session_callbacks* callbacks = nullptr;
    ::nghttp2_session_callbacks_new(&callbacks);
    ::nghttp2_session_callbacks_set_send_callback(callbacks, [](nghttp2_session*, const std::uint8_t* bytes, std::size_t size, int, void* user) {
      return static_cast<ssize_t>(::send(static_cast<Connection*>(user)->fd, bytes, size, MSG_NOSIGNAL));
    });
    ::nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                      std::size_t value_size, std::uint8_t, void* user) {
          static_cast<Connection*>(user)->headers[std::string(reinterpret_cast<const char*>(name), name_size)] =
              std::string(reinterpret_cast<const char*>(value), value_size);
          return 0;
        });
    ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t, const std::uint8_t* bytes, std::size_t size, void* user) {
          static_cast<Connection*>(user)->request.append(reinterpret_cast<const char*>(bytes), size);
          return 0;
        });
    ::nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
      if (frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        static_cast<Connection*>(user)->reply(frame->hd.stream_id);
      return 0;
    });
    ::nghttp2_session_server_new(&session, callbacks, this);
    ::nghttp2_session_callbacks_del(callbacks);
    ::nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
    std::uint8_t buffer[4096];
    while (!target.is_over_) {
      if (::nghttp2_session_send(session) != 0) break;
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, 50) <= 0) continue;
      const auto got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0 || ::nghttp2_session_mem_recv(session, buffer, static_cast<std::size_t>(got)) < 0) break;
    }
    ::nghttp2_session_del(session);
    ::close(fd);
  }
};

GrpcTarget::GrpcTarget(std::map<std::string, Reply> services) : services_(std::move(services)) {
  listener_ = listen_on_loopback(port);
  thread_ = std::thread([this] { serve(); });
}

GrpcTarget::~GrpcTarget() {
  is_over_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

std::map<std::string, std::string> GrpcTarget::headers() const {
  std::lock_guard lock(mutex_);
  return headers_;
}

void GrpcTarget::serve() {
  while (!is_over_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    Connection connection{*this, fd, {}, {}, {}, {}, nullptr};
    connection.run();
  }
}

}  // namespace rusternetes::kubelet::testing
