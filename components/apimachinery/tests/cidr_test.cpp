#include "apimachinery/cidr.h"

#include <catch2/catch.hpp>

using namespace rusternetes::apimachinery;

namespace {
IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }
}  // namespace

TEST_CASE("addresses are printed in canonical form") {
  const std::pair<const char*, const char*> cases[] = {{"0.0.0.0", "0.0.0.0"},
                                                       {"255.255.255.255", "255.255.255.255"},
                                                       {"::", "::"},
                                                       {"::1", "::1"},
                                                       {"FE80:0:0:0:0:0:0:0abc", "fe80::abc"},
                                                       {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
                                                       {"1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"},
                                                       {"0:0:1:0:0:1:0:0", "::1:0:0:1:0:0"},
                                                       {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
                                                       {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
                                                       {"::ffff:1.2.3.4", "::ffff:1.2.3.4"}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(ip(text).to_string() == expected);
  }
}

TEST_CASE("what is no address is refused") {
  for (const char* bad :
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.", "01.2.3.4", "1..2.3", ":", ":::", "1::2::3",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "12345::", "::ffff:1.2.3", "::ffff:01.2.3.4", "fe80::1%eth0",
        "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7:8::", "x"}) {
    INFO(bad);
    CHECK(!IpAddress::parse(bad));
  }
  CHECK(IpAddress::parse("x").error().message == "invalid IP address: x");
  CHECK(IpAddress::parse_sloppy("010.002.003.004") == ip("10.2.3.4"));
  CHECK(IpAddress::parse_sloppy("00001::") == ip("1::"));
  CHECK(!IpAddress::parse_sloppy("1.2.3.0256"));
}

TEST_CASE("addresses convert to bytes and back, compare and wrap") {
  const auto v4 = ip("10.1.2.3");
  CHECK(IpAddress::from_bytes(v4.v4_bytes()) == v4);
  CHECK(IpAddress::from_bytes(ip("2001:db8::5").v6_bytes()) == ip("2001:db8::5"));
  CHECK(IpAddress::from_bytes(v4.v6_bytes()).value().unmap() == v4);
  CHECK(!IpAddress::from_bytes(std::array<std::uint8_t, 5>{}));
  CHECK(ip("9.9.9.9") < ip("10.0.0.0"));
  CHECK(ip("255.255.255.255") < ip("::"));
  CHECK(ip("255.255.255.255").next() == ip("0.0.0.0"));
  CHECK(ip("10.0.0.255").next() == ip("10.0.1.0"));
  CHECK(ip("::ffff:ffff:ffff:ffff").next() == ip("0:0:0:1::"));
  CHECK(ip("127.1.2.3").is_loopback());
  CHECK(ip("::1").is_loopback());
  CHECK(!ip("::2").is_loopback());
  CHECK(ip("224.0.0.1").is_link_local_multicast());
  CHECK(ip("ff02::1").is_multicast());
  CHECK(ip("169.254.1.1").is_link_local_unicast());
  CHECK(ip("febf::1").is_link_local_unicast());
  CHECK(!ip("fec0::1").is_link_local_unicast());
}

TEST_CASE("blocks are parsed, masked and printed") {
  CHECK(cidr("10.1.2.3/8").to_string() == "10.1.2.3/8");
  CHECK(cidr("10.1.2.3/8").masked().to_string() == "10.0.0.0/8");
  CHECK(cidr("2001:DB8::1/64").masked().to_string() == "2001:db8::/64");
  CHECK(cidr("::1/0").masked().to_string() == "::/0");
  CHECK(Cidr::parse_sloppy("::ffff:1.2.3.4/120")->to_net_string() == "1.2.3.0/24");
  CHECK(Cidr::parse_sloppy("010.0.0.1/08")->to_net_string() == "10.0.0.0/8");
  for (const char* bad :
       {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "::/129", "/8", "::/1/2"}) {
    INFO(bad);
    CHECK(!Cidr::parse(bad));
  }
  CHECK(Cidr::parse("x").error().message == "invalid CIDR address: x");
}

TEST_CASE("a block knows what it contains") {
  const Cidr pods = cidr("10.244.0.0/16");
  CHECK(pods.contains(ip("10.244.0.0")));
  CHECK(pods.contains(ip("10.244.255.255")));
  CHECK(!pods.contains(ip("10.245.0.0")));
  CHECK(!pods.contains(ip("::ffff:10.244.0.1")));
  CHECK(cidr("0.0.0.0/0").contains(ip("1.2.3.4")));
  CHECK(!cidr("::/0").contains(ip("1.2.3.4")));
  CHECK(pods.contains(cidr("10.244.7.0/24")));
  CHECK(pods.contains(pods));
  CHECK(!pods.contains(cidr("10.0.0.0/8")));
  CHECK(pods.overlaps(cidr("10.0.0.0/8")));
  CHECK(!pods.overlaps(cidr("10.96.0.0/12")));
}

TEST_CASE("the addresses and sub-blocks of a block are numbered") {
  const Cidr services = cidr("10.96.0.7/12");
  CHECK(services.size() == 1U << 20);
  CHECK(services.first() == ip("10.96.0.0"));
  CHECK(services.last() == ip("10.111.255.255"));
  CHECK(services.at(257) == ip("10.96.1.1"));
  CHECK(services.index_of(ip("10.96.1.1")) == 257);
  CHECK(!services.index_of(ip("10.112.0.0")));
  CHECK(cidr("::/0").size() == UINT64_MAX);
  CHECK(cidr("2001:db8::/64").last() == ip("2001:db8::ffff:ffff:ffff:ffff"));
  CHECK(!cidr("2001:db8::/32").index_of(ip("2001:db8:1::")));
  CHECK(cidr("1.2.3.4/32").size() == 1);

  CHECK(cidr("10.244.0.0/16").subnet(24, 5) == cidr("10.244.5.0/24"));
  CHECK(!cidr("10.244.0.0/16").subnet(24, 256));
  CHECK(!cidr("10.244.0.0/16").subnet(8, 0));
  CHECK(cidr("10.244.0.0/16").subnet(16, 0) == cidr("10.244.0.0/16"));
  CHECK(cidr("fd00::/48").subnet(64, 0xFFFF) == cidr("fd00:0:0:ffff::/64"));
  CHECK(cidr("::/0").subnet(0, 0) == cidr("::/0"));
  CHECK(!cidr("::/0").subnet(0, 1));
}
