#pragma once
// The kubelet's server over a runtime in memory whose processes echo, and a client with a certificate.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "certs/certificate.h"
#include "fake_api.h"
#include "fake_runtime.h"
#include "http/client.h"
#include "http/streams/spdy_connection.h"
#include "kubelet/server/server.h"
#include "objects.h"

namespace rusternetes::kubelet::testing {

// What became of a process.
struct ProcessFate {
  bool is_gone = false;  // its streams were closed
  bool is_killed = false;
  bool ignores_end = false;  // it runs on without input
  bool was_given_end = false;  // of its standard input
  std::vector<std::string> sizes;
  int resizes_to_fail = 0;
  int exit_code = 3;
  std::string complaint = "bye";  // the last on its standard error, a frame of its own
  bool is_engine_word = false;    // what it complains, to the runtime
  std::size_t most_held = 0;
};

// A process like `cat; echo bye >&2; exit 3`: what it is given it says, framed unless it has a terminal.
class FakeProcess final : public engine::ExecSession, public http::ByteStream {
 public:
  FakeProcess(asio::any_io_executor executor, std::shared_ptr<ProcessFate> fate, bool has_tty, bool has_stdin)
      : fate_(std::move(fate)), has_tty_(has_tty), readable_(executor), room_(executor), ended_(executor) {
    if (!has_stdin) end();
  }
  ~FakeProcess() override { fate_->is_gone = true; }

  http::ByteStream& stream() override { return *this; }
  bool has_tty() const override { return has_tty_; }
  bool is_own_word(engine::StdStream which, std::string_view frame) const override {
    return fate_->is_engine_word && which == engine::StdStream::err && frame == fate_->complaint;
  }
  Task<Result<void>> resize(int width, int height) override {
    if (fate_->resizes_to_fail > 0) {
      --fate_->resizes_to_fail;
      co_return internal_error("no process yet");
    }
    fate_->sizes.push_back(std::to_string(width) + "x" + std::to_string(height));
    if (has_tty_) {
      say(1, "resized");
      end();
    }
    co_return Result<void>{};
  }
  Task<Result<int>> exit_code() override {
    co_await take_a_turn();
    while (!is_ended_ || fate_->ignores_end) co_await ended_.wait();
    co_return fate_->exit_code;
  }
  Task<Result<void>> kill() override {
    fate_->is_killed = true;
    co_return Result<void>{};
  }

  Task<Result<std::string>> read_some() override {
    while (out_.empty() && !is_ended_) co_await readable_.wait();
    std::string bytes = std::move(out_);
    out_.clear();
    room_.set();
    co_return bytes;
  }
  Task<Result<void>> write(std::string_view bytes) override {
    while (out_.size() > 64 * 1024) co_await room_.wait();
    say(1, bytes);
    co_return Result<void>{};
  }
  Task<Result<void>> shutdown_write() override {
    co_await take_a_turn();
    fate_->was_given_end = true;
    end();
    co_return Result<void>{};
  }

 private:
  // As an engine, which is asked over a socket: what is cancelled meanwhile does not happen.
  static Task<> take_a_turn() { co_await sleep_for(std::chrono::milliseconds(1)); }
  void say(int stream, std::string_view bytes) {
    if (!has_tty_) {
      out_ += std::string{static_cast<char>(stream), 0, 0, 0};
      for (int shift = 24; shift >= 0; shift -= 8) out_ += static_cast<char>(bytes.size() >> shift & 0xff);
    }
    out_.append(bytes);
    fate_->most_held = std::max(fate_->most_held, out_.size());
    readable_.set();
  }
  void end() {
    if (!has_tty_) say(2, fate_->complaint);
    is_ended_ = true;
    readable_.set();
    ended_.set();
  }

  std::shared_ptr<ProcessFate> fate_;
  bool has_tty_;
  AsyncEvent readable_, room_, ended_;
  std::string out_;
  bool is_ended_ = false;
};

inline int listen_on(int family, std::uint16_t& port) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_storage storage{};
  socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  storage.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET)
    reinterpret_cast<sockaddr_in*>(&storage)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr = in6addr_loopback;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0 || ::listen(fd, 64) != 0) {
    ::close(fd);
    return -1;
  }
  length = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  port = ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  return fd;
}

struct StreamAnswer {
  int status = 0;
  std::string body;
  std::unique_ptr<http::ByteStream> stream;
};

