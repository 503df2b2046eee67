// Every kind of record of the DNS specification, asked for over UDP.

#include "dns_world.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace rusternetes::dns::testing;

namespace {

constexpr int noerror = 0, servfail = 2, nxdomain = 3, refused = 5;
const std::string zone = ".cluster.local.";

struct ZoneWorld : DnsWorld {
  ZoneWorld() {
    service("web", R"("clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10"],
        "ports":[{"name":"http","port":80,"protocol":"TCP"},{"name":"dns","port":53,"protocol":"UDP"}])");
    service("dual",
            R"("clusterIP":"10.96.0.11","clusterIPs":["10.96.0.11","fd00::11"],"ports":[{"port":80}])");
    service("bare", R"("clusterIP":"10.96.0.12")");
    service("zeros", R"("clusterIP":"010.96.0.13","clusterIPs":["010.96.0.13"])");
    service("mapped", R"("clusterIP":"::ffff:10.96.0.14","clusterIPs":["::ffff:10.96.0.14"])");
    service("db", R"("clusterIP":"None","clusterIPs":["None"],"ports":[{"name":"sql","port":5432}])");
    slice("db-1", "db",
          R"("addressType":"IPv4","ports":[{"name":"sql","port":5432,"protocol":"TCP"}],"endpoints":[
        {"addresses":["10.0.0.1"],"hostname":"db-0","conditions":{"ready":true}},
        {"addresses":["10.0.0.2"],"hostname":"db-1","conditions":{"ready":false}},
        {"addresses":["10.0.0.3"]}])");
    slice("web-1", "web",
          R"("addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":"TCP"}],"endpoints":[
        {"addresses":["10.0.0.9"],"conditions":{"ready":true}}])");
    service("none", R"("clusterIP":"None")");
    service("early", R"("clusterIP":"None","publishNotReadyAddresses":true)");
    slice("early-1", "early", R"("addressType":"IPv4","endpoints":[
        {"addresses":["10.0.1.1"],"conditions":{"ready":false}}])");
    service("six", R"("clusterIP":"None","ports":[{"name":"p","port":1}])");
    slice("six-1", "six",
          R"("addressType":"IPv6","ports":[{"name":"p","port":1,"protocol":"TCP"}],"endpoints":[
        {"addresses":["fd00:1::"],"conditions":{"ready":true}}])");
    start();
  }
};

}  // namespace

TEST_CASE_METHOD(ZoneWorld, "a Service has its ClusterIPs' addresses, each in its family") {
  auto a = ask("web.default.svc.cluster.local", type_a);
  CHECK(a.rcode == noerror);
  CHECK(a.is_authoritative);
  CHECK(a.answer == Texts{"web.default.svc.cluster.local. 30 IN A 10.96.0.10"});
  CHECK(ask("dual.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.96.0.11"});
  CHECK(ask("dual.default.svc.cluster.local", type_aaaa).data(LDNS_RR_TYPE_AAAA) == Texts{"fd00::11"});
  CHECK(ask("bare.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.96.0.12"});
}

TEST_CASE_METHOD(ZoneWorld, "an IPv4 ClusterIP with zeros before it or mapped into IPv6 is the plain one") {
  CHECK(ask("zeros.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.96.0.13"});
  CHECK(ask("mapped.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.96.0.14"});
  CHECK(ask("mapped.default.svc.cluster.local", type_aaaa).data(LDNS_RR_TYPE_AAAA).empty());
}

