#pragma once
// A network namespace of this test's own with an address that a proxy may lead to, in it an api-server, and stand-ins for a
// kubelet and a backend that show what they were asked.

#include <net/if.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/x509v3.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "authn_keys.h"
#include "http/server.h"
#include "server_test_support.h"

namespace rusternetes::api_server::testing {

inline constexpr const char* kAddress = "10.99.0.1";

// The calling thread, and the threads that it makes, are in a new network namespace while this lives.
class OwnNetwork {
 public:
  OwnNetwork() : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (::unshare(CLONE_NEWNET) != 0) return;
    is_inside_ = true;
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    REQUIRE(::ioctl(socket, SIOCSIFFLAGS, &request) == 0);
    std::strcpy(request.ifr_name, "lo:1");
    auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
    address->sin_family = AF_INET;
    REQUIRE(::inet_pton(AF_INET, kAddress, &address->sin_addr) == 1);
    REQUIRE(::ioctl(socket, SIOCSIFADDR, &request) == 0);
    ::close(socket);
  }
  ~OwnNetwork() {
    if (is_inside_ && ::setns(home_, CLONE_NEWNET) != 0) std::abort();
    ::close(home_);
  }
  bool is_inside() const { return is_inside_; }

 private:
  int home_;
  bool is_inside_ = false;
};
#define RN_NEEDS_OWN_NETWORK(name)                                     \
  OwnNetwork name;                                                     \
  if (!name.is_inside()) {                                             \
    WARN("skipped: a network namespace cannot be made without rights"); \
    return;                                                            \
  }

// A certificate of the key "P-256" for kAddress and loopback, signed by itself.
inline std::string make_self_signed() {
  std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  EVP_PKEY* key = test_evp_key("P-256");
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("proxy test"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  const std::string names = fmt::format("IP:127.0.0.1,IP:{}", kAddress);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(certificate.get(), extension, -1);
  X509_EXTENSION_free(extension);
  REQUIRE(X509_sign(certificate.get(), key, EVP_sha256()) > 0);
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate.get());
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(length));
}

inline const std::string& self_signed() {
  static const std::string made = make_self_signed();
  return made;
}

// Tells in its answers what it was asked. Paths that end in: redirect, html, teapot, refuse, plain (answers an upgrade with 200),
// big (streams 64 MiB), slow (answers before it reads the body). Upgraded, it echoes, says "bye" at the client's end, and
// "close" in the bytes ends it.
class StandIn {
 public:
  explicit StandIn(std::optional<http::ServerTls> tls) {
    http::Server::Options options;
    options.name = "stand-in";
    options.executors = {thread_.executor()};
    options.handler = [this](std::shared_ptr<http::Exchange> exchange) { return handle(std::move(exchange)); };
    server_ = std::make_unique<http::Server>(std::move(options));
    auto port = tls ? server_->listen_tls(kAddress, 0, *tls) : server_->listen_plain(kAddress, 0);
    REQUIRE(port);
    port_ = *port;
    server_->start();
  }
  ~StandIn() {
    run_blocking(thread_.executor(), server_->stop(std::chrono::milliseconds(0)));
    server_.reset();
    thread_.stop();
  }
  std::uint16_t port() const { return port_; }
  int open_streams() const { return open_streams_; }
  static std::string block() {
    std::string out;
    for (int i = 0; out.size() < 64 * 1024; ++i) out += std::to_string(i) + ",";
    out.resize(64 * 1024);
    return out;
  }

 private:
  static std::string describe(const http::Exchange& exchange) {
    std::string out = fmt::format("{} {}\n", exchange.head().method, exchange.head().target);
    for (const auto& [name, value] : exchange.head().headers.fields()) out += fmt::format("{}: {}\n", name, value);
    return out;
  }
  static std::vector<http::Slice> slices(std::string text) {
    std::vector<http::Slice> out;
    out.push_back(http::Slice::own(std::move(text)));
    return out;
  }

