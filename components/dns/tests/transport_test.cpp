// Sizes, TCP, and messages that are none.

#include <iostream>

#include "dns_world.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace rusternetes::dns::testing;

namespace {

struct ManyWorld : DnsWorld {
  explicit ManyWorld(int count = 300, std::function<void(DnsOptions&)> adjust = {})
      : DnsWorld(std::move(adjust)) {
    service("many", R"("clusterIP":"None")");
    service("web", R"("clusterIP":"10.96.0.10")");
    std::string endpoints;
    for (int i = 0; i < count; ++i)
      endpoints += (i ? "," : "") + std::string(R"({"addresses":["10.0.)") + std::to_string(i / 250) + "." +
                   std::to_string(i % 250) + "\"]}";
    slice("many-1", "many", R"("addressType":"IPv4","endpoints":[)" + endpoints + "]");
    start();
  }
};

const std::string many = "many.default.svc.cluster.local", web = "web.default.svc.cluster.local";

}  // namespace

TEST_CASE("over UDP as many records come as fit, with TC, and over TCP all") {
  ManyWorld world;
  const auto plain = world.ask(many, type_a);
  CHECK(plain.is_truncated);
  CHECK(plain.raw.size() <= 512);
  CHECK(plain.answer.size() == (512 - 48) / 16);
  const auto edns = world.ask(many, type_a, {.edns_size = 4096});
  CHECK(edns.is_truncated);
  CHECK(edns.raw.size() <= 1232);  // as announced, so that no path breaks it
  CHECK(edns.answer.size() == (1232 - 48 - 11) / 16);
  CHECK(ldns_pkt_edns(edns.packet.get()));
  CHECK(ldns_pkt_edns_udp_size(edns.packet.get()) == 1232);
  const auto small = world.ask(many, type_a, {.edns_size = 100});  // less than 512 means 512 (RFC 6891)
  CHECK(small.answer.size() == (512 - 48 - 11) / 16);
  const auto tcp = world.ask_tcp(many, type_a);
  CHECK_FALSE(tcp.is_truncated);
  CHECK(tcp.answer.size() == 300);
  CHECK(std::set<std::string>(tcp.answer.begin(), tcp.answer.end()).size() == 300);
}

TEST_CASE("more than a message holds is truncated over TCP, too") {
  ManyWorld world(5000);
  const auto tcp = world.ask_tcp(many, type_a);
  CHECK(tcp.is_truncated);
  CHECK(tcp.answer.size() == (65535 - 48) / 16);
}

TEST_CASE("EDNS is answered with EDNS, and another version of it with BADVERS") {
  ManyWorld world(1);
  CHECK_FALSE(ldns_pkt_edns(world.ask(web, type_a).packet.get()));
  const auto secure = world.ask(web, type_a, {.edns_size = 1232, .wants_dnssec = true});
  CHECK(ldns_pkt_edns_do(secure.packet.get()));
  ClientSocket socket(SOCK_DGRAM, world.port);
  std::string odd = query(web, type_a, {.edns_size = 1232});
  odd[odd.size() - 5] = 1;  // the version
  socket.send(odd);
  const auto answer = read_answer(socket.receive());
  CHECK(answer.rcode == 0);
  CHECK(ldns_pkt_edns_extended_rcode(answer.packet.get()) == 1);  // 16 with the header's 0
  CHECK(answer.answer.empty());
}

TEST_CASE("a connection takes many questions, however they are cut, and answers all") {
  ManyWorld world(1);
  ClientSocket socket(SOCK_STREAM, world.port);
  std::string all;
  for (std::uint16_t id = 1; id <= 200; ++id) {
    const std::string message = query(web, type_a, {.id = id});
    char length[2];
    write16(length, static_cast<std::uint16_t>(message.size()));
    all.append(length, 2).append(message);
  }
  for (std::size_t at = 0; at < all.size(); at += 1001) socket.send(all.substr(at, 1001));
  std::set<int> ids;
  for (int i = 0; i < 200; ++i) {
    const auto answer = read_answer(socket.receive_framed());
    CHECK(answer.answer.size() == 1);
    ids.insert(ldns_pkt_id(answer.packet.get()));
  }
  CHECK(ids.size() == 200);
  socket.end_writing();
  CHECK(socket.receive().empty());  // it closes when we do
}

