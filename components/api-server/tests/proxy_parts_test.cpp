// The parts of the proxy that need no connection.

#include <zlib.h>

#include <catch2/catch.hpp>
#include <chrono>

#include "api-server/proxy/forward_headers.h"
#include "api-server/proxy/location.h"
#include "api-server/proxy/long_running.h"
#include "api-server/proxy/proxy_path.h"
#include "api-server/proxy/rewrite_html.h"
#include "client/object_builder.h"
#include "http/header_text.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
using apimachinery::Document;
namespace core_v1 = apimachinery::core_v1;

namespace {

template <class T>
Document make(const std::string& json) {
  return client::ObjectBuilder::from_json(T::schema_type(), json);
}

Document pod_with(const std::string& address, const std::string& name = "web") {
  return make<core_v1::Pod>(R"({"metadata":{"name":")" + name + R"("},"spec":{"containers":[{"name":"a","image":"i"},{"name":"b","image":"i","ports":[{"containerPort":8080}]}]},)"
                            R"("status":{"podIP":")" + address + R"(","podIPs":[{"ip":")" + address + R"("}]}})");
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(text.size() + 1024, 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string gunzip(const std::string& bytes) {
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  std::string out(1 << 20, 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(::inflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  return out;
}

}  // namespace

TEST_CASE("a proxy's name is a name, with a port, and with a scheme before it") {
  const auto web = split_scheme_name_port("web");
  REQUIRE(web);
  CHECK((web->scheme.empty() && web->name == "web" && web->port.empty()));
  const auto all = split_scheme_name_port("https:web:tls");
  REQUIRE(all);
  CHECK((all->scheme == "https" && all->name == "web" && all->port == "tls"));
  REQUIRE(split_scheme_name_port("http:web:"));
  for (const char* bad : {"", ":1", "http::1", "ftp:web:1", "a:b:c:d"}) CHECK_FALSE(split_scheme_name_port(bad));
}

TEST_CASE("a proxy leads to no loopback, link-local, multicast or unspecified address") {
  for (const char* good : {"10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1"}) CHECK(proxyable_address(good) == good);
  for (const char* bad : {"127.0.0.1", "127.9.9.9", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
                          "::ffff:127.0.0.1", "", "localhost"})
    CHECK_FALSE(proxyable_address(bad));
}

TEST_CASE("an address with leading zeros is connected to as it was checked") {
  CHECK(proxyable_address("0177.0.0.1") == "177.0.0.1");  // getaddrinfo would read 127.0.0.1
  const Document pod = pod_with("0177.0.0.1");
  CHECK(pod_location({"", "web", "80"}, core_v1::Pod(&pod.root()))->host == "177.0.0.1");
}

TEST_CASE("the container is the named one, or the only one") {
  const Document one = make<core_v1::Pod>(R"({"metadata":{"name":"one"},"spec":{"containers":[{"name":"a","image":"i"}],"initContainers":[{"name":"i","image":"i"}]}})");
  const core_v1::Pod pod(&one.root());
  CHECK(*choose_container(pod, "") == "a");
  CHECK(*choose_container(pod, "i") == "i");
  CHECK(choose_container(pod, "x").error().message == "container x is not valid for pod one");
  const Document two = make<core_v1::Pod>(
      R"({"metadata":{"name":"two","annotations":{"kubectl.kubernetes.io/default-container":"b"}},"spec":{"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}],)"
      R"("initContainers":[{"name":"i","image":"i"}],"ephemeralContainers":[{"name":"debug","image":"i"}]}})");
  const auto refused = choose_container(core_v1::Pod(&two.root()), "");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == 400);
  CHECK(refused.error().message == "a container name must be specified for pod two, choose one of: [i a b debug]");
  CHECK(*choose_container(core_v1::Pod(&two.root()), "debug") == "debug");
}

