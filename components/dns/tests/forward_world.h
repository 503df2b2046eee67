#pragma once
// A server that forwards to made-up ones.

#include "dns_world.h"

namespace rusternetes::dns::testing {

inline constexpr int noerror = 0, servfail = 2, nxdomain = 3, refused = 5;
inline const std::string www = "www.example.com";

inline std::string www_answer(const std::string& query, bool) {
  return make_answer(
      query, {.answer = {"www.example.com. 60 IN A 192.0.2.1", "www.example.com. 60 IN A 192.0.2.2"}});
}

struct ForwardWorld : DnsWorld {
  using DnsWorld::DnsWorld;
  void upstream(const MadeUpServer& server) { options.upstream.servers.push_back(server.address()); }
};

inline ServerAddress nobody() {
  auto sockets = listen({{*network::IpAddress::parse("127.0.0.1")}, 0, {}});
  return {asio::ip::make_address("127.0.0.1"), sockets->port};
}

}  // namespace rusternetes::dns::testing
