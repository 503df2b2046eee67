// Which servers are asked, and from where: those of resolv.conf, never ourselves, in whatever namespace.

#include <filesystem>
#include <fstream>
#include <iostream>

#include "forward_world.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace rusternetes::dns::testing;

TEST_CASE("questions that would come back here are not sent") {
  ForwardWorld world([](DnsOptions& options) { options.upstream.loop_recheck = std::chrono::seconds(0); });
  world.options.upstream.servers = {nobody()};
  auto sockets = listen({{*network::IpAddress::parse("127.0.0.1")}, 0, {}});
  REQUIRE(sockets);
  // Its own address stands for any chain of servers that leads back.
  world.options.upstream.servers = {{asio::ip::make_address("127.0.0.1"), sockets->port}};
  world.port = sockets->port;
  world.on_thread([&] {
    auto made = DnsServer::make(*world.api, world.options, std::move(*sockets), world.clock);
    REQUIRE(made);
    world.server = *std::move(made);
    world.server->start();
  });
  REQUIRE(world.comes([&] { return world.server->questions() >= 1; }));  // the probe
  const auto began = std::chrono::steady_clock::now();
  CHECK(world.ask(www, type_a).rcode == servfail);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(2));
}

TEST_CASE("resolv.conf is read, and read again when it has changed") {
  MadeUpServer unused(www_answer);
  const auto file = std::filesystem::temp_directory_path() / ("dns-test-" + std::to_string(::getpid()));
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  write("search example.com\n");
  ForwardWorld world;
  world.options.upstream.resolv_conf = file;
  world.start();
  CHECK(world.ask(www, type_a).rcode == refused);  // nobody in it
  // A file cannot say which port; whoever is at 127.0.0.254 does not answer, and that is told from refusing.
  write("# new\nnameserver 127.0.0.254\nsearch example.com\n");
  CHECK(world.becomes(www, type_a, [](const Answer& answer) { return answer.rcode == servfail; }));
  const auto kept = [&] {
    std::string text;
    world.on_thread([&] { text = world.server->metrics(); });
    const auto at = text.find("type=\"denial\"} ", text.find("coredns_cache_entries{"));
    return text.substr(at + 15, text.find('\n', at) - at - 15);
  };
  CHECK(kept() == "1");
  // Another file in its place, of the same size and time.
  const auto written = std::filesystem::last_write_time(file);
  const auto next = file.string() + ".next";
  std::ofstream(next) << "# new\n#ameserver 127.0.0.254\nsearch example.com\n";
  std::filesystem::last_write_time(next, written);
  std::filesystem::rename(next, file);
  CHECK(world.becomes(www, type_a, [](const Answer& answer) { return answer.rcode == refused; }));
  CHECK(kept() == "0");  // what the old servers said is forgotten
  // For as long as there is none, the last one counts.
  std::filesystem::remove(file);
}

TEST_CASE("the server is in another namespace, and asks others from where the process is") {
  const auto made = network::NetworkNamespace::create();
  if (!made) {
    std::cout << "SKIPPED: " << made.error().message << "\n";
    return;
  }
  MadeUpServer server(www_answer);  // on this namespace's loopback, as 127.0.0.53 is
  ForwardWorld world;
  world.upstream(server);
  world.name_space = *made;
  world.start();
  const auto asked = network::inside(*made, [&]() -> Result<bool> {
    const auto udp = world.ask(www, type_a), tcp = world.ask_tcp("dns-version.cluster.local", type_txt);
    return udp.answer.size() == 2 && tcp.answer.size() == 1;
  });
  REQUIRE(asked);
  CHECK(*asked);
  ClientSocket here(SOCK_DGRAM, world.port);
  here.send(query(www, type_a));
  CHECK(here.receive(200).empty());
}

TEST_CASE("a server whose thread is in the node's namespace asks others from the one that it is told") {
  const auto node = network::NetworkNamespace::create();
  const auto host = network::NetworkNamespace::current();
  if (!node || !host) {
    std::cout << "SKIPPED: namespaces cannot be made here\n";
    return;
  }
  const bool is_told = GENERATE(true, false);
  MadeUpServer server(www_answer);
  ForwardWorld world;
  world.upstream(server);
  world.name_space = *node;
  if (is_told) world.options.upstream.name_space = *host;
  world.on_thread([&] { REQUIRE(network::enter(*node)); });
  world.start();
  const auto asked = network::inside(*node, [&]() -> Result<int> { return world.ask(www, type_a).rcode; });
  REQUIRE(asked);
  CHECK(*asked == (is_told ? noerror : servfail));
}
