#pragma once
// A host, a node with Pods, and a Pod of another node, each a namespace, and TCP and UDP between them.
// Nothing has a route out.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kube-proxy/kube_proxy.h"
#include "memory_api.h"
#include "network/address.h"
#include "network/namespace.h"

namespace rusternetes::kube_proxy::testing {

using network::NetworkNamespace;

// Why namespaces cannot be made here, if so.
const std::optional<std::string>& missing_privilege();
#define RN_NEEDS_NAMESPACES()                                  \
  if (const auto& rn_missing = testing::missing_privilege()) { \
    WARN("skipped: " << *rn_missing);                          \
    return;                                                    \
  }

inline IpAddress ip(const char* text) { return *IpAddress::parse(text); }
Result<std::string> nft(const NetworkNamespace& where, const std::string& commands);
// Polls until it holds; false after five seconds.
bool eventually(const std::function<bool()>& holds,
                std::chrono::milliseconds limit = std::chrono::milliseconds(5000));

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();
  int get() const { return fd_; }

 private:
  int fd_;
};

// What came of an attempt to talk to an address.
struct Talk {
  std::string outcome;  // "ok", "refused", "silence"
  std::string server;   // who answered
  std::string seen;     // the client's address there
  Socket client, accepted;
  bool works() const;  // bytes still pass both ways, over TCP
};

class World {
 public:
  // With IPv6, every address has one of that family beside it that ends alike: 10.244.1.2 and
  // fd00:244:0:1::2, 10.213.0.11 and fd00:213::11, 198.51.100.2 and 2001:db8::2.
  explicit World(bool has_ipv6 = false);
  ~World();

  NetworkNamespace outside, host, node, far;
  std::map<std::string, NetworkNamespace> pods;  // "a" 10.244.1.2, "b" 10.244.1.3, "far" 10.244.9.2
  // Another Pod of the node; its namespace is among `pods`.
  void add_pod(const std::string& name, std::vector<IpAddress> addresses);

  // Servers at port 8080 of a Pod's address, or at another.
  void serve_tcp(const std::string& name, const NetworkNamespace& where, const char* address,
                 std::uint16_t port = 8080);
  void serve_udp(const std::string& name, const NetworkNamespace& where, const char* address,
                 std::uint16_t port = 8080);
  void stop_serving(const std::string& name);
  // May be called on a thread of its own. `source`: one of the addresses of `from`; null: the kernel chooses.
  Talk tcp(const NetworkNamespace& from, const char* address, std::uint16_t port, int limit_ms = 1500,
           const char* source = nullptr);
  // From a socket that is kept: one flow as long as the kernel thinks so.
  Talk udp(Socket& socket, const char* address, std::uint16_t port, int limit_ms = 700);
  Socket udp_socket(const NetworkNamespace& from, const char* source = nullptr);
  int dropped() const;  // by the node's drop rule of the service range

 private:
  void add_ipv6();
  struct Server {
    std::string name;
    Socket socket;
    bool is_udp;
  };
  std::vector<Server> servers_;
};

// The proxy on a thread of its own, over an API in memory.
class Proxy {
 public:
  explicit Proxy(const NetworkNamespace& node, std::function<void(KubeProxyOptions&)> change = {},
                 bool has_policies = false);
  ~Proxy();
  void start();  // returns once the first rules are loaded
  void begin();  // start(), at once
  void read_api(const std::function<void(MemoryApi::Shared&)>& work) {
    on_thread([&] { work(*api); });
  }
  void stop();
  // Services and EndpointSlices. Each returns when the rules are loaded; before start(), at once.
  void set(const std::string& resource, const Document& object);
  void set_all(const std::vector<std::pair<std::string, Document>>& objects);
  void remove(const std::string& resource, const std::string& key);
  void set_node(const Document& node);  // heard of some time later
  // Of what NetworkPolicies are made of. Returns when the rules are loaded; before start(), at once.
  void set_policies(const std::vector<std::pair<std::string, Document>>& objects);
  void remove_policies(const std::vector<std::pair<std::string, std::string>>& keys);  // resource, key
  template <class F>
  auto read(F work) {  // on the proxy's thread
    std::optional<std::invoke_result_t<F, KubeProxy&>> out;
    on_thread([&] { out = work(*proxy_); });
    return *out;
  }

 private:
  EventThread thread_{"control"};  // before what runs on it

 public:
  std::shared_ptr<MemoryApi::Shared> api;

 private:
  void on_thread(std::function<void()> work);
  void change(std::uint64_t count, std::function<void()> work);
  void change_policies(std::uint64_t count, std::function<void()> work);
  bool has_policies_;
  NetworkNamespace node_;
  KubeProxyOptions options_;
  std::unique_ptr<KubeProxy> proxy_;
};

// GET over HTTP/1.1 from a namespace: the whole answer.
std::string http_get(const NetworkNamespace& from, const char* address, std::uint16_t port,
                     const std::string& path);

}  // namespace rusternetes::kube_proxy::testing
