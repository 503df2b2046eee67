// Names that are not the cluster's, with servers that are well, slow, down, lying or cutting.

#include "forward_world.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace rusternetes::dns::testing;

TEST_CASE("other names are asked of the upstream servers once, and kept for as long as they may be") {
  MadeUpServer server(www_answer);
  ForwardWorld world;
  world.upstream(server);
  world.start();
  const auto first = world.ask(www, type_a);
  CHECK(first.rcode == noerror);
  CHECK_FALSE(first.is_authoritative);
  CHECK(ldns_pkt_ra(first.packet.get()));
  CHECK(first.data(LDNS_RR_TYPE_A) == Texts{"192.0.2.1", "192.0.2.2"});
  world.clock.advance(std::chrono::seconds(20));
  const auto second = world.ask("WWW.Example.com", type_a, {.id = 9});
  CHECK(second.question == "WWW.Example.com.");
  CHECK(server.count() == 1);
  REQUIRE(second.answer.size() == 2);
  CHECK(second.answer[0].find(" 40 IN A ") != std::string::npos);  // what is left of its 60 seconds
  world.clock.advance(std::chrono::seconds(11));                   // 31 > the 30 that anything is kept
  CHECK(world.ask(www, type_a).answer.size() == 2);
  CHECK(server.count() == 2);
}

TEST_CASE("an absence is kept as long as its SOA record says, and one without SOA not at all") {
  std::atomic<bool> has_soa = true;
  MadeUpServer server([&](const std::string& query, bool) {
    Made made{.rcode = nxdomain};
    if (has_soa) made.authority = {"example.com. 900 IN SOA ns.example.com. x.example.com. 1 2 3 4 10"};
    return make_answer(query, made);
  });
  ForwardWorld world;
  world.upstream(server);
  world.start();
  for (int i = 0; i < 3; ++i) {
    const auto none = world.ask(www, type_a);
    CHECK(none.rcode == nxdomain);
    CHECK(none.authority.size() == 1);
  }
  CHECK(server.count() == 1);
  world.clock.advance(std::chrono::seconds(11));
  has_soa = false;
  for (int i = 0; i < 3; ++i) CHECK(world.ask(www, type_a).rcode == nxdomain);
  CHECK(server.count() == 4);
}

TEST_CASE("a server that is down or silent is passed over for the next") {
  MadeUpServer silent([](const std::string&, bool) { return std::string{}; });
  MadeUpServer good(www_answer);
  ForwardWorld world([](DnsOptions& options) {
    options.upstream.try_timeout = std::chrono::milliseconds(100);
    options.cache.longest = std::chrono::seconds(0);
  });
  const bool is_down = GENERATE(true, false);
  if (is_down)
    world.options.upstream.servers.push_back(nobody());
  else
    world.upstream(silent);
  world.upstream(good);
  world.start();
  for (int i = 0; i < 3; ++i) CHECK(world.ask(www, type_a).answer.size() == 2);
  CHECK(silent.count() == (is_down ? 0 : 1));
  CHECK(good.count() == 3);
}

TEST_CASE("a server that was silent is asked again when it answers, and no client waits to find out") {
  std::atomic<bool> is_silent = true;
  MadeUpServer first([&](const std::string& query, bool is_tcp) {
    return is_silent ? std::string{} : www_answer(query, is_tcp);
  });
  MadeUpServer second(www_answer);
  ForwardWorld world([](DnsOptions& options) {
    options.upstream.try_timeout = std::chrono::milliseconds(100);
    options.upstream.down_recheck = std::chrono::milliseconds(20);
    options.cache.longest = std::chrono::seconds(0);
  });
  world.upstream(first);
  world.upstream(second);
  world.start();
  for (int i = 0; i < 20; ++i) CHECK(world.ask(www, type_a).answer.size() == 2);
  CHECK(first.count() == 1);
  is_silent = false;
  first.answers_probes = true;
  CHECK(world.becomes(www, type_a, [&](const Answer&) { return first.count() > 1; }));
}