  Task<> handle(std::shared_ptr<http::Exchange> exchange) {
    std::string path = exchange->head().target.substr(0, exchange->head().target.find('?'));
    path = path.substr(path.rfind('/') + 1);
    http::ResponseHead head;
    head.headers.add("x-mine", "1");
    if (exchange->head().headers.get("upgrade") && path != "refuse" && path != "plain") {
      co_await stream(exchange);
      co_return;
    }
    if (path == "refuse") {
      head.status = 403;
      (void)co_await exchange->respond(std::move(head), slices("no upgrade here\n"));
      co_return;
    }
    if (path == "big" || path == "slow") {
      (void)co_await exchange->begin(std::move(head));
      const std::string piece = block();
      for (int i = 0; path == "big" && i < 1024; ++i) {
        auto written = co_await exchange->write(slices(piece));
        if (!written) co_return;
      }
      for (;;) {
        if (path == "slow") (void)co_await exchange->write(slices("ready;"));
        auto read = co_await exchange->read_some();
        if (!read || read->empty()) break;
        (void)co_await exchange->write(slices("got " + *read + ";"));
      }
      (void)co_await exchange->finish();
      co_return;
    }
    auto body = co_await exchange->read_body(256 << 20);
    if (path == "redirect") {
      head.status = 302;
      head.headers.add("location", std::string(exchange->head().headers.get("x-want").value_or("/elsewhere?x=1")));
      (void)co_await exchange->respond(std::move(head), {});
      co_return;
    }
    if (path == "html") {
      head.headers.add("content-type", "text/html; charset=utf-8");
      (void)co_await exchange->respond(std::move(head), slices("<a href=\"/x\">x</a>"));
      co_return;
    }
    head.status = path == "teapot" ? 418 : 200;
    head.headers.add("content-type", "text/plain");
    head.headers.add("access-control-allow-origin", "*");
    std::string told = describe(*exchange);
    told += fmt::format("\n{}", body ? (body->size() > 4096 ? fmt::format("{} bytes, {}", body->size(), std::hash<std::string>{}(*body)) : *body) : body.error().message);
    (void)co_await exchange->respond(std::move(head), slices(std::move(told)));
  }

  Task<> stream(std::shared_ptr<http::Exchange> exchange) {
    std::shared_ptr<void> counted(nullptr, [this](void*) { --open_streams_; });
    ++open_streams_;
    http::ResponseHead head;
    head.status = 101;
    head.headers.add("connection", "Upgrade");
    head.headers.add("upgrade", std::string(*exchange->head().headers.get("upgrade")));
    head.headers.add("x-stream-protocol-version", "v4.channel.k8s.io");
    const std::string told = describe(*exchange);
    auto upgraded = co_await exchange->upgrade(std::move(head));
    if (!upgraded) co_return;
    auto& bytes = **upgraded;
    auto written = co_await bytes.write(told + "\n");
    while (written) {
      auto read = co_await bytes.read_some();
      if (!read) co_return;
      if (read->empty()) break;
      if (read->starts_with("close")) co_return;
      written = co_await bytes.write(*read);
    }
    written = co_await bytes.write("bye");
    (void)co_await bytes.shutdown_write();
  }

  EventThread thread_{"stand-in"};
  std::unique_ptr<http::Server> server_;
  std::uint16_t port_ = 0;
  std::atomic<int> open_streams_{0};
};

// A connection to the api-server that says exactly what it is told.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~RawClient() {
    if (fd_ >= 0) ::close(fd_);
  }
  void say(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      REQUIRE(sent > 0);
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void ask(const std::string& method, const std::string& target, const std::string& more = {}, const std::string& token = "admin-token",
           const std::string& body = {}) {
    say(fmt::format("{} {} HTTP/1.1\r\nhost: api.test:6443\r\nauthorization: Bearer {}\r\n{}\r\n{}", method, target, token, more, body));
  }
  // Everything up to `enough`; what came, if the connection ends or nothing comes for 20 s.
  std::string read_until(const std::string& enough) {
    while (held_.find(enough) == std::string::npos && pull()) {
    }
    const auto found = held_.find(enough);
    const auto end = found == std::string::npos ? held_.size() : found + enough.size();
    std::string out = held_.substr(0, end);
    held_.erase(0, end);
    return out;
  }
  std::string read_exactly(std::size_t count) {
    while (held_.size() < count && pull()) {
    }
    std::string out = held_.substr(0, count);
    held_.erase(0, out.size());
    return out;
  }
  // Until the connection's end; "(no end)" behind it if that does not come.
  std::string read_all() {
    while (pull()) {
    }
    return std::exchange(held_, {}) + (has_ended_ ? "" : "(no end)");
  }
  void end() { ::shutdown(fd_, SHUT_WR); }
  void drop() {
    const linger now{1, 0};  // with a reset
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(std::exchange(fd_, -1));
  }

 private:
  bool pull() {
    char buffer[64 * 1024];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    has_ended_ = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n <= 0) return false;
    held_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  int fd_;
  std::string held_;
  bool has_ended_ = false;
};

