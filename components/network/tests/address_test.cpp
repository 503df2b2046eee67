#include "network/address.h"

#include <catch2/catch.hpp>

#include "network/names.h"

using namespace rusternetes::network;

TEST_CASE("addresses of both families are read and written in their plain form") {
  for (const char* text : {"0.0.0.0", "10.213.0.1", "255.255.255.255", "::", "fd00::1", "2001:db8::ff"}) {
    const auto address = IpAddress::parse(text);
    REQUIRE(address);
    CHECK(address->to_string() == text);
    CHECK(address->is_v4() == (std::string(text).find(':') == std::string::npos));
  }
}

TEST_CASE("what is no address or range is refused with its text in the message") {
  using namespace std::string_view_literals;
  for (const auto text :
       {""sv, "10.0.0"sv, "10.0.0.256"sv, "010.0.0.1/8"sv, "fe80::1%eth0"sv, "10.0.0.1\0x"sv, "a.b"sv}) {
    const auto address = IpAddress::parse(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().code == 400);
    CHECK(address.error().message.find(text) != std::string::npos);
  }
  for (const char* text :
       {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "/8"})
    CHECK_FALSE(IpPrefix::parse(text));
}

TEST_CASE("a prefix is masked bit by bit") {
  const auto masked = [](const char* text) { return IpPrefix::parse(text)->masked().to_string(); };
  CHECK(masked("10.213.255.255/12") == "10.208.0.0/12");
  CHECK(masked("192.0.2.255/25") == "192.0.2.128/25");
  CHECK(masked("192.0.2.1/32") == "192.0.2.1/32");
  CHECK(masked("255.255.255.255/0") == "0.0.0.0/0");
  CHECK(masked("fd00:1:2:3:ffff::1/67") == "fd00:1:2:3:e000::/67");
}

TEST_CASE("prefixes overlap when one holds the other, and never across families") {
  const auto prefix = [](const char* text) { return *IpPrefix::parse(text); };
  CHECK(prefix("10.0.0.0/8").overlaps(prefix("10.96.0.0/12")));
  CHECK(prefix("10.96.0.0/12").overlaps(prefix("10.0.0.0/8")));
  CHECK_FALSE(prefix("10.96.0.0/12").overlaps(prefix("10.112.0.0/12")));
  CHECK_FALSE(prefix("0.0.0.0/0").overlaps(prefix("::/0")));
  CHECK(prefix("10.96.0.0/12").contains(*IpAddress::parse("10.111.255.255")));
  CHECK_FALSE(prefix("10.96.0.0/12").contains(*IpAddress::parse("10.112.0.0")));
}

TEST_CASE("a link's name has 15 characters, its cluster's prefix, and differs by cluster, purpose and id") {
  const auto name = interface_name("demo", LinkPurpose::pod, "uid-1");
  CHECK(name.size() == 15);
  CHECK(name.starts_with(interface_prefix("demo") + "p"));
  CHECK(name == interface_name("demo", LinkPurpose::pod, "uid-1"));
  CHECK(name != interface_name("demo", LinkPurpose::pod, "uid-2"));
  CHECK(name != interface_name("demo", LinkPurpose::node, "uid-1"));
  CHECK_FALSE(interface_name("other", LinkPurpose::pod, "uid-1").starts_with(interface_prefix("demo")));
  CHECK(interface_alias("demo", LinkPurpose::pod, "uid-1") == "rusternetes demo pod uid-1");
  CHECK(interface_alias("demo", LinkPurpose::pod, std::string(400, 'x')).size() == 255);
  CHECK(table_name("demo") == "rusternetes-" + cluster_hash("demo"));
  CHECK(table_name("demo", "nat") == table_name("demo") + "-nat");
}