TEST_CASE("a Pod's proxy takes the first port of its containers, or the scheme's") {
  const Document pod = pod_with("10.0.0.1");
  CHECK(pod_location({"", "web", ""}, core_v1::Pod(&pod.root()))->authority() == "10.0.0.1:8080");
  const auto tls = pod_location({"https", "web", "8443"}, core_v1::Pod(&pod.root()));
  CHECK(tls->authority() == "10.0.0.1:8443");
  CHECK((tls->is_tls && !tls->is_kubelet));
  const Document bare = make<core_v1::Pod>(R"({"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"podIP":"fd00::5","podIPs":[{"ip":"fd00::5"}]}})");
  CHECK(pod_location({"https", "web", ""}, core_v1::Pod(&bare.root()))->authority() == "[fd00::5]:443");
  for (const char* address : {"127.0.0.1", "169.254.0.9", ""}) {
    const Document local = pod_with(address);
    const auto refused = pod_location({"", "web", "80"}, core_v1::Pod(&local.root()));
    REQUIRE_FALSE(refused);
    CHECK((refused.error().code == 400 && refused.error().message == "address not allowed"));
  }
}

TEST_CASE("a Node's proxy is its kubelet, unless another port is named") {
  const Document node = make<core_v1::Node>(
      R"({"status":{"addresses":[{"type":"Hostname","address":"n1"},{"type":"ExternalIP","address":"1.2.3.4"},{"type":"InternalIP","address":"10.0.0.9"}],)"
      R"("daemonEndpoints":{"kubeletEndpoint":{"Port":10251}}}})");
  const core_v1::Node view(&node.root());
  const auto kubelet = node_location({"", "n1", ""}, view);
  CHECK(kubelet->authority() == "10.0.0.9:10251");
  CHECK((kubelet->is_tls && kubelet->is_kubelet));
  CHECK(node_location({"http", "n1", "10251"}, view)->is_kubelet);
  const auto other = node_location({"", "n1", "9100"}, view);
  CHECK(other->authority() == "10.0.0.9:9100");
  CHECK((!other->is_tls && !other->is_kubelet));
  const Document bare = make<core_v1::Node>(R"({"status":{"addresses":[{"type":"Hostname","address":"n1"}]}})");
  CHECK(kubelet_location(core_v1::Node(&bare.root())).error().message == "no preferred addresses found; known addresses: [{Hostname n1}]");
}

TEST_CASE("a Service's proxy leads to what is a Pod's address in the namespace, and to nothing else") {
  const Document pod = pod_with("10.0.0.1");
  const auto find = [&](std::string_view name) { return name == "web" ? pod : Document{}; };
  const auto locate = [&](const std::string& subsets, const SchemeNamePort& asked, std::string_view port) {
    const Document endpoints = make<core_v1::Endpoints>(R"({"subsets":)" + subsets + "}");
    return service_location(asked, "svc:" + std::string(port), port, "ns", core_v1::Endpoints(&endpoints.root()), 7, find);
  };
  const std::string ref = R"("targetRef":{"kind":"Pod","namespace":"ns","name":"web"})";
  const std::string ports = R"("ports":[{"name":"http","port":80},{"name":"tls","port":443}])";
  const auto good = locate(R"([{"addresses":[{"ip":"10.0.0.7",)" + ref + R"(},{"ip":"10.0.0.1",)" + ref + "}]," + ports + "}]", {"https", "svc", "tls"}, "tls");
  REQUIRE(good);
  CHECK((good->authority() == "10.0.0.1:443" && good->is_tls));
  const std::pair<std::string, std::string> refused[] = {
      {"[]", "svc"},
      {R"([{"addresses":[{"ip":"10.0.0.1"}],)" + ports + "}]", "svc:http"},                                                                              // nobody's
      {R"([{"addresses":[{"ip":"127.0.0.1",)" + ref + "}]," + ports + "}]", "svc:http"},                                                                 // not the Pod's
      {R"([{"addresses":[{"ip":"10.0.0.1","targetRef":{"kind":"Pod","namespace":"other","name":"web"}}],)" + ports + "}]", "svc:http"},                  // another namespace's
      {R"([{"addresses":[{"ip":"10.0.0.1","targetRef":{"kind":"Pod","namespace":"ns","name":"gone"}}],)" + ports + "}]", "svc:http"},
      {R"([{"notReadyAddresses":[{"ip":"10.0.0.1",)" + ref + "}]," + ports + "}]", "svc:http"},
      {R"([{"addresses":[{"ip":"10.0.0.1",)" + ref + R"(}],"ports":[{"name":"other","port":80}]}])", "svc:http"},
  };
  for (const auto& [subsets, name] : refused) {
    const auto made = locate(subsets, {"", "svc", "http"}, "http");
    CAPTURE(subsets);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == 503);
    CHECK(made.error().message == "no endpoints available for service \"" + name + "\"");
  }
}