TEST_CASE_METHOD(
    ZoneWorld,
    "what a name has nothing of is NODATA, and what does not exist NXDOMAIN, with the zone's SOA") {
  // musl asks A and AAAA at once and takes NXDOMAIN for either as the end.
  for (const auto type :
       {type_aaaa, type_mx, type_txt, type_cname, type_ptr, type_soa, type_ns, type_https, type_any}) {
    const auto none = ask("web.default.svc.cluster.local", type);
    CHECK(none.rcode == noerror);
    CHECK(none.answer.empty());
    REQUIRE(none.authority.size() == 1);
    CHECK(none.authority[0] ==
          "cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 "
          "86400 30");
  }
  for (const std::string name :
       {"cluster.local", "svc.cluster.local", "pod.cluster.local", "default.svc.cluster.local",
        "default.pod.cluster.local", "dns-version.cluster.local", "_tcp.web.default.svc.cluster.local",
        "_tcp.db.default.svc.cluster.local", "dns.cluster.local"}) {
    INFO(name);
    const auto none = ask(name, type_a);
    CHECK(none.rcode == noerror);
    CHECK(none.answer.empty());
    CHECK(none.authority.size() == 1);
  }
  for (const std::string name :
       {"other.default.svc.cluster.local", "web.nowhere.svc.cluster.local", "nowhere.svc.cluster.local",
        "nowhere.cluster.local", "*.default.svc.cluster.local", "web.*.svc.cluster.local",
        "*.web.default.svc.cluster.local", "_http._udp.web.default.svc.cluster.local",
        "_._tcp.web.default.svc.cluster.local", "a.b.c.web.default.svc.cluster.local",
        "x.a.b.c.web.default.svc.cluster.local", "_sctp.web.default.svc.cluster.local",
        "1-2-3.default.pod.cluster.local", "1-2-3-4.nowhere.pod.cluster.local",
        "none.default.svc.cluster.local", "web.default.svc.cluster.local.cluster.local"}) {
    INFO(name);
    const auto none = ask(name, type_a);
    CHECK(none.rcode == nxdomain);
    CHECK(none.answer.empty());
    REQUIRE(none.authority.size() == 1);
    CHECK(none.authority[0].find(" IN SOA ") != std::string::npos);
    CHECK(ask(name, type_srv).rcode == nxdomain);
  }
}

TEST_CASE_METHOD(ZoneWorld, "a headless Service has the addresses of its ready endpoints") {
  CHECK(ask("db.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.0.0.1", "10.0.0.3"});
  const auto aaaa = ask("db.default.svc.cluster.local", type_aaaa);
  CHECK(aaaa.rcode == noerror);
  CHECK(aaaa.answer.empty());
  CHECK(ask("db-0.db.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.0.0.1"});
  CHECK(ask("db-1.db.default.svc.cluster.local", type_a).rcode == nxdomain);
  CHECK(ask("10-0-0-3.db.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.0.0.3"});
  CHECK(ask("10-0-0-1.db.default.svc.cluster.local", type_a).rcode == nxdomain);  // it has a hostname
  CHECK(ask("10-0-0-9.web.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.0.0.9"});
  CHECK(ask("early.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.0.1.1"});
  CHECK(ask("six.default.svc.cluster.local", type_aaaa).data(LDNS_RR_TYPE_AAAA) == Texts{"fd00:1::"});
  CHECK(ask("fd00-1--0.six.default.svc.cluster.local", type_aaaa).data(LDNS_RR_TYPE_AAAA) ==
        Texts{"fd00:1::"});
}

TEST_CASE_METHOD(ZoneWorld, "a Pod's name is its address, of whatever family") {
  CHECK(ask("10-1-2-3.default.pod.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.1.2.3"});
  CHECK(ask("10-1-2-3.default.pod.cluster.local", type_aaaa).rcode == noerror);
  CHECK(ask("fd00--7.default.pod.cluster.local", type_aaaa).data(LDNS_RR_TYPE_AAAA) == Texts{"fd00::7"});
  CHECK(ask("fd00-0-0-0-0-0-0-7.default.pod.cluster.local", type_aaaa).data(LDNS_RR_TYPE_AAAA) ==
        Texts{"fd00::7"});
  CHECK(ask("10-1-2-300.default.pod.cluster.local", type_a).rcode == nxdomain);
  CHECK(ask("web-0.default.pod.cluster.local", type_a).rcode == nxdomain);
}

