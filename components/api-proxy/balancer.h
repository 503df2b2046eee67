#pragma once
// Which server a new connection goes to, and what the proxy knows of each. No I/O: it is told what happened,
// and when.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace rusternetes::api_proxy {

class Balancer {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // In the order in which servers are taken.
  enum class Standing { ready, unknown, not_ready, failed };
  enum class Probe { ready, not_ready, failed };
  // So many probes in a row without an answer, and the connections that the server has are given up. (One is
  // soon lost on a busy host.)
  static constexpr unsigned failures_to_leave = 2;

  explicit Balancer(std::size_t servers) : servers_(servers) {}

  // The server to try next, but for those in `tried`; none: all were. Of ready ones that with the fewest
  // connections, then in turn; of others in turn alone, since one that is dead has the fewest. The connection
  // counts until release().
  std::optional<std::size_t> take(const std::vector<bool>& tried);
  void release(std::size_t server);

  // A probe that began at `began` has ended. True: the server's standing is another now.
  bool note_probe(std::size_t server, Probe result, Time began);
  // The server refused a connection, or was too slow to take it, or reset it before its first byte. A probe
  // that began before `now` does not make up for it. True: its standing is another now.
  bool note_refused(std::size_t server, Time now);

  // Servers whose connections are better ended: they do not answer and another one does. While none does,
  // there is nothing to gain: a server that was only paused goes on with what it has.
  std::vector<std::size_t> to_leave() const;

  Standing standing(std::size_t server) const { return servers_[server].standing; }
  std::size_t connections(std::size_t server) const { return servers_[server].connections; }
  std::size_t size() const { return servers_.size(); }
  bool has_ready() const;

 private:
  struct Server {
    Standing standing = Standing::unknown;
    unsigned failures = 0;  // probes without an answer, in a row
    std::size_t connections = 0;
    Time refused_at = Time::min();
  };
  std::vector<Server> servers_;
  std::size_t last_ = SIZE_MAX;  // taken last, so that the first turn is server 0's
};

}  // namespace rusternetes::api_proxy