TEST_CASE("a number is a Service's port, whose name its endpoints have") {
  const Document service = make<core_v1::Service>(R"({"spec":{"ports":[{"name":"http","port":80},{"name":"tls","port":443}]}})");
  const core_v1::Service view(&service.root());
  CHECK(*service_port_name({"", "s", "443"}, view) == "tls");
  CHECK(*service_port_name({"", "s", "http"}, view) == "http");
  CHECK(service_port_name({"", "s", ""}, view)->empty());
  CHECK(service_port_name({"", "s", "8080"}, view).error().message == "no service port 8080 found for service \"s\"");
}

TEST_CASE("the backend's path is what follows, decoded, clean, with its last slash") {
  const auto path = [](std::string_view tail) { return backend_path(parse_request("GET", "/api/v1/namespaces/ns/pods/web/proxy" + std::string(tail))); };
  CHECK(path("").empty());
  CHECK(path("?a=b").empty());
  CHECK(path("/") == "/");
  CHECK(path("/x/y") == "/x/y");
  CHECK(path("/x/y/") == "/x/y/");
  CHECK(path("//x//y/../z") == "/x/z");
  CHECK(path("/../../etc") == "/etc");
  CHECK(path("/a%2Fb%20c") == "/a/b c");
  CHECK(backend_path(parse_request("GET", "/api/v1/nodes/n1/proxy/metrics")) == "/metrics");
  CHECK(escape_path("/A/b c?d/!()*'$&+,;=:@~{\xc3\xa9") == "/A/b%20c%3Fd/%21%28%29%2A%27$&+,;=:@~%7B%C3%A9");
  CHECK(escape_query("a b&c=d/e~") == "a+b%26c%3Dd%2Fe~");
  const auto info = parse_request("GET", "/api/v1/nodes/n1/proxy/x/");
  CHECK(proxy_prefix(info) == "/api/v1/nodes/n1/proxy");
  const std::string hostile = "/api/v1/namespaces/ns/pods/web/proxy/" + std::string(100'000, '&') + "/../b";
  CHECK(proxy_prefix(parse_request("GET", hostile)) == "/api/v1/namespaces/ns/pods/web/proxy");  // not what the client chose
  CHECK(forwarded_path("/api/v1/nodes/n1/proxy", "/x/") == "/api/v1/nodes/n1/proxy/x/");
  CHECK(forwarded_path("/api/v1/nodes/n1/proxy", "") == "/api/v1/nodes/n1/proxy/");
}

TEST_CASE("links to the backend get the proxy's prefix, others stay") {
  const LinkRewriter links("/p/proxy", "10.0.0.1:80", "api:6443");
  CHECK(links.rewrite("/x?y=1#z") == "/p/proxy/x?y=1#z");
  CHECK(links.rewrite("/") == "/p/proxy/");
  CHECK(links.rewrite("http://10.0.0.1:80/x/") == "/p/proxy/x/");
  CHECK(links.rewrite("//10.0.0.1:80/x") == "/p/proxy/x");
  CHECK(links.rewrite("https://api:6443/x") == "https://api:6443/p/proxy/x");
  CHECK(links.rewrite("/p/proxy/x") == "/p/proxy/x");
  CHECK(links.rewrite("https://api:6443/p/proxy/x") == "https://api:6443/p/proxy/x");
  CHECK(links.rewrite("http://10.0.0.1:80//evil/x") == "/p/proxy/evil/x");
  for (const char* same : {"http://other/x", "//other/x", "rel", "rel/x", "", "#top", "?q", "mailto:a@b", "javascript:/x", "http://10.0.0.1:80"}) CHECK(links.rewrite(same) == same);
  CHECK(links.rewrite("/x\ny") == "/x\ny");
  const LinkRewriter quoted("/p'\"<>&", "h", "a");
  CHECK(quoted.rewrite("/x") == "/p%27%22%3C%3E&/x");
}

TEST_CASE("a page's links are rewritten wherever it is cut into pieces") {
  const std::string page =
      "<html><head><link rel=x href=\"/a.css\"><script src=/s.js></script><!-- <a href=\"/no\"> --></head><body background='/bg.png'>"
      "<a class=k HREF = \"/x/y?z=1&amp;w=2#f\" title='/t>'>t</a><a href=\"rel\">r</a><a href=http://10.0.0.1:80/s/>s</a><img src=\"/i.png\"/>"
      "<p title=\"/x\">1 < 2</p><script>var a=\"<a href='/z'>\";</script><title><a href=\"/n\"></title><a href=\"/last\"";
  const std::string wanted =
      "<html><head><link rel=x href=\"/p/a.css\"><script src=\"/p/s.js\"></script><!-- <a href=\"/no\"> --></head><body background='/p/bg.png'>"
      "<a class=k HREF = \"/p/x/y?z=1&amp;w=2#f\" title='/t>'>t</a><a href=\"rel\">r</a><a href=\"/p/s/\">s</a><img src=\"/p/i.png\"/>"
      "<p title=\"/x\">1 < 2</p><script>var a=\"<a href='/z'>\";</script><title><a href=\"/n\"></title><a href=\"/last\"";
  const LinkRewriter links("/p", "10.0.0.1:80", "api");
  for (std::size_t cut = 0; cut <= page.size(); ++cut) {
    HtmlRewriter rewriter(links);
    std::string out = rewriter.feed(std::string_view(page).substr(0, cut));
    out += rewriter.feed(std::string_view(page).substr(cut));
    out += rewriter.finish();
    CAPTURE(cut);
    REQUIRE(out == wanted);
  }
  HtmlRewriter single(links);
  std::string out;
  for (const char c : page) out += single.feed({&c, 1});
  CHECK(out + single.finish() == wanted);
  const std::string packed = gzip(page);
  for (std::size_t cut = 0; cut <= packed.size(); cut += 7) {
    GzipHtmlRewriter rewriter(links);
    auto first = rewriter.feed(std::string_view(packed).substr(0, cut));
    auto second = rewriter.feed(std::string_view(packed).substr(cut));
    auto last = rewriter.finish();
    REQUIRE((first && second && last));
    REQUIRE(gunzip(*first + *second + *last) == wanted);
  }
}

TEST_CASE("each byte of a hostile page is looked at once") {
  const LinkRewriter links("/p", "h", "a");
  std::string page;
  while (page.size() < (8u << 20)) page += "<a";
  const auto begin = std::chrono::steady_clock::now();
  HtmlRewriter rewriter(links);
  std::string out;
  for (std::size_t at = 0; at < page.size(); at += 4096) out += rewriter.feed(std::string_view(page).substr(at, 4096));
  out += rewriter.finish();
  CHECK(out == page);
  HtmlRewriter trickled(links);
  out.clear();
  for (std::size_t at = 0; at < (1u << 17); ++at) out += trickled.feed({&page[at], 1});
  out += trickled.finish();
  CHECK(out.size() == 1u << 17);
  // Milliseconds; a scan from the tag's beginning each time takes minutes.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  HtmlRewriter after(links);
  CHECK(after.feed("<a " + std::string(100'000, 'x') + "><a href=/x>") + after.finish() == "<a " + std::string(100'000, 'x') + "><a href=\"/p/x\">");
}

TEST_CASE("a page that packs well comes out in slices, and all of its members do") {
  const LinkRewriter links("/p", "h", "a");
  const std::string page(4 << 20, 'x');
  GzipHtmlRewriter rewriter(links);
  int slices = 0;
  auto piece = rewriter.feed(gzip(page));
  while (piece && rewriter.has_more()) {
    piece = rewriter.feed({});
    ++slices;
  }
  REQUIRE(piece);
  CHECK(slices >= 60);
  REQUIRE(rewriter.finish());
  GzipHtmlRewriter several(links);
  auto whole = several.feed(gzip("<a href=/x>") + gzip("<a href=/y>"));
  while (whole && several.has_more()) {
    auto more = several.feed({});
    REQUIRE(more);
    *whole += *more;
  }
  auto last = several.finish();
  REQUIRE((whole && last));
  CHECK(gunzip(*whole + *last) == "<a href=\"/p/x\"><a href=\"/p/y\">");
}

TEST_CASE("a client hides neither its address nor the host, and every Connection field counts") {
  http::RequestHead head;
  head.authority = "api:6443";
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"connection", "x-forwarded-for, host"}, {"connection", "x-drop"}, {"x-drop", "1"}, {"x-keep", "1"}})
    head.headers.add(name, value);
  http::Peer peer;
  peer.address = "10.1.2.3:4711";
  const http::Headers out = request_headers(head, peer, true);
  CHECK(out.get("x-forwarded-for") == "10.1.2.3");
  CHECK(out.get("host") == "api:6443");
  CHECK_FALSE(out.get("x-drop"));
  CHECK_FALSE(out.get("connection"));
  CHECK(out.get("x-keep") == "1");
}