TEST_CASE("a connection on which nothing moves is closed") {
  ManyWorld world(1, [](DnsOptions& options) { options.tcp.idle = std::chrono::milliseconds(50); });
  ClientSocket socket(SOCK_STREAM, world.port);
  socket.send(std::string("\0\x20", 2));
  CHECK(socket.receive(5000).empty());
}

TEST_CASE("a connection that sends a question byte by byte is closed, and one that asks on is not") {
  ManyWorld world(1, [](DnsOptions& options) { options.tcp.idle = std::chrono::milliseconds(400); });
  ClientSocket slow(SOCK_STREAM, world.port), good(SOCK_STREAM, world.port);
  const auto began = std::chrono::steady_clock::now();
  slow.send(std::string("\0\x20", 2));
  while (std::chrono::steady_clock::now() - began < std::chrono::milliseconds(1200)) {
    slow.try_send("x");
    good.send_framed(query(web, type_a));
    REQUIRE(read_answer(good.receive_framed()).answer.size() == 1);
    CHECK(good.receive(50).empty());
  }
  CHECK(slow.is_closed());
}

TEST_CASE("a client has so many connections, and others have theirs") {
  ManyWorld world(1, [](DnsOptions& options) { options.tcp.per_client = 2; });
  auto first = std::make_unique<ClientSocket>(SOCK_STREAM, world.port);
  ClientSocket second(SOCK_STREAM, world.port), third(SOCK_STREAM, world.port);
  CHECK(third.is_closed());
  for (auto* socket : {first.get(), &second}) {
    socket->send_framed(query(web, type_a));
    CHECK(read_answer(socket->receive_framed()).answer.size() == 1);
  }
  first->end_writing();
  CHECK(first->is_closed());  // and its place is free
  ClientSocket next(SOCK_STREAM, world.port);
  next.send_framed(query(web, type_a));
  CHECK(read_answer(next.receive_framed()).answer.size() == 1);
}

TEST_CASE("a connection that announces more than a question can be is closed") {
  ManyWorld world(1);
  ClientSocket socket(SOCK_STREAM, world.port);
  socket.send_framed(query(web, type_a));
  CHECK(read_answer(socket.receive_framed()).answer.size() == 1);
  socket.send(std::string("\xff\xff GET / HTTP/1.1", 18));
  CHECK(socket.receive(5000).empty());
}

TEST_CASE("of more connections than allowed the one that was idle for longest makes room") {
  ManyWorld world(1, [](DnsOptions& options) {
    options.tcp.connections = 2;
    options.tcp.least_idle = std::chrono::milliseconds(100);
  });
  ClientSocket first(SOCK_STREAM, world.port), second(SOCK_STREAM, world.port);
  for (auto* socket : {&first, &second, &first}) {  // the second one is idle for longer
    socket->send_framed(query(web, type_a));
    CHECK(read_answer(socket->receive_framed()).answer.size() == 1);
  }
  ClientSocket third(SOCK_STREAM, world.port);
  third.send_framed(query(web, type_a));
  CHECK(read_answer(third.receive_framed()).answer.size() == 1);
  CHECK(second.is_closed());
  first.send_framed(query(web, type_a));
  CHECK(read_answer(first.receive_framed()).answer.size() == 1);
}

TEST_CASE("more connections than allowed wait for their turn while none is idle") {
  ManyWorld world(1, [](DnsOptions& options) {
    options.tcp.connections = 2;
    options.tcp.least_idle = std::chrono::hours(1);
  });
  auto first = std::make_unique<ClientSocket>(SOCK_STREAM, world.port);
  ClientSocket second(SOCK_STREAM, world.port);
  for (auto* socket : {first.get(), &second}) {
    socket->send_framed(query(web, type_a));
    CHECK(read_answer(socket->receive_framed()).answer.size() == 1);
  }
  ClientSocket third(SOCK_STREAM, world.port);
  third.send_framed(query(web, type_a));
  CHECK(third.receive(100).empty());
  first.reset();
  CHECK(read_answer(third.receive_framed()).answer.size() == 1);
}

