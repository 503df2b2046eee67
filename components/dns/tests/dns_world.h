#pragma once
// The server on loopback, over an API in memory, and made-up servers that it forwards to.

#include <atomic>
#include <functional>
#include <thread>

#include "dns/server.h"
#include "dns_client.h"
#include "memory_api.h"

namespace rusternetes::dns::testing {

// An answer to a query: records as in a zone file ("www.example.com. 60 IN A 1.2.3.4"), by ldns.
struct Made {
  std::vector<std::string> answer, authority;
  int rcode = 0;
  bool is_truncated = false;
};
inline std::string make_answer(const std::string& query, const Made& made) {
  ldns_pkt* raw = nullptr;
  if (ldns_wire2pkt(&raw, reinterpret_cast<const std::uint8_t*>(query.data()), query.size()) !=
      LDNS_STATUS_OK)
    return {};
  Packet packet(raw);
  ldns_pkt_set_qr(raw, true);
  ldns_pkt_set_ra(raw, true);
  ldns_pkt_set_tc(raw, made.is_truncated);
  ldns_pkt_set_rcode(raw, static_cast<std::uint8_t>(made.rcode));
  const auto push = [&](ldns_pkt_section section, const std::vector<std::string>& lines) {
    for (const auto& line : lines) {
      ldns_rr* rr = nullptr;
      if (ldns_rr_new_frm_str(&rr, line.c_str(), 0, nullptr, nullptr) != LDNS_STATUS_OK) std::abort();
      ldns_pkt_push_rr(raw, section, rr);
    }
  };
  push(LDNS_SECTION_ANSWER, made.answer);
  push(LDNS_SECTION_AUTHORITY, made.authority);
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  if (ldns_pkt2wire(&bytes, raw, &size) != LDNS_STATUS_OK) return {};
  std::string out(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return out;
}

// A DNS server whose answers a test writes, on UDP and TCP of one port.
class MadeUpServer {
 public:
  // Called on its own thread; an empty answer is none.
  using Reply = std::function<std::string(const std::string& query, bool is_tcp)>;

  explicit MadeUpServer(Reply reply) : reply_(std::move(reply)) {
    auto sockets = listen({{*network::IpAddress::parse("127.0.0.1")}, 0, {}});
    REQUIRE(sockets);
    sockets_ = std::make_unique<ListenSockets>(*std::move(sockets));
    REQUIRE(::pipe(wake_) == 0);
    thread_ = std::thread([this] { run(); });
  }
  ~MadeUpServer() {
    ::close(wake_[1]);
    thread_.join();
    ::close(wake_[0]);
  }
  ServerAddress address() const { return {asio::ip::make_address("127.0.0.1"), sockets_->port}; }
  int count() const { return count_; }  // without the server's own looks at it
  // Whether it says of those that there is no such name, or nothing.
  std::atomic<bool> answers_probes{false};

 private:
  void run() {
    const int udp = sockets_->pairs[0].udp.fd(), tcp = sockets_->pairs[0].tcp.fd();
    for (;;) {
      pollfd wait[] = {{udp, POLLIN, 0}, {tcp, POLLIN, 0}, {wake_[0], POLLIN, 0}};
      ::poll(wait, 3, -1);
      if (wait[2].revents) return;
      if (wait[0].revents) {
        char buffer[4096];
        sockaddr_storage peer;
        socklen_t size = sizeof peer;
        const auto got = ::recvfrom(udp, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size);
        if (got <= 0) continue;
        const std::string query(buffer, static_cast<std::size_t>(got));
        const bool is_probe = is_hinfo(query);
        if (is_probe && !answers_probes) continue;
        count_ += !is_probe;
        const std::string answer = is_probe ? no_such_name(query) : reply_(query, false);
        if (!answer.empty())
          ::sendto(udp, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
      }
      if (wait[1].revents) serve_tcp(::accept(tcp, nullptr, nullptr));
    }
  }
  static bool is_hinfo(const std::string& query) {
    std::size_t at = header_size;
    return read_name(query, at, nullptr) && read16(&query[at]) == type_hinfo;
  }
  static std::string no_such_name(const std::string& query) { return make_answer(query, {.rcode = 3}); }
  void serve_tcp(int fd) {
    char length[2];
    if (::recv(fd, length, 2, MSG_WAITALL) == 2) {
      std::string query(read16(length), '\0');
      ::recv(fd, query.data(), query.size(), MSG_WAITALL);
      ++count_;
      std::string answer = reply_(query, true);
      write16(length, static_cast<std::uint16_t>(answer.size()));
      answer.insert(0, length, 2);
      if (answer.size() > 2) ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    ::close(fd);
  }
  Reply reply_;
  std::unique_ptr<ListenSockets> sockets_;
  int wake_[2];
  std::atomic<int> count_{0};
  std::thread thread_;
};

class DnsWorld {
 public:
  explicit DnsWorld(std::function<void(DnsOptions&)> adjust = {}) {
    on_thread([this] {
      api = std::make_unique<MemoryApi>(thread_.executor());
      api->put("", "namespaces", R"({"metadata":{"name":"default"}})");
      api->put("", "namespaces", R"({"metadata":{"name":"kube-system"}})");
    });
    if (adjust) adjust(options);
  }
  ~DnsWorld() {
    if (server) run_blocking(thread_.executor(), server->stop());
    on_thread([this] {
      server.reset();
      api.reset();
    });
  }
  // Starts it and waits until it is ready, unless the API is down.
  void start() {
    auto sockets = listen({{*network::IpAddress::parse(listen_address)}, 0, name_space});
    REQUIRE(sockets);
    port = sockets->port;
    bool is_down = false;
    on_thread([&] {
      auto made = DnsServer::make(*api, options, std::move(*sockets), clock);
      REQUIRE(made);
      server = *std::move(made);
      server->start();
      is_down = api->is_down;
    });
    if (!is_down) REQUIRE(comes([this] { return server->is_ready(); }));
  }
  void put(std::string_view group, std::string_view resource, const std::string& json) {
    on_thread([&] { api->put(group, resource, json); });
  }
  void erase(std::string_view resource, const std::string& key) {
    on_thread([&] { api->erase(resource, key); });
  }
  // `spec` is the Service's: R"("clusterIP":"10.96.0.1")".
  void service(const std::string& name, const std::string& spec) {
    put("", "services",
        R"({"metadata":{"name":")" + name + R"(","namespace":"default"},"spec":{)" + spec + "}}");
  }
  // `rest`: R"("endpoints":[...],"ports":[...])".
  void slice(const std::string& name, const std::string& service, const std::string& rest) {
    put("discovery.k8s.io", "endpointslices",
        R"({"metadata":{"name":")" + name +
            R"(","namespace":"default","labels":{"kubernetes.io/service-name":")" + service + R"("}},)" +
            rest + "}");
  }

  Answer ask(std::string_view name, std::uint16_t type, Ask how = {}) {
    ClientSocket socket(SOCK_DGRAM, port);
    const std::string sent = query(name, type, how);
    socket.send(sent);
    const std::string raw = socket.receive();
    REQUIRE(raw.size() >= header_size);
    CHECK(read16(raw.data()) == how.id);
    return read_answer(raw);
  }
  Answer ask_tcp(std::string_view name, std::uint16_t type, Ask how = {}) {
    ClientSocket socket(SOCK_STREAM, port);
    socket.send_framed(query(name, type, how));
    return read_answer(socket.receive_framed());
  }
  // What comes true within 10 seconds; looked at on the server's thread.
  bool comes(std::function<bool()> is_so) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    bool is_true = false;
    while (!is_true && std::chrono::steady_clock::now() < end) {
      on_thread([&] { is_true = is_so(); });
      if (!is_true) std::this_thread::yield();
    }
    return is_true;
  }
  // The same, of an answer.
  bool becomes(std::string_view name, std::uint16_t type, std::function<bool(const Answer&)> is_so) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < end)
      if (is_so(ask(name, type))) return true;
    return false;
  }
  void on_thread(std::function<void()> work) { run_blocking(thread_.executor(), call(std::move(work))); }

  DnsOptions options;
  std::string listen_address = "127.0.0.1";
  std::optional<network::NetworkNamespace> name_space;
  ManualClock clock;
  std::unique_ptr<MemoryApi> api;
  std::unique_ptr<DnsServer> server;
  std::uint16_t port = 0;

 private:
  static Task<> call(std::function<void()> work) {
    work();
    co_return;
  }
  EventThread thread_{"test-dns"};
};

using Texts = std::vector<std::string>;

}  // namespace rusternetes::dns::testing