TEST_CASE("when nobody answers, the client gets SERVFAIL within the whole time") {
  MadeUpServer silent([](const std::string&, bool) { return std::string{}; });
  ForwardWorld world([](DnsOptions& options) {
    options.upstream.try_timeout = std::chrono::milliseconds(50);
    options.upstream.whole_timeout = std::chrono::milliseconds(500);
  });
  world.upstream(silent);
  world.start();
  CHECK(world.ask(www, type_a).rcode == servfail);
  CHECK(silent.count() == 2);  // a datagram may get lost
  const auto began = std::chrono::steady_clock::now();
  CHECK(world.ask(www, type_a).rcode == servfail);  // who asks again at once does not wait again
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(50));
  CHECK(silent.count() == 2);
  world.clock.advance(std::chrono::milliseconds(1100));
  CHECK(world.ask(www, type_a).rcode == servfail);
  CHECK(silent.count() == 4);
}

TEST_CASE("a lost datagram is asked again") {
  std::atomic<int> calls = 0;
  MadeUpServer lossy([&](const std::string& query, bool is_tcp) {
    return ++calls == 1 ? std::string{} : www_answer(query, is_tcp);
  });
  ForwardWorld world(
      [](DnsOptions& options) { options.upstream.try_timeout = std::chrono::milliseconds(50); });
  world.upstream(lossy);
  world.start();
  CHECK(world.ask(www, type_a).answer.size() == 2);
}

TEST_CASE("an answer with another id, question or form is not taken") {
  const auto kind = GENERATE(0, 1, 2, 3, 4, 5);
  MadeUpServer liar([&](const std::string& query, bool is_tcp) {
    std::string answer = www_answer(query, is_tcp);
    switch (kind) {
      case 0:
        answer[0] ^= 1;
        break;  // id
      case 1:
        answer[header_size + 1] = 'x';
        break;  // name
      case 2:
        answer[header_size + 17 + 1] = 28;
        break;  // type
      case 3:
        answer[2] &= 0x7f;
        break;  // not a response
      case 4:
        answer.pop_back();
        break;  // cut
      case 5:
        answer += '\0';
        break;  // too long
    }
    return answer;
  });
  MadeUpServer good([](const std::string& query, bool) {
    return make_answer(query, {.answer = {"www.example.com. 60 IN A 192.0.2.9"}});
  });
  ForwardWorld world(
      [](DnsOptions& options) { options.upstream.try_timeout = std::chrono::milliseconds(100); });
  world.upstream(liar);
  world.upstream(good);
  world.start();
  CHECK(world.ask(www, type_a).data(LDNS_RR_TYPE_A) == Texts{"192.0.2.9"});
}

TEST_CASE("what does not fit into a datagram is fetched over TCP") {
  const bool cuts_anywhere = GENERATE(true, false);
  MadeUpServer server([&](const std::string& query, bool is_tcp) {
    if (!is_tcp) {
      std::string cut =
          make_answer(query, {.answer = {"www.example.com. 60 IN A 192.0.2.1"}, .is_truncated = true});
      return cuts_anywhere ? cut.substr(0, cut.size() - 20) : cut;
    }
    Made made;
    for (int i = 1; i <= 100; ++i)
      made.answer.push_back("www.example.com. 60 IN A 192.0.2." + std::to_string(i));
    return make_answer(query, made);
  });
  ForwardWorld world;
  world.upstream(server);
  world.start();
  const auto udp = world.ask(www, type_a);  // 512 bytes do not hold a hundred either
  CHECK(udp.is_truncated);
  CHECK(udp.answer.size() == (512 - 33) / 16);
  CHECK(udp.raw.size() <= 512);
  CHECK(world.ask_tcp(www, type_a).answer.size() == 100);
  CHECK(server.count() == 2);
}