inline InstanceOptions with_kubelet_client() {
  InstanceOptions options;
  http::ClientTls kubelet;
  kubelet.ca_pem = self_signed();
  options.kubelet_client = kubelet;
  return options;
}

// With the objects that the stand-ins are behind: Nodes n1 (the kubelet), dead, bare; Pods web, two, ...; Services.
class ProxyWorld {
 public:
  ProxyWorld() : kubelet(http::ServerTls{self_signed(), test_pem("P-256", true), ""}), backend(std::nullopt), server(with_kubelet_client()) {
    send("POST", "/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"default"}})");
    add_node("n1", fmt::format(R"([{{"type":"InternalIP","address":"{}"}}])", kAddress), kubelet.port());
    add_node("dead", fmt::format(R"([{{"type":"InternalIP","address":"{}"}}])", kAddress), 1);
    add_node("local", R"([{"type":"InternalIP","address":"127.0.0.1"}])", kubelet.port());
    add_node("bare", "[]", 10250);
    const std::string a = fmt::format(R"({{"name":"a","image":"i","ports":[{{"containerPort":{}}}]}})", backend.port());
    add_pod("web", a, "n1", kAddress);
    add_pod("two", a + R"(,{"name":"b","image":"i"}],"initContainers":[{"name":"i","image":"i"})", "n1", kAddress);
    add_pod("nowhere", a, "", "");
    add_pod("loopback", a, "n1", "127.0.0.1");
    add_pod("onghost", a, "ghost", kAddress);
    add_pod("ondead", a, "dead", kAddress);
    add_pod("onbare", a, "bare", kAddress);
    add_service("s1", "80", fmt::format(R"([{{"addresses":[{{"ip":"{}","targetRef":{{"kind":"Pod","namespace":"default","name":"web"}}}}],"ports":[{{"port":{}}}]}}])", kAddress, backend.port()));
    add_service("empty", "80", "[]");
    add_service("alone", "80", "");
  }
  Answer send(const std::string& method, const std::string& target, const std::string& body = {}, const std::string& type = "application/json") {
    Answer answer = server.send(method, target, body, type);
    INFO(method << " " << target << " " << answer.body);
    REQUIRE((answer.code < 300 || answer.code == 409));
    return answer;
  }
  // One request on a connection of its own, which ends behind the answer.
  std::string ask(const std::string& method, const std::string& target, const std::string& more = {}, const std::string& token = "admin-token",
                  const std::string& body = {}) {
    RawClient client(server.instance().port());
    client.ask(method, target, more + "connection: close\r\n", token, body);
    return client.read_all();
  }

  StandIn kubelet, backend;
  TestServer server;

 private:
  void add_node(const std::string& name, const std::string& addresses, int port) {
    send("POST", "/api/v1/nodes", fmt::format(R"({{"metadata":{{"name":"{}"}}}})", name));
    send("PATCH", fmt::format("/api/v1/nodes/{}/status", name), fmt::format(R"({{"status":{{"addresses":{},"daemonEndpoints":{{"kubeletEndpoint":{{"Port":{}}}}}}}}})", addresses, port),
         "application/merge-patch+json");
  }
  void add_pod(const std::string& name, const std::string& containers, const std::string& node, const std::string& address) {
    send("POST", "/api/v1/namespaces/default/pods",
         fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"automountServiceAccountToken":false,"nodeName":"{}","containers":[{}]}}}})", name, node, containers));
    if (!address.empty())
      send("PATCH", fmt::format("/api/v1/namespaces/default/pods/{}/status", name), fmt::format(R"({{"status":{{"podIP":"{0}","podIPs":[{{"ip":"{0}"}}]}}}})", address),
           "application/merge-patch+json");
  }
  void add_service(const std::string& name, const std::string& port, const std::string& subsets) {
    send("POST", "/api/v1/namespaces/default/services", fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"ports":[{{"port":{}}}]}}}})", name, port));
    if (!subsets.empty())
      send("POST", "/api/v1/namespaces/default/endpoints", fmt::format(R"({{"metadata":{{"name":"{}"}},"subsets":{}}})", name, subsets));
  }
};

}  // namespace rusternetes::api_server::testing