TEST_CASE_METHOD(ZoneWorld, "named ports have SRV records, with the addresses beside them") {
  const auto http = ask("_http._tcp.web.default.svc.cluster.local", type_srv);
  CHECK(http.answer ==
        Texts{"_http._tcp.web.default.svc.cluster.local. 30 IN SRV 0 100 80 web.default.svc.cluster.local."});
  CHECK(http.additional == Texts{"web.default.svc.cluster.local. 30 IN A 10.96.0.10"});
  CHECK(ask("web.default.svc.cluster.local", type_srv).data(LDNS_RR_TYPE_SRV) ==
        Texts{"0 50 53 web.default.svc.cluster.local.", "0 50 80 web.default.svc.cluster.local."});
  const auto sql = ask("_sql._tcp.db.default.svc.cluster.local", type_srv);
  CHECK(sql.data(LDNS_RR_TYPE_SRV) == Texts{"0 50 5432 10-0-0-3.db.default.svc.cluster.local.",
                                            "0 50 5432 db-0.db.default.svc.cluster.local."});
  CHECK(sql.additional.size() == 2);
  CHECK(ask("db-0.db.default.svc.cluster.local", type_srv).data(LDNS_RR_TYPE_SRV) ==
        Texts{"0 100 5432 db-0.db.default.svc.cluster.local."});
  CHECK(ask("early.default.svc.cluster.local", type_srv).answer.empty());  // no ports
}

TEST_CASE_METHOD(ZoneWorld, "addresses have the names of those who have them") {
  CHECK(ask("10.0.96.10.in-addr.arpa", type_ptr).data(LDNS_RR_TYPE_PTR) ==
        Texts{"web.default.svc.cluster.local."});
  CHECK(ask("1.0.0.10.in-addr.arpa", type_ptr).data(LDNS_RR_TYPE_PTR) ==
        Texts{"db-0.db.default.svc.cluster.local."});
  CHECK(ask("9.0.0.10.in-addr.arpa", type_ptr).data(LDNS_RR_TYPE_PTR) ==
        Texts{"10-0-0-9.web.default.svc.cluster.local."});
  CHECK(ask("1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", type_ptr)
            .data(LDNS_RR_TYPE_PTR) == Texts{"dual.default.svc.cluster.local."});
  CHECK(ask("2.0.0.10.in-addr.arpa", type_ptr).rcode == nxdomain);  // not ready
  CHECK(ask("7.7.0.10.in-addr.arpa", type_ptr).rcode == nxdomain);
  CHECK(ask("7.7.0.10.in-addr.arpa", type_ptr).authority.size() == 1);
  CHECK(ask("0.10.in-addr.arpa", type_ptr).rcode == nxdomain);
}