TEST_CASE("a question that is under way is asked once for all who want to know") {
  std::atomic<bool> may_answer = false;
  MadeUpServer slow([&](const std::string& query, bool is_tcp) {
    while (!may_answer) std::this_thread::yield();
    return www_answer(query, is_tcp);
  });
  ForwardWorld world;
  world.upstream(slow);
  world.start();
  ClientSocket udp(SOCK_DGRAM, world.port), tcp(SOCK_STREAM, world.port);
  for (std::uint16_t id = 0; id < 20; ++id) {
    udp.send(query(www, type_a, {.id = id}));
    tcp.send_framed(query(www, type_a, {.id = id}));
  }
  REQUIRE(world.comes([&] { return world.server->questions() == 40; }));
  // Whoever needs no other server does not wait behind them.
  tcp.send_framed(query("dns-version.cluster.local", type_txt, {.id = 77}));
  const auto quick = read_answer(tcp.receive_framed());
  CHECK(ldns_pkt_id(quick.packet.get()) == 77);
  may_answer = true;
  for (int i = 0; i < 20; ++i) {
    CHECK(read_answer(udp.receive()).answer.size() == 2);
    CHECK(read_answer(tcp.receive_framed()).answer.size() == 2);
  }
  CHECK(slow.count() == 1);
}

TEST_CASE("more questions under way than allowed are refused") {
  MadeUpServer silent([](const std::string&, bool) { return std::string{}; });
  ForwardWorld world([](DnsOptions& options) { options.upstream.most_concurrent = 1; });
  world.upstream(silent);
  world.start();
  ClientSocket socket(SOCK_DGRAM, world.port);
  socket.send(query("a.example.com", type_a, {.id = 1}));
  socket.send(query("b.example.com", type_a, {.id = 2}));
  const auto second = read_answer(socket.receive());
  CHECK(ldns_pkt_id(second.packet.get()) == 2);
  CHECK(second.rcode == refused);
}

TEST_CASE("stub domains go to their own servers, the longest first") {
  const auto saying = [](std::string address) {
    return [address](const std::string& query, bool) {
      std::size_t at = header_size;
      std::string name;
      read_name(query, at, &name);
      return make_answer(query, {.answer = {name_to_text(name) + " 60 IN A " + address}});
    };
  };
  MadeUpServer corp(saying("192.0.2.1")), lab(saying("192.0.2.2")), rest(saying("192.0.2.3"));
  ForwardWorld world;
  world.options.upstream.stub_domains = {{"corp.example", {corp.address()}},
                                         {"lab.corp.example.", {lab.address()}}};
  world.upstream(rest);
  world.start();
  CHECK(world.ask("corp.example", type_a).data(LDNS_RR_TYPE_A) == Texts{"192.0.2.1"});
  CHECK(world.ask("a.CORP.example", type_a).data(LDNS_RR_TYPE_A) == Texts{"192.0.2.1"});
  CHECK(world.ask("a.lab.corp.example", type_a).data(LDNS_RR_TYPE_A) == Texts{"192.0.2.2"});
  CHECK(world.ask("acorp.example", type_a).data(LDNS_RR_TYPE_A) == Texts{"192.0.2.3"});
}

TEST_CASE("an ExternalName is a CNAME, with what the upstream servers say of its target") {
  MadeUpServer server([](const std::string& query, bool) {
    return make_answer(query, {.answer = {"www.example.com. 60 IN CNAME edge.example.com.",
                                          "edge.example.com. 50 IN A 192.0.2.7"}});
  });
  ForwardWorld world;
  world.service("ext", R"("type":"ExternalName","externalName":"www.example.com")");
  world.service("inside", R"("type":"ExternalName","externalName":"web.default.svc.cluster.local")");
  world.service("web", R"("clusterIP":"10.96.0.10")");
  world.service("gone", R"("type":"ExternalName","externalName":"nothing.default.svc.cluster.local")");
  world.service("self", R"("type":"ExternalName","externalName":"self.default.svc.cluster.local")");
  world.service("ping", R"("type":"ExternalName","externalName":"pong.default.svc.cluster.local")");
  world.service("pong", R"("type":"ExternalName","externalName":"ping.default.svc.cluster.local")");
  world.service("address", R"("type":"ExternalName","externalName":"192.0.2.1")");
  world.upstream(server);
  world.start();
  for (int i = 0; i < 2; ++i) {  // from the server, then from the cache
    const auto ext = world.ask("ext.default.svc.cluster.local", type_a);
    CHECK(ext.answer == Texts{"ext.default.svc.cluster.local. 30 IN CNAME www.example.com.",
                              "www.example.com. 60 IN CNAME edge.example.com.",
                              "edge.example.com. 50 IN A 192.0.2.7"});
  }
  CHECK(server.count() == 1);
  CHECK(world.ask("ext.default.svc.cluster.local", type_cname).answer.size() == 1);
  CHECK(world.ask("inside.default.svc.cluster.local", type_a).answer ==
        Texts{"inside.default.svc.cluster.local. 30 IN CNAME web.default.svc.cluster.local.",
              "web.default.svc.cluster.local. 30 IN A 10.96.0.10"});
  for (const std::string name : {"gone", "self", "ping"}) {
    const auto none = world.ask(name + ".default.svc.cluster.local", type_a);
    CHECK(none.rcode == noerror);
    CHECK(none.answer.empty());
    CHECK(none.authority.size() == 1);
  }
  CHECK(world.ask("address.default.svc.cluster.local", type_a).rcode == nxdomain);
  CHECK(world.ask("_a._tcp.ext.default.svc.cluster.local", type_srv).rcode == nxdomain);
}

