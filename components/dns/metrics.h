#pragma once
// Counters under CoreDNS's names, so that its dashboards and alerts go on working.

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "dns/forwarder.h"
#include "dns/histogram.h"
#include "dns/message.h"
#include "dns/response.h"

namespace rusternetes::dns {

class Metrics {
 public:
  // `port` is part of the label that names the server.
  explicit Metrics(std::uint16_t port) : port_(port) {}

  void on_request(const Query& query, std::size_t size, Transport transport, bool is_v6);
  // `by` is "kubernetes", "forward", "cache" or empty.
  void on_response(Rcode rcode, std::string_view by, Transport transport, std::size_t size,
                   std::chrono::nanoseconds duration);

  // From a change of a Service's Pods to its records being served, as Kubernetes' SLI of that name has it.
  void on_programmed(bool is_headless, std::chrono::nanoseconds duration) {
    programmed_[is_headless].add(duration);
  }

  // In Prometheus' text format.
  std::string text(const Forwarder& forwarder, std::size_t services) const;
  std::uint64_t requests() const { return requests_; }

 private:
  static constexpr std::size_t types = 13, codes = 7, plugins = 4, sizes = 13;
  std::uint16_t port_;
  std::uint64_t requests_ = 0, dnssec_requests_ = 0;
  std::array<std::array<std::array<std::uint64_t, types>, 2>, 2> by_type_{};  // transport, family
  std::array<std::array<std::uint64_t, plugins>, codes> by_code_{};
  // Bytes of messages, by transport.
  struct Sizes {
    std::array<std::array<std::uint64_t, sizes + 1>, 2> counts{};
    std::array<std::uint64_t, 2> bytes{};
    void add(Transport transport, std::size_t size);
    void write(std::string& out, std::string_view name, std::string_view server) const;
  };
  Sizes questions_, answers_;
  Histogram durations_;
  std::array<ProgrammingHistogram, 2> programmed_;  // cluster_ip, headless_with_selector
};

}  // namespace rusternetes::dns
