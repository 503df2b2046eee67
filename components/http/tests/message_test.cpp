#include "http/message.h"

#include <catch2/catch.hpp>

#include "http/connect.h"
#include "http/header_text.h"
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

TEST_CASE("lists of fields are read across fields, and only ASCII has two cases") {
  Headers headers;
  headers.add("Connection", " Keep-Alive ,, x-drop\t");
  headers.add("connection", "UPGRADE");
  CHECK(comma_separated(headers, "connection") == std::vector<std::string>{"Keep-Alive", "x-drop", "UPGRADE"});
  CHECK(comma_separated("").empty());
  CHECK(comma_separated(" , ").empty());
  CHECK(is_upgrade(headers));
  headers.set("connection", "close");
  CHECK_FALSE(is_upgrade(headers));
  CHECK(lower_case("A-\xc4Z") == "a-\xc4z");
  CHECK(uncapitalized("Connection refused") == "connection refused");
  CHECK(uncapitalized("I/O error") == "I/O error");
  CHECK(uncapitalized("").empty());
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
  for (const char* bad :
       {"", "ftp://x", "https://", "https://a:b", "https://a:70000", "http://[::1", "unix://"})
    CHECK(parse_url(bad).error().code == 400);
}

TEST_CASE("a request that declares both a length and chunks is refused") {
  auto decoder = Http1Decoder::for_request(1 << 20);
  auto fed = decoder->feed_head(
      "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc");
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

TEST_CASE("what is no chunk is refused and never asserted on") {
  for (const std::string bad : {"0\x8d\n\r\n", "\r\n", "g\r\n", "5\nhello\r\n", "3\r\nabcd\r\n", "0\r\n\n",
                                "-1\r\n", "ffffffffffffffff\r\n", "1\r\na\n0\r\n\r\n", "0\r\na: b\n\r\n"}) {
    CAPTURE(bad);
    auto decoder = Http1Decoder::for_request(1 << 20);
    REQUIRE(decoder->feed_head("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"));
    REQUIRE_FALSE(decoder->is_done());
    std::string out;
    auto fed = decoder->feed_body(bad, out, 1000);
    REQUIRE_FALSE(fed);
    CHECK(fed.error().code == 400);
  }
}

TEST_CASE("a response without a length lasts to the end, one with a length must reach it") {
  std::string out;
  auto endless = Http1Decoder::for_response(1 << 20, false);
  REQUIRE(endless->feed_head("HTTP/1.1 200 OK\r\n\r\n"));
  CHECK(endless->feed_body("abc", out, 100).value() == 3);
  CHECK_FALSE(endless->is_done());
  CHECK(endless->feed_end());
  CHECK(endless->is_done());
  CHECK_FALSE(endless->is_keep_alive());
  auto counted = Http1Decoder::for_response(1 << 20, false);
  REQUIRE(counted->feed_head("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"));
  CHECK(counted->feed_body("abc", out, 100).value() == 3);
  CHECK_FALSE(counted->feed_end());
  auto head_only = Http1Decoder::for_response(1 << 20, true);
  REQUIRE(head_only->feed_head("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"));
  CHECK(head_only->is_done());
  for (const char* none :
       {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"}) {
    auto decoder = Http1Decoder::for_response(1 << 20, false);
    REQUIRE(decoder->feed_head(none));
    CHECK(decoder->is_done());
  }
}