TEST_CASE(
    "an ExternalName whose target does not exist keeps its CNAME, and one that cannot be resolved is "
    "SERVFAIL") {
  std::atomic<int> code = nxdomain;
  MadeUpServer server([&](const std::string& query, bool) { return make_answer(query, {.rcode = code}); });
  ForwardWorld world;
  world.service("ext", R"("type":"ExternalName","externalName":"www.example.com")");
  world.upstream(server);
  world.start();
  const auto gone = world.ask("ext.default.svc.cluster.local", type_a);
  CHECK(gone.rcode == noerror);
  CHECK(gone.answer.size() == 1);
  code = servfail;
  CHECK(world.ask("ext.default.svc.cluster.local", type_a).rcode == servfail);
}

TEST_CASE("an ExternalName is its CNAME alone where nobody resolves names of others") {
  ForwardWorld world;
  world.service("ext", R"("type":"ExternalName","externalName":"www.example.com")");
  world.start();
  for (const auto type : {type_a, type_aaaa, type_cname}) {
    const auto ext = world.ask("ext.default.svc.cluster.local", type);
    CHECK(ext.rcode == noerror);
    CHECK(ext.answer == Texts{"ext.default.svc.cluster.local. 30 IN CNAME www.example.com."});
  }
}

TEST_CASE("reverse names of strangers are asked of the upstream servers") {
  MadeUpServer server([](const std::string& query, bool) {
    return make_answer(query, {.answer = {"1.2.0.192.in-addr.arpa. 60 IN PTR host.example.com."}});
  });
  ForwardWorld world;
  world.service("web", R"("clusterIP":"10.96.0.10")");
  world.upstream(server);
  world.start();
  CHECK(world.ask("1.2.0.192.in-addr.arpa", type_ptr).data(LDNS_RR_TYPE_PTR) == Texts{"host.example.com."});
  CHECK(world.ask("10.0.96.10.in-addr.arpa", type_ptr).data(LDNS_RR_TYPE_PTR) ==
        Texts{"web.default.svc.cluster.local."});
  CHECK(server.count() == 1);
}

TEST_CASE(
    "a server that fails is not believed before the others have been asked, and its failure kept briefly") {
  MadeUpServer failing(
      [](const std::string& query, bool) { return make_answer(query, {.rcode = servfail}); });
  MadeUpServer good(www_answer);
  ForwardWorld world;
  world.upstream(failing);
  const bool has_other = GENERATE(true, false);
  if (has_other) world.upstream(good);
  world.start();
  for (int i = 0; i < 2; ++i) CHECK(world.ask(www, type_a).rcode == (has_other ? noerror : servfail));
  CHECK(failing.count() == 1);
}

TEST_CASE("a server from before EDNS is asked without it") {
  MadeUpServer old([](const std::string& query, bool is_tcp) {
    if (read16(&query[10]) != 0) {
      std::string answer = query.substr(0, header_size);
      return make_answer(query, {.rcode = 1});
    }
    return www_answer(query, is_tcp);
  });
  ForwardWorld world;
  world.upstream(old);
  world.start();
  CHECK(world.ask(www, type_a).answer.size() == 2);
}