TEST_CASE("a page that is no page passes, and a broken gzip stream is an error") {
  const LinkRewriter links("/p", "h", "a");
  HtmlRewriter rewriter(links);
  const std::string endless = "<a href=\"" + std::string(200'000, 'x');
  CHECK(rewriter.feed(endless) + rewriter.finish() == endless);
  GzipHtmlRewriter broken(links);
  CHECK_FALSE(broken.feed("this is no gzip"));
  GzipHtmlRewriter cut(links);
  const std::string packed = gzip("<a href=\"/x\">");
  REQUIRE(cut.feed(std::string_view(packed).substr(0, packed.size() - 9)));
  CHECK_FALSE(cut.finish());
}

TEST_CASE("a backend does not get who the client is, nor what belongs to its connection") {
  http::RequestHead head;
  head.authority = "api:6443";
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"host", "api:6443"},
                                                                                   {"authorization", "Bearer secret"},
                                                                                   {"impersonate-user", "x"},
                                                                                   {"connection", "Upgrade, X-Drop"},
                                                                                   {"upgrade", "websocket"},
                                                                                   {"x-drop", "1"},
                                                                                   {"x-keep", "1"},
                                                                                   {"content-length", "5"},
                                                                                   {"x-forwarded-for", "1.2.3.4"},
                                                                                   {"sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io"}})
    head.headers.add(name, value);
  http::Peer peer;
  peer.address = "[fd00::2]:4711";
  CHECK(http::is_upgrade(head.headers));
  http::Headers out = request_headers(head, peer);
  CHECK_FALSE(out.get("authorization"));
  CHECK_FALSE(out.get("impersonate-user"));
  CHECK_FALSE(out.get("content-length"));
  CHECK(out.get("sec-websocket-protocol") == "v5.channel.k8s.io");
  CHECK(out.get("x-forwarded-for") == "1.2.3.4, fd00::2");
  CHECK(out.get("upgrade") == "websocket");
  remove_hop_by_hop(out);
  CHECK_FALSE(out.get("upgrade"));
  CHECK_FALSE(out.get("x-drop"));
  CHECK(out.get("x-keep") == "1");
  CHECK(out.all("host").size() == 1);
}

TEST_CASE("long-running requests are counted while they run") {
  LongRunning all;
  const auto labels = LongRunning::labels(parse_request("GET", "/api/v1/namespaces/ns/pods/web/exec"));
  const std::string line = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"exec\",verb=\"CONNECT\",version=\"v1\"} ";
  {
    LongRunning::Mark first(all, labels), second(all, labels);
    CHECK(all.text().find(line + "2\n") != std::string::npos);
  }
  CHECK(all.text().find(line + "0\n") != std::string::npos);
}