TEST_CASE("what is no query gets FORMERR, NOTIMP or nothing, and the next one its answer") {
  ManyWorld world(1);
  ClientSocket socket(SOCK_DGRAM, world.port);
  const std::string good = query(web, type_a);
  socket.send("short");
  std::string response = good;
  response[2] = static_cast<char>(0x80);
  socket.send(response);
  std::string two = good;
  two[5] = 2;
  socket.send(two);
  CHECK(read_answer(socket.receive()).rcode == 1);
  socket.send(good.substr(0, 20));
  CHECK(read_answer(socket.receive()).rcode == 1);
  std::string pointer = good;
  pointer[header_size] = static_cast<char>(0xc0);
  socket.send(pointer);
  CHECK(read_answer(socket.receive()).rcode == 1);
  std::string update = good;
  update[2] = 0x28;
  socket.send(update);
  CHECK(read_answer(socket.receive()).rcode == 4);
  std::string no_record = good;
  no_record[11] = 1;
  socket.send(no_record);
  CHECK(read_answer(socket.receive()).rcode == 1);
  socket.send(std::string(5000, 'x'));
  socket.send(good);
  CHECK(read_answer(socket.receive()).answer.size() == 1);
}

TEST_CASE(
    "a resolver like musl's gets both answers on its one socket, and one with search lists comes to the "
    "name") {
  ManyWorld world(1);
  ClientSocket socket(SOCK_DGRAM, world.port);
  socket.send(query(web, type_a, {.id = 1}));
  socket.send(query(web, type_aaaa, {.id = 2}));
  std::map<int, Answer> answers;
  for (int i = 0; i < 2; ++i) {
    auto answer = read_answer(socket.receive());
    answers.emplace(ldns_pkt_id(answer.packet.get()), std::move(answer));
  }
  CHECK(answers[1].answer.size() == 1);
  CHECK(answers[2].rcode == 0);
  CHECK(answers[2].authority.size() == 1);
  // glibc with ndots:5 and the search list of a Pod in another namespace.
  std::vector<int> codes;
  for (const std::string suffix : {".other.svc.cluster.local", ".svc.cluster.local"})
    codes.push_back(world.ask("web.default" + suffix, type_a).rcode);
  CHECK(codes == std::vector<int>{3, 0});
}

TEST_CASE("a server on all addresses answers from the one that was asked") {
  DnsWorld world;
  world.listen_address = "0.0.0.0";
  world.start();
  for (const std::uint32_t address : {0x7f000001u, 0x7f000002u, 0x7f010203u}) {
    ClientSocket socket(SOCK_DGRAM, world.port, address);  // connected: it takes answers from there alone
    socket.send(query("dns-version.cluster.local", type_txt));
    CHECK(read_answer(socket.receive()).answer.size() == 1);
  }
}

TEST_CASE("a server on all IPv6 addresses answers over IPv6, and leaves IPv4 to others") {
  const network::IpAddress any = network::IpAddress::from_bytes(AF_INET6, &in6addr_any);
  if (!listen({{*network::IpAddress::parse("::1")}, 0, {}})) {
    std::cout << "SKIPPED: there is no IPv6 loopback here\n";
    return;
  }
  DnsWorld world;
  world.listen_address = any.to_string();
  world.start();
  ClientSocket udp(SOCK_DGRAM, world.port, in6addr_loopback), tcp(SOCK_STREAM, world.port, in6addr_loopback);
  udp.send(query("dns-version.cluster.local", type_txt));
  CHECK(read_answer(udp.receive()).answer.size() == 1);
  tcp.send_framed(query("dns-version.cluster.local", type_txt));
  CHECK(read_answer(tcp.receive_framed()).answer.size() == 1);
  // The port is free in the other family.
  CHECK(listen({{*network::IpAddress::parse("0.0.0.0")}, world.port, {}}));
}
