#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace rusternetes::http::testing {
namespace {

ResponseHead plain_text(int status = 200) {
  ResponseHead head{status, {}};
  head.headers.add("content-type", "text/plain");
  return head;
}

std::vector<Slice> one(std::string text) {
  std::vector<Slice> slices;
  slices.push_back(Slice::own(std::move(text)));
  return slices;
}

Task<> fetch_into(Client& client, ClientRequest request, Reply& reply) {
  auto sent = co_await client.send(std::move(request));
  if (!sent) {
    reply.error = sent.error();
    co_return;
  }
  auto response = *std::move(sent);
  reply.status = response->head().status;
  reply.headers = response->head().headers;
  auto body = co_await response->read_all(256 << 20);
  if (!body) {
    reply.error = body.error();
    co_return;
  }
  reply.body = *std::move(body);
  reply.is_ok = true;
}

Task<> stop_server(Server& server, std::chrono::milliseconds grace) { co_await server.stop(grace); }

}  // namespace

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 12345;
  for (auto& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

Harness::Harness(ServerLimits limits, bool asks_for_certificates, int threads)
    : asks_for_certificates_(asks_for_certificates) {
  Server::Options options;
  options.name = "test-server";
  options.limits = limits;
  options.handler = [this](std::shared_ptr<Exchange> exchange) { return handle(std::move(exchange)); };
  for (int i = 0; i < threads; ++i) {
    threads_.push_back(std::make_unique<EventThread>("server"));
    options.executors.push_back(threads_.back()->executor());
  }
  server = std::make_unique<Server>(std::move(options));
  tls_port = server->listen_tls("127.0.0.1", 0, server_tls()).value();
  plain_port = server->listen_plain("127.0.0.1", 0).value();
  char folder[] = "/tmp/http_tests.XXXXXX";
  REQUIRE(::mkdtemp(folder));
  unix_path = std::string(folder) + "/socket";
  REQUIRE(server->listen_unix(unix_path));
  server->start();
}

Harness::~Harness() {
  is_released_ = true;
  if (server) {
    run(stop_server(*server, std::chrono::milliseconds(0)));
    server.reset();
  }
  ::rmdir(unix_path.substr(0, unix_path.rfind('/')).c_str());
}

ServerTls Harness::server_tls() const {
  ServerTls tls{server_identity.certificate_pem, server_identity.private_key_pem, {}};
  if (asks_for_certificates_) tls.client_ca_pem = client_authority.pem();
  return tls;
}

std::unique_ptr<Client> Harness::client(const std::string& kind, ClientOptions options,
                                        const Identity* identity, bool trusts_server) {
  Endpoint endpoint;
  if (kind == "unix")
    endpoint.url = "unix://" + unix_path;
  else if (kind == "http")
    endpoint.url = "http://127.0.0.1:" + std::to_string(plain_port);
  else
    endpoint.url = "https://127.0.0.1:" + std::to_string(tls_port);
  options.allow_http2 = kind == "h2";
  endpoint.tls.ca_pem = trusts_server ? authority.pem() : client_authority.pem();
  if (identity) {
    endpoint.tls.certificate_chain_pem = identity->certificate_pem;
    endpoint.tls.private_key_pem = identity->private_key_pem;
  }
  auto made = Client::create(thread.executor(), endpoint, options);
  REQUIRE(made);
  return *std::move(made);
}

Reply Harness::fetch(Client& client, ClientRequest request) {
  Reply reply;
  run(fetch_into(client, std::move(request), reply));
  return reply;
}
Reply Harness::get(Client& client, std::string target) {
  return fetch(client, {"GET", std::move(target), {}, {}});
}
Reply Harness::post(Client& client, std::string target, std::string body) {
  return fetch(client, {"POST", std::move(target), {}, std::move(body)});
}

std::future<void> Harness::stop_later(std::chrono::milliseconds grace) {
  return std::async(std::launch::async, [this, grace] { run(stop_server(*server, grace)); });
}

void Harness::release() { is_released_ = true; }

Task<> Harness::handle(std::shared_ptr<Exchange> exchange) {
  ++handled;
  const std::string target = exchange->head().target.substr(0, exchange->head().target.find('?'));
  if (target == "/watch") co_return co_await watch(exchange);
  if (target == "/slow") co_return co_await slow(exchange);
  if (target == "/echo-stream") co_return co_await echo_stream(exchange);
  if (target == "/upgrade") co_return co_await upgrade(exchange);
  if (target == "/flood") co_return co_await flood(exchange);
  if (target == "/trickle") co_return co_await trickle(exchange);
  if (target == "/throw") throw std::runtime_error("the handler broke");
  if (target == "/silent") co_return;
  std::string answer = "hello";
  int status = 200;
  if (target == "/echo" || target == "/small-body") {
    auto body = co_await exchange->read_body(target == "/echo" ? 256 << 20 : 10);
    if (!body) {
      ++body_errors;
      status = body.error().code;
      answer = body.error().message;
    } else {
      answer = *std::move(body);
    }
  } else if (target == "/who") {
    const auto& peer = exchange->peer();
    answer = std::string(exchange->protocol()) + " " + std::to_string(peer.verified_chain.size()) +
             (peer.is_tls ? " tls " : " plain ") + (peer.is_loopback ? "loopback " : "") + peer.address;
  } else if (target == "/head") {
    answer = exchange->head().method + " " + exchange->head().target + " " + exchange->head().authority;
    for (const auto& [name, value] : exchange->head().headers.fields()) answer += "\n" + name + "=" + value;
  } else if (target == "/empty") {
    status = 204;
    answer.clear();
  } else if (target != "/hello") {
    status = 404;
  }
  auto sent = co_await exchange->respond(plain_text(status), one(std::move(answer)));
  if (!sent) ++body_errors;
}

Task<> Harness::watch(std::shared_ptr<Exchange> exchange) {
  struct Ended {
    std::atomic<int>& count;
    ~Ended() { ++count; }
  } ended{cancelled};
  auto begun = co_await exchange->begin(plain_text());
  if (!begun) co_return;
  auto sent = co_await exchange->write(one("first event\n"));
  if (!sent) co_return;
  ++watching;
  AsyncEvent never(co_await asio::this_coro::executor);
  co_await never.wait();
}

Task<> Harness::slow(std::shared_ptr<Exchange> exchange) {
  ++waiting;
  while (!is_released_) co_await sleep_for(std::chrono::milliseconds(2));
  auto sent = co_await exchange->respond(plain_text(), one("slow but here"));
  if (!sent) ++body_errors;
}

Task<> Harness::echo_stream(std::shared_ptr<Exchange> exchange) {
  auto begun = co_await exchange->begin(plain_text());
  if (!begun) co_return;
  for (;;) {
    auto piece = co_await exchange->read_some();
    if (!piece) {
      ++body_errors;
      co_return;
    }
    if (piece->empty()) break;
    auto sent = co_await exchange->write(one(*std::move(piece)));
    if (!sent) co_return;
  }
  auto finished = co_await exchange->finish();
  if (!finished) ++body_errors;
}

Task<> Harness::upgrade(std::shared_ptr<Exchange> exchange) {
  ResponseHead head{101, {}};
  head.headers.add("connection", "Upgrade");
  head.headers.add("upgrade", "echo");
  auto taken = co_await exchange->upgrade(std::move(head));
  if (!taken) {
    auto refused = co_await exchange->respond(plain_text(400), one(taken.error().message));
    if (!refused) ++body_errors;
    co_return;
  }
  auto stream = *std::move(taken);
  for (;;) {
    auto piece = co_await stream->read_some();
    if (!piece) co_return;
    if (piece->empty()) break;
    auto sent = co_await stream->write(*piece);
    if (!sent) co_return;
  }
  // The client's half has ended; ours still speaks.
  auto sent = co_await stream->write("the end");
  if (!sent) co_return;
  auto ended = co_await stream->shutdown_write();
  if (!ended) ++body_errors;
}

Task<> Harness::flood(std::shared_ptr<Exchange> exchange) {
  struct Ended {
    std::atomic<int>& count;
    ~Ended() { ++count; }
  } ended{cancelled};
  auto begun = co_await exchange->begin(plain_text());
  if (!begun) co_return;
  const std::string piece(32 * 1024, 'x');
  for (int i = 0; i < 4096; ++i) {
    std::vector<Slice> slices;
    slices.push_back(Slice::own(piece));
    auto sent = co_await exchange->write(std::move(slices));
    if (!sent) co_return;
    written += piece.size();
  }
  auto finished = co_await exchange->finish();
  if (!finished) ++body_errors;
}

Task<> Harness::trickle(std::shared_ptr<Exchange> exchange) {
  auto begun = co_await exchange->begin(plain_text());
  if (!begun) co_return;
  while (!is_released_) co_await sleep_for(std::chrono::milliseconds(2));
  auto sent = co_await exchange->write(one("late"));
  if (!sent) co_return;
  auto finished = co_await exchange->finish();
  if (!finished) ++body_errors;
}

RawSocket::RawSocket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval limit{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
}
RawSocket::~RawSocket() { ::close(fd_); }

bool RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string RawSocket::read_to_end() {
  std::string all;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return all;
    all.append(buffer, static_cast<std::size_t>(n));
  }
}

std::string RawSocket::read_until(std::string_view text) {
  std::string all;
  char buffer[4096];
  while (all.find(text) == std::string::npos) {
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return all;
    all.append(buffer, static_cast<std::size_t>(n));
  }
  return all;
}

bool RawSocket::is_at_end() {
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n > 0) continue;
    return n == 0 || errno == ECONNRESET;
  }
}

}  // namespace rusternetes::http::testing
