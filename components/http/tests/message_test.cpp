#include "http/message.h"

#include <catch2/catch.hpp>

#include "http/connect.h"
#include "http/http1_codec.h"

using namespace rusternetes::http;

TEST_CASE("header names compare without case and are kept in lower case") {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("X-Many", "1");
  headers.add("x-many", "2");
  CHECK(headers.fields()[0].first == "content-type");
  CHECK(headers.get("CONTENT-TYPE") == "a");
  CHECK(headers.all("X-MANY") == std::vector<std::string_view>{"1", "2"});
  headers.set("X-Many", "3");
  CHECK(headers.all("x-many") == std::vector<std::string_view>{"3"});
  headers.remove("X-MANY");
  CHECK_FALSE(headers.get("x-many"));
}

TEST_CASE("a slice keeps the string that it took") {
  Slice slice;
  {
    Slice made = Slice::own("short");  // would sit in the string object itself
    slice = made;
  }
  CHECK(slice.bytes == "short");
}

TEST_CASE("line breaks in a header value do not make another header") {
  std::string out;
  append_field(out, "x", "a\r\nset-cookie: b");
  CHECK(out == "x: a  set-cookie: b\r\n");
}

TEST_CASE("URLs of endpoints are taken apart") {
  const auto tls = parse_url("https://[::1]:6443/ignored").value();
  CHECK(tls.is_tls);
  CHECK(tls.host == "::1");
  CHECK(tls.port == 6443);
  CHECK(tls.authority == "[::1]:6443");
  CHECK(parse_url("http://localhost").value().port == 80);
  CHECK(parse_url("unix:///run/x.sock").value().host == "/run/x.sock");
  for (const char* bad : {"", "ftp://x", "https://", "https://a:b", "https://a:70000", "http://[::1", "unix://"})
    CHECK(parse_url(bad).error().code == 400);
}

TEST_CASE("a request that declares both a length and chunks is refused") {
  auto decoder = Http1Decoder::for_request(1 << 20);
  auto fed = decoder->feed_head("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc");
  CHECK(fed.error().code == 400);
}

TEST_CASE("a head is decoded from single bytes and its chunked body with any cut") {
  const std::string text =
      "POST http://host.example/a?b HTTP/1.1\r\nHost: other\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\nGET";
  auto decoder = Http1Decoder::for_request(1 << 20);
  std::string in, out;
  std::size_t at = 0;
  while (!decoder->is_head_done()) {
    in += text[at++];
    in.erase(0, decoder->feed_head(in).value());
  }
  const RequestHead head = decoder->take_request();
  CHECK(head.target == "/a?b");
  CHECK(head.authority == "host.example");
  while (!decoder->is_done()) {
    REQUIRE(at < text.size());
    in += text[at++];
    in.erase(0, decoder->feed_body(in, out, 3).value());
  }
  CHECK(out == "hello world");
  CHECK(text.substr(at) == "GET");
}
