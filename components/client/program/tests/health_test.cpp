#include "program/health.h"

#include <catch2/catch.hpp>

#include "http/client.h"

using namespace rusternetes;
using namespace rusternetes::program;

namespace {

struct Asked {
  int code = 0;
  std::string body;
};

Task<> ask_into(asio::any_io_executor executor, std::uint16_t port, std::string target, Asked& out) {
  http::ClientTls tls;
  tls.insecure_skip_verify = true;
  auto client = http::Client::create(executor, {"https://127.0.0.1:" + std::to_string(port), tls});
  if (!client) co_return;
  http::ClientRequest request;
  request.target = std::move(target);
  auto response = co_await (*client)->send(std::move(request));
  if (!response) co_return;
  out.code = (*response)->head().status;
  auto body = co_await (*response)->read_all(1 << 20);
  if (body) out.body = *body;
}

}  // namespace

TEST_CASE("health is ok until a check fails, and says which") {
  EventThread thread("health");
  bool is_good = true;
  HealthServer server(thread.executor(), {{"leaderElection", [&]() -> Result<void> {
                                             if (is_good) return {};
                                             return internal_error("late");
                                           }}});
  HealthOptions options;
  options.bind_address = "127.0.0.1";
  auto port = server.start(options);
  REQUIRE(port);
  auto ask = [&](std::string target) {
    Asked out;
    run_blocking(thread.executor(), ask_into(thread.executor(), *port, std::move(target), out));
    return out;
  };
  for (const char* path : {"/healthz", "/livez", "/readyz"}) {
    CHECK(ask(path).code == 200);
    CHECK(ask(path).body == "ok");
  }
  CHECK(ask("/healthz?verbose").body == "[+]ping ok\n[+]leaderElection ok\nhealthz check passed\n");
  CHECK(ask("/metrics").code == 404);
  is_good = false;
  CHECK(ask("/healthz").code == 500);
  CHECK(ask("/healthz").body.find("[-]leaderElection failed: late") != std::string::npos);
  run_blocking(thread.executor(), server.stop());
}

TEST_CASE("a certificate without its key is refused") {
  EventThread thread("health");
  HealthServer server(thread.executor(), {});
  HealthOptions options;
  options.certificate_file = "/nowhere.crt";
  CHECK_FALSE(server.start(options));
  options.key_file = "/nowhere.key";
  CHECK_FALSE(server.start(options));
}
