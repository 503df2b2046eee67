// Another client's view: the curl command, where there is one.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>

#include "harness.h"

using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

std::string run_curl(const std::string& arguments) {
  const std::string command = "curl -sS --max-time 20 " + arguments + " 2>&1";
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe);
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  ::pclose(pipe);
  return out;
}

}  // namespace

TEST_CASE("curl is served in every version") {
  if (std::system("curl --version >/dev/null 2>&1") != 0) {
    WARN("skipped: there is no curl command on this host");
    return;
  }
  Harness harness;
  const std::string folder = harness.unix_path.substr(0, harness.unix_path.rfind('/'));
  const std::string ca = folder + "/ca.pem", sent = folder + "/sent", got = folder + "/got";
  std::ofstream(ca) << harness.authority.pem();
  const std::string body = pattern(20 << 20);
  std::ofstream(sent, std::ios::binary) << body;
  const std::string tls = "https://127.0.0.1:" + std::to_string(harness.tls_port);
  const std::string plain = "http://127.0.0.1:" + std::to_string(harness.plain_port);

  CHECK(run_curl("--http2 --cacert " + ca + " " + tls + "/who").starts_with("HTTP/2.0 "));
  CHECK(run_curl("--http1.1 --cacert " + ca + " " + tls + "/who").starts_with("HTTP/1.1 "));
  CHECK(run_curl("--http1.0 " + plain + "/who").starts_with("HTTP/1.0 "));
  CHECK(run_curl("--http2-prior-knowledge " + plain + "/who").starts_with("HTTP/2.0 "));
  CHECK(run_curl("--http2 " + plain + "/who").starts_with("HTTP/1.1 "));  // an upgrade nobody takes
  CHECK(run_curl("--unix-socket " + harness.unix_path + " http://x/who").starts_with("HTTP/1.1 "));
  CHECK(run_curl("-I --http2 --cacert " + ca + " " + tls + "/hello").find("content-length: 5") !=
        std::string::npos);

  for (const auto& how : {"--http2 --cacert " + ca + " " + tls, "--http1.1 --cacert " + ca + " " + tls, plain}) {
    CAPTURE(how);
    for (const char* path : {"/echo", "/echo-stream"}) {
      CHECK(run_curl("-o " + got + " --data-binary @" + sent + " " + how + path).empty());
      std::ifstream file(got, std::ios::binary);
      const std::string back((std::istreambuf_iterator<char>(file)), {});
      CHECK((back == body));
    }
  }
  for (const auto& file : {ca, sent, got}) ::unlink(file.c_str());
}
