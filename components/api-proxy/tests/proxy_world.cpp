#include "proxy_world.h"

#include <netinet/in.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

namespace rusternetes::api_proxy::testing {

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 4711;
  for (auto& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

const Pki& Pki::get() {
  static const Pki pki = [] {
    const auto now = Clock::system().now();
    Pki made;
    made.authority = certs::make_authority({.common_name = "test-ca"}, now).value();
    certs::LeafRequest server;
    server.common_name = "kube-apiserver";
    server.dns_names = {"localhost"};
    server.ip_addresses = {"127.0.0.1"};
    server.is_server = true;
    made.server = certs::issue(made.authority, server, now).value();
    certs::LeafRequest client;
    client.common_name = "alice";
    client.is_client = true;
    made.client = certs::issue(made.authority, client, now).value();
    return made;
  }();
  return pki;
}

TestServer::TestServer(std::string name) : name_(std::move(name)) { start(); }

TestServer::~TestServer() {
  resume();
  if (server_) kill();
}

void TestServer::start() {
  http::Server::Options options;
  options.name = name_;
  options.executors = {thread_.executor()};
  options.handler = [this](std::shared_ptr<http::Exchange> exchange) { return handle(std::move(exchange)); };
  server_ = std::make_unique<http::Server>(std::move(options));
  const Pki& pki = Pki::get();
  port_ = server_
              ->listen_tls("127.0.0.1", port_,
                           {pki.server.certificate_pem, pki.server.key_pem, pki.authority.certificate_pem})
              .value();
  server_->start();
}

void TestServer::kill() {
  run_blocking(thread_.executor(), server_->stop(0ms));
  server_.reset();
}

void TestServer::pause() {
  paused_ = std::make_shared<std::promise<void>>();
  auto holds = std::make_shared<std::promise<void>>();
  asio::post(thread_.executor(), [paused = paused_, holds] {
    holds->set_value();
    paused->get_future().wait();
  });
  holds->get_future().wait();
}

void TestServer::resume() {
  if (paused_) std::exchange(paused_, nullptr)->set_value();
}

Task<> TestServer::handle(std::shared_ptr<http::Exchange> exchange) {
  http::ResponseHead head;
  std::string text = "ok";
  if (exchange->head().target == "/readyz") {
    ++probes;
    if (!is_ready) head.status = 500;
  } else {
    text = name_;
    if (!exchange->peer().verified_chain.empty()) text += " with certificate";
  }
  std::vector<http::Slice> slices;
  slices.push_back(http::Slice::own(std::move(text)));
  auto sent = co_await exchange->respond(std::move(head), std::move(slices));
  (void)sent;
}

Socket::Socket(int fd) : fd_(fd) {
  const timeval limit{20, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Socket Socket::connect(std::uint16_t port) {
  Socket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(made.fd(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  return made;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

bool Socket::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string Socket::read(std::size_t size) const {
  std::string all;
  std::vector<char> buffer(64 << 10);
  while (all.size() < size) {
    const ssize_t n = ::recv(fd_, buffer.data(), std::min(buffer.size(), size - all.size()), 0);
    if (n < 0) all += errno == ECONNRESET ? "(reset)" : "(nothing in time)";
    if (n <= 0) break;
    all.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return all;
}

bool Socket::is_at_end() const {
  char byte;
  const ssize_t n = ::recv(fd_, &byte, 1, 0);
  return n == 0 || (n < 0 && errno == ECONNRESET);
}

void Socket::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(fd_, -1));
}

Listener::Listener(std::uint16_t port, int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(port);
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const timeval limit{20, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
  REQUIRE(::listen(fd_, backlog) == 0);
  socklen_t size = sizeof own;
  REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) == 0);
  port_ = ntohs(own.sin_port);
}

Listener::~Listener() { ::close(fd_); }

Socket Listener::accept() const {
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);
  return Socket(fd);
}

World::World(const std::vector<std::uint16_t>& ports, const std::function<void(Options&)>& adjust) {
  Options options;
  options.listen = {"127.0.0.1", 0};
  for (const auto port : ports) options.servers.push_back({"127.0.0.1", port});
  options.tls.ca_pem = Pki::get().authority.certificate_pem;
  options.probe_interval = 50ms;
  options.probe_timeout = 500ms;
  options.grace = 100ms;
  if (adjust) adjust(options);
  auto made = ApiProxy::make(thread.executor(), std::move(options));
  REQUIRE(made);
  proxy = *std::move(made);
  asio::post(thread.executor(), [this] { proxy->start(); });
}

World::~World() { stop(); }

void World::stop() {
  if (!proxy) return;
  run_blocking(thread.executor(), proxy->stop());
  thread.stop();
  proxy.reset();
}

namespace {
template <class F>
auto on_thread(EventThread& thread, F read) {
  std::promise<decltype(read())> promise;
  asio::post(thread.executor(), [&] { promise.set_value(read()); });
  return promise.get_future().get();
}

Task<> fetch(http::Client& client, std::string target, std::string& out) {
  http::ClientRequest request;
  request.target = std::move(target);
  auto sent = co_await client.send(std::move(request));
  if (!sent) {
    out = "error: " + sent.error().message;
    co_return;
  }
  auto body = co_await (*sent)->read_all(1 << 20);
  out = body ? *body : "error: " + body.error().message;
}
}  // namespace

Balancer::Standing World::standing(std::size_t server) {
  return on_thread(thread, [&] { return proxy->balancer().standing(server); });
}
std::size_t World::connections(std::size_t server) {
  return on_thread(thread, [&] { return proxy->balancer().connections(server); });
}
std::size_t World::connections() {
  return on_thread(thread, [&] { return proxy->connections(); });
}
bool World::are_ready(std::size_t count) {
  return eventually([&] {
    return on_thread(thread, [&] {
      std::size_t ready = 0;
      for (std::size_t i = 0; i < proxy->balancer().size(); ++i)
        ready += proxy->balancer().standing(i) == Balancer::Standing::ready;
      return ready == count;
    });
  });
}

Caller::Caller(std::uint16_t port, bool has_certificate) {
  const Pki& pki = Pki::get();
  http::Endpoint endpoint{"https://127.0.0.1:" + std::to_string(port), {}};
  endpoint.tls.ca_pem = pki.authority.certificate_pem;
  if (has_certificate) {
    endpoint.tls.certificate_chain_pem = pki.client.certificate_pem;
    endpoint.tls.private_key_pem = pki.client.key_pem;
  }
  http::ClientOptions options;
  options.allow_http2 = false;
  options.header_timeout = 20s;
  client_ = http::Client::create(thread_.executor(), endpoint, options).value();
}

std::string Caller::get(const std::string& target) {
  std::string out;
  run_blocking(thread_.executor(), fetch(*client_, target, out));
  return out;
}

std::string get_once(std::uint16_t port, const std::string& target) { return Caller(port).get(target); }

int plain_status(std::uint16_t port, const std::string& target) {
  const Socket socket = Socket::connect(port);
  REQUIRE(socket.send("GET " + target + " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
  const std::string answer = socket.read_to_end();
  REQUIRE(answer.starts_with("HTTP/1.1 "));
  return std::stoi(answer.substr(9, 3));
}

}  // namespace rusternetes::api_proxy::testing
