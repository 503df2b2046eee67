#include "dns/message.h"

#include <catch2/catch.hpp>

#include "dns/catalog.h"
#include "dns/upstream.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace std::string_literals;

TEST_CASE("names come from text in lower case, and what is no name is refused") {
  CHECK(*name_from_text("Web.Default") == "\3web\7default\0"s);
  CHECK(*name_from_text("a.") == "\1a\0"s);
  CHECK(*name_from_text(".") == "\0"s);
  for (const auto& wrong : {"a..b"s, ".a"s, std::string(64, 'a'), std::string(300, 'a')})
    CHECK_FALSE(name_from_text(wrong));
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "a.";
  CHECK(name_from_text(longest));
  CHECK_FALSE(name_from_text("a." + longest));
}

TEST_CASE("a name is within a zone only at the border of a label") {
  const auto zone = *name_from_text("cluster.local");
  std::size_t at = 9;
  CHECK(is_within(*name_from_text("cluster.local"), zone, &at));
  CHECK(at == 0);
  CHECK(is_within(*name_from_text("a.cluster.local"), zone, &at));
  CHECK(at == 2);
  CHECK_FALSE(is_within(*name_from_text("xcluster.local"), zone));
  CHECK_FALSE(is_within(*name_from_text("local"), zone));
  // A label that ends in the zone's bytes, length and all.
  CHECK_FALSE(is_within("\020a" + zone.substr(0, zone.size() - 1) + "\0"s, zone));
}

TEST_CASE("compressed names that point forwards, at themselves or in circles are refused") {
  std::string message(header_size, '\0');
  const auto reads = [&](const std::string& name) {
    std::size_t at = header_size;
    return read_name(message + name, at, nullptr);
  };
  CHECK(reads("\1a\0"s));
  CHECK_FALSE(reads("\xc0\x0c"s));
  CHECK_FALSE(reads("\xc0\x20"s));
  CHECK_FALSE(reads("\xc0"s));
  CHECK_FALSE(reads("\1a\xc0\x0c"s));
  CHECK_FALSE(reads("\xc0\x02"s));  // into the header
  CHECK_FALSE(reads("\5ab"s));
  CHECK_FALSE(reads("\x40" + std::string(64, 'a') + "\0"s));
}

TEST_CASE("an address makes the label that CoreDNS gives it, and only that one means it") {
  const auto label = [](const char* text) { return label_of_address(*network::IpAddress::parse(text)); };
  CHECK(label("10.0.0.1") == "10-0-0-1");
  CHECK(label("fd00::1") == "fd00--1");
  CHECK(label("fd00::") == "fd00--0");
  network::IpAddress address;
  for (const char* text : {"10.0.0.1", "fd00::1", "1:2:3:4:5:6:7:8", "fd00::", "::1"}) {
    REQUIRE(address_of_label(label(text), address));
    CHECK(address.to_string() == text);
  }
  REQUIRE(address_from_label("fd00-0-0-0-0-0-0-1", address));
  CHECK(address.to_string() == "fd00::1");
  CHECK_FALSE(address_from_label("web-0", address));
  for (const char* wrong : {"10-0-0", "10-0-0-01", "fd00-0--1", "10.0.0.1", "web-0", "", "----"})
    CHECK_FALSE(address_of_label(wrong, address));
}

TEST_CASE("servers are written with and without a port, in both families") {
  CHECK(parse_server("10.0.0.1")->to_string() == "10.0.0.1:53");
  CHECK(parse_server("10.0.0.1:5353")->to_string() == "10.0.0.1:5353");
  CHECK(parse_server("fd00::1")->to_string() == "[fd00::1]:53");
  CHECK(parse_server("[fd00::1]:5353")->to_string() == "[fd00::1]:5353");
  CHECK(parse_server("[fd00::1]")->port == 53);
  for (const char* wrong : {"", "dns", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:x", "[fd00::1",
                            "[fd00::1]5", "[::1]:"})
    CHECK_FALSE(parse_server(wrong));
}

TEST_CASE("resolv.conf gives its nameservers, each once, as resolv.conf(5) has them") {
  const auto servers = parse_resolv_conf(
      "# nameserver 1.1.1.1\n;x\nnameserver 127.0.0.53\nsearch a b\noptions ndots:2\n"
      " nameserver 9.9.9.9\nnameserver\t10.0.0.1 # trailing\nnameserver 127.0.0.53\nnameserver "
      "fd00::1\nnameserver nonsense\n"
      "nameserver\nnameserverx 10.0.0.3\r\nnameserver 10.0.0.2\r");
  std::vector<std::string> texts;
  for (const auto& server : servers) texts.push_back(server.to_string());
  CHECK(texts == std::vector<std::string>{"127.0.0.53:53", "10.0.0.1:53", "[fd00::1]:53", "10.0.0.2:53"});
}

TEST_CASE("a foreign answer whose names reach into a TTL or an address is refused") {
  // "a. A", and an answer whose owner is a pointer to `target`.
  const auto message = [](unsigned target) {
    std::string out(header_size, '\0');
    out[2] = static_cast<char>(0x80);
    out[5] = 1;
    out[7] = 2;
    out += "\1a\0\0\1\0\1"s;
    out += "\xc0\x0c\0\1\0\1\1b\0\x3c\0\4\1c\0\1"s;  // at 19; its TTL at 25, its address at 31
    out += "\xc0"s + static_cast<char>(target) + "\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"s;
    return out;
  };
  CHECK(walk_message(message(12)));
  CHECK(walk_message(message(19)));
  CHECK_FALSE(walk_message(message(25)));
  CHECK_FALSE(walk_message(message(31)));
}

TEST_CASE("a foreign answer whose question is compressed is refused") {
  std::string message(header_size, '\0');
  message[2] = static_cast<char>(0x80);
  message[5] = 1;
  const std::string type_and_class = "\0\1\0\1"s;
  CHECK(walk_message(message + "\2a\0\0"s + type_and_class));
  CHECK_FALSE(walk_message(message + "\2a\0\xc0\x0e"s + type_and_class));  // to the end of its own label
}