// The kubelet's server with one Pod that has a running container, and a client with a certificate.
struct StreamWorld {
  StreamWorld() {
    options.node_name = "n1";
    options.serving_certificate_pem = server_pair.certificate_pem;
    options.serving_key_pem = server_pair.key_pem;
    options.client_ca_pem = authority.certificate_pem;
    api.allowed_subresources = {"proxy"};
    pod = make_pod(R"({"containers":[{"name":"a","image":"i"}]})");
    engine::SandboxStatus sandbox = ready_sandbox();
    sandbox.uid = "u1";
    sandbox.netns_path = "/proc/self/ns/net";
    runtime.sandboxes["s1"] = sandbox;
    engine::ContainerStatus live = container("a", engine::ContainerState::running);
    live.id = "c1";
    runtime.containers["c1"] = live;
    runtime.on_session = [this](std::string id, engine::ExecSpec spec, bool is_attach) {
      started.push_back(id + (is_attach ? " attach" : ""));
      specs.push_back(spec);
      std::unique_ptr<engine::ExecSession> session = std::make_unique<FakeProcess>(
          thread.executor(), fate, is_attach ? attach_has_tty : spec.has_tty, spec.has_stdin);
      return Result<std::unique_ptr<engine::ExecSession>>(std::move(session));
    };
    run(begin());
  }
  ~StreamWorld() {
    run(end());
    thread.stop();
  }
  void run(Task<> task) { run_blocking(thread.executor(), std::move(task)); }
  Task<> begin() {
    REQUIRE(server->start(listen_on(AF_INET, port)));
    http::Endpoint endpoint;
    endpoint.url = "https://127.0.0.1:" + std::to_string(port);
    endpoint.tls.ca_pem = authority.certificate_pem;
    endpoint.tls.certificate_chain_pem = client_pair.certificate_pem;
    endpoint.tls.private_key_pem = client_pair.key_pem;
    client = *http::Client::create(thread.executor(), endpoint);
    co_return;
  }
  Task<> end() {
    client->close();
    co_await server->stop();
  }
  Task<StreamAnswer> ask(std::string target, std::string protocol, std::string method = "POST") {
    http::ClientRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    if (protocol.starts_with("ws:")) {
      request.headers.add("Connection", "Upgrade");
      request.headers.add("Upgrade", "websocket");
      request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
      request.headers.add("Sec-WebSocket-Version", "13");
      request.headers.add("Sec-WebSocket-Protocol", protocol.substr(3));
    } else if (!protocol.empty()) {
      request.headers.add("Connection", "Upgrade");
      request.headers.add("Upgrade", "SPDY/3.1");
      request.headers.add("X-Stream-Protocol-Version", protocol);
    }
    auto sent = co_await client->send(std::move(request));
    REQUIRE(sent);
    auto response = *std::move(sent);
    StreamAnswer out;
    out.status = response->head().status;
    if (out.status == 101) {
      auto stream = response->take_stream();
      REQUIRE(stream);
      out.stream = *std::move(stream);
    } else {
      auto body = co_await response->read_all(1 << 20);
      if (body) out.body = *body;
    }
    co_return out;
  }
  Task<std::shared_ptr<http::SpdyConnection>> spdy(std::string target,
                                                   std::string protocol = "v4.channel.k8s.io") {
    StreamAnswer answer = co_await ask(std::move(target), std::move(protocol));
    INFO(answer.body);
    REQUIRE(answer.status == 101);
    auto made = http::SpdyConnection::create(thread.executor(), std::move(answer.stream),
                                             http::SpdyConnection::Role::client, {});
    made->start();
    co_return made;
  }

  certs::KeyPair authority = *certs::make_authority({.common_name = "ca"}, Clock::system().now());
  certs::KeyPair server_pair = issue("n1", true), client_pair = issue("kube-apiserver", false);
  certs::KeyPair issue(const std::string& name, bool is_server) {
    certs::LeafRequest request;
    request.common_name = name;
    request.organizations = {"masters"};
    request.ip_addresses = {"127.0.0.1"};
    request.is_server = is_server;
    request.is_client = !is_server;
    return *certs::issue(authority, request, Clock::system().now());
  }
  KubeletOptions options;
  EventThread thread{"stream-test"};
  FakeApi api{thread.executor()};
  FakeRuntime runtime{thread.executor()};
  WorkerThread files{"files"};
  Document pod;
  std::shared_ptr<ProcessFate> fate = std::make_shared<ProcessFate>();
  bool attach_has_tty = false;
  std::vector<std::string> started;
  std::vector<engine::ExecSpec> specs;
  std::unique_ptr<KubeletServer> server = std::make_unique<KubeletServer>(
      KubeletServer::Parts{options, api, runtime, files,
                           [this](std::string_view name_space, std::string_view name) {
                             return name_space == "default" && name == "web" ? pod : Document{};
                           },
                           [this] { return std::vector<Document>{pod}; }, [] { return std::string("ok"); }});
  std::unique_ptr<http::Client> client;
  std::uint16_t port = 0;
};

using Test = std::function<Task<>(StreamWorld&)>;
inline void in_world(Test test) {
  StreamWorld world;
  world.run(test(world));
}

inline Task<std::shared_ptr<http::MultiplexedStream>> open(std::shared_ptr<http::SpdyConnection> connection,
                                                           std::string type, std::string port = {},
                                                           std::string id = {}) {
  http::Headers headers;
  headers.add("streamtype", std::move(type));
  if (!port.empty()) headers.add("port", std::move(port));
  if (!id.empty()) headers.add("requestid", std::move(id));
  auto opened = co_await connection->open(std::move(headers));
  REQUIRE(opened);
  co_return *opened;
}
inline Task<Result<std::string>> read_all(http::ByteStream& stream) {
  std::string all;
  for (;;) {
    auto piece = co_await stream.read_some();
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return all;
    all += *piece;
  }
}
inline Task<> say(http::ByteStream& stream, std::string text) {
  auto sent = co_await stream.write(text);
  REQUIRE(sent);
}
inline Task<> finish(http::ByteStream& stream) {
  auto ended = co_await stream.shutdown_write();
  REQUIRE(ended);
}
inline Task<bool> comes_true(std::function<bool()> holds) {
  for (int i = 0; i < 2000 && !holds(); ++i) co_await sleep_for(std::chrono::milliseconds(5));
  co_return holds();
}

}  // namespace rusternetes::kubelet::testing