TEST_CASE_METHOD(ZoneWorld, "the zone has its version, SOA and NS") {
  CHECK(ask("dns-version.cluster.local", type_txt).answer ==
        Texts{"dns-version.cluster.local. 28800 IN TXT \"1.1.0\""});
  CHECK(ask("cluster.local", type_soa).answer.size() == 1);
  CHECK(ask("cluster.local", type_ns).answer == Texts{"cluster.local. 30 IN NS ns.dns.cluster.local."});
  CHECK(ask("ns.dns.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"127.0.0.1"});
  put("", "services",
      R"({"metadata":{"name":"kube-dns","namespace":"kube-system"},"spec":{"clusterIP":"10.96.0.53","clusterIPs":["10.96.0.53"]}})");
  REQUIRE(becomes("cluster.local", type_ns, [](const Answer& answer) {
    return answer.answer == Texts{"cluster.local. 30 IN NS kube-dns.kube-system.svc.cluster.local."} &&
           answer.additional == Texts{"kube-dns.kube-system.svc.cluster.local. 30 IN A 10.96.0.53"};
  }));
  CHECK(ask("ns.dns.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.96.0.53"});
}

TEST_CASE_METHOD(ZoneWorld, "names are found in any case and come back as they were asked for") {
  const auto mixed = ask("WeB.DeFault.sVc.CLUSTER.local", type_a);
  CHECK(mixed.question == "WeB.DeFault.sVc.CLUSTER.local.");
  CHECK(mixed.data(LDNS_RR_TYPE_A) == Texts{"10.96.0.10"});
  // The owner is a pointer to the question, and so has its case, too.
  CHECK(static_cast<unsigned char>(mixed.raw[header_size + 31]) == 0);
  CHECK(ask("DB-0.db.default.svc.cluster.local", type_a).data(LDNS_RR_TYPE_A) == Texts{"10.0.0.1"});
  CHECK(ask("_HTTP._Tcp.web.default.svc.cluster.local", type_srv).answer.size() == 1);
}

TEST_CASE_METHOD(ZoneWorld, "answers follow Services and endpoints as they change and go") {
  slice("db-2", "db",
        R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.4"]},{"addresses":["10.0.0.3"]}])");
  REQUIRE(becomes("db.default.svc.cluster.local", type_a, [](const Answer& answer) {
    return answer.data(LDNS_RR_TYPE_A) == Texts{"10.0.0.1", "10.0.0.3", "10.0.0.4"};  // each once
  }));
  erase("endpointslices", "default/db-1");
  REQUIRE(becomes("db.default.svc.cluster.local", type_a, [](const Answer& answer) {
    return answer.data(LDNS_RR_TYPE_A) == Texts{"10.0.0.3", "10.0.0.4"};
  }));
  CHECK(ask("1.0.0.10.in-addr.arpa", type_ptr).rcode == nxdomain);
  service("web", R"("clusterIP":"10.96.0.20","clusterIPs":["10.96.0.20"])");
  REQUIRE(becomes("web.default.svc.cluster.local", type_a,
                  [](const Answer& answer) { return answer.data(LDNS_RR_TYPE_A) == Texts{"10.96.0.20"}; }));
  CHECK(ask("10.0.96.10.in-addr.arpa", type_ptr).rcode == nxdomain);
  CHECK(ask("20.0.96.10.in-addr.arpa", type_ptr).answer.size() == 1);
  erase("services", "default/web");
  REQUIRE(becomes("web.default.svc.cluster.local", type_a,
                  [](const Answer& answer) { return answer.rcode == nxdomain; }));
  put("", "namespaces", R"({"metadata":{"name":"new"}})");
  REQUIRE(
      becomes("new.svc.cluster.local", type_a, [](const Answer& answer) { return answer.rcode == noerror; }));
}

TEST_CASE("addresses come in another order each time") {
  DnsWorld world;
  world.service("many", R"("clusterIP":"None")");
  std::string endpoints;
  for (int i = 1; i <= 8; ++i)
    endpoints += (i > 1 ? "," : "") + std::string(R"({"addresses":["10.0.0.)") + std::to_string(i) + "\"]}";
  world.slice("many-1", "many", R"("addressType":"IPv4","endpoints":[)" + endpoints + "]");
  world.start();
  std::set<Texts> orders;
  for (int i = 0; i < 20; ++i) orders.insert(world.ask("many.default.svc.cluster.local", type_a).answer);
  CHECK(orders.size() > 5);
}

TEST_CASE("until the API has been heard the cluster's names get SERVFAIL, and the server is not ready") {
  DnsWorld world;
  world.service("web", R"("clusterIP":"10.96.0.10")");
  world.on_thread([&] { world.api->is_down = true; });
  world.start();
  CHECK(world.ask("web.default.svc.cluster.local", type_a).rcode == servfail);
  CHECK(world.ask("other.default.svc.cluster.local", type_a).rcode == servfail);
  world.on_thread([&] {
    CHECK_FALSE(world.server->is_ready());
    world.api->is_down = false;
  });
  REQUIRE(world.comes([&] { return world.server->is_ready(); }));
  CHECK(world.ask("web.default.svc.cluster.local", type_a).rcode == noerror);
}

TEST_CASE("transfers, other classes and names of nobody are refused") {
  ZoneWorld world;
  CHECK(world.ask("cluster.local", type_axfr).rcode == refused);
  CHECK(world.ask("cluster.local", type_ixfr).rcode == refused);
  CHECK(world.ask("version.bind", type_txt, {.klass = 3}).rcode == refused);
  CHECK(world.ask("www.example.com", type_a).rcode == refused);  // nobody to ask
}

TEST_CASE("the domain and the TTL are the operator's") {
  DnsWorld world([](DnsOptions& options) {
    options.zone.domain = "corp.internal";
    options.zone.ttl_s = 5;
  });
  world.service("web", R"("clusterIP":"10.96.0.10")");
  world.start();
  CHECK(world.ask("web.default.svc.corp.internal", type_a).answer ==
        Texts{"web.default.svc.corp.internal. 5 IN A 10.96.0.10"});
  CHECK(world.ask("web.default.svc.cluster.local", type_a).rcode == refused);
}
