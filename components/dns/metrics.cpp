#include "dns/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace rusternetes::dns {

namespace {

// Those that CoreDNS tells apart; all else is "other".
constexpr std::pair<std::uint16_t, std::string_view> type_names[] = {
    {type_a, "A"},         {type_aaaa, "AAAA"}, {type_srv, "SRV"}, {type_ptr, "PTR"}, {type_txt, "TXT"},
    {type_cname, "CNAME"}, {type_ns, "NS"},     {type_soa, "SOA"}, {type_mx, "MX"},   {type_https, "HTTPS"},
    {type_any, "ANY"},     {35, "NAPTR"},       {0, "other"}};
constexpr Rcode code_names[] = {Rcode::no_error,   Rcode::format_error,    Rcode::server_failure,
                                Rcode::name_error, Rcode::not_implemented, Rcode::refused,
                                Rcode::bad_version};
constexpr std::string_view plugin_names[] = {"kubernetes", "cache", "forward", ""};
constexpr std::size_t size_bounds[] = {0,    100,  200,  300,   400,   511,  1023,
                                       2047, 4095, 8291, 16000, 32000, 48000};
constexpr std::string_view transports[] = {"udp", "tcp"};

template <class Array, class Value>
std::size_t place(const Array& array, const Value& value, std::size_t otherwise) {
  const auto it = std::ranges::find(array, value);
  return it == std::end(array) ? otherwise : static_cast<std::size_t>(it - std::begin(array));
}

template <class Histogram>
void add_histogram(std::string& out, std::string_view name, const std::string& labels,
                   const Histogram& histogram) {
  std::uint64_t below = 0;
  double bound = std::chrono::duration<double>(Histogram::first).count();
  for (std::size_t i = 0; i < Histogram::size; ++i, bound *= 2)
    out += fmt::format("{}_bucket{{{},le=\"{:g}\"}} {}\n", name, labels, bound, below += histogram.counts[i]);
  out += fmt::format("{0}_bucket{{{1},le=\"+Inf\"}} {2}\n{0}_sum{{{1}}} {3:g}\n{0}_count{{{1}}} {2}\n", name,
                     labels, histogram.total, histogram.sum_s);
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

}  // namespace

void Metrics::Sizes::add(Transport transport, std::size_t size) {
  const auto bucket = std::ranges::lower_bound(size_bounds, size) - std::begin(size_bounds);
  ++counts[static_cast<std::size_t>(transport)][static_cast<std::size_t>(bucket)];
  bytes[static_cast<std::size_t>(transport)] += size;
}

void Metrics::Sizes::write(std::string& out, std::string_view name, std::string_view server) const {
  for (std::size_t transport = 0; transport < 2; ++transport) {
    std::uint64_t below = 0;
    const std::string labels = fmt::format("{},proto=\"{}\"", server, transports[transport]);
    for (std::size_t i = 0; i < sizes; ++i)
      out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, size_bounds[i],
                         below += counts[transport][i]);
    below += counts[transport][sizes];
    out += fmt::format("{0}_bucket{{{1},le=\"+Inf\"}} {2}\n{0}_sum{{{1}}} {3}\n{0}_count{{{1}}} {2}\n", name,
                       labels, below, bytes[transport]);
  }
}

void Metrics::on_request(const Query& query, std::size_t size, Transport transport, bool is_v6) {
  ++requests_;
  questions_.add(transport, size);
  dnssec_requests_ += query.wants_dnssec;
  std::size_t type = 0;
  while (type + 1 < types && type_names[type].first != query.type) ++type;
  ++by_type_[static_cast<std::size_t>(transport)][is_v6][type];
}

void Metrics::on_response(Rcode rcode, std::string_view by, Transport transport, std::size_t size,
                          std::chrono::nanoseconds duration) {
  ++by_code_[place(code_names, rcode, 2)][place(plugin_names, by, plugins - 1)];
  answers_.add(transport, size);
  durations_.add(duration);
}

std::string Metrics::text(const Forwarder& forwarder, std::size_t services) const {
  std::string out;
  const std::string server = fmt::format("server=\"dns://:{}\",zone=\".\",view=\"\"", port_);
  head(out, "coredns_dns_requests_total", "counter", "Questions by protocol, family and type.");
  for (std::size_t transport = 0; transport < 2; ++transport)
    for (std::size_t family = 0; family < 2; ++family)
      for (std::size_t type = 0; type < types; ++type)
        if (const auto count = by_type_[transport][family][type])
          out += fmt::format("coredns_dns_requests_total{{{},proto=\"{}\",family=\"{}\",type=\"{}\"}} {}\n",
                             server, transports[transport], family + 1, type_names[type].second, count);
  head(out, "coredns_dns_do_requests_total", "counter", "Questions that asked for DNSSEC records.");
  out += fmt::format("coredns_dns_do_requests_total{{{}}} {}\n", server, dnssec_requests_);
  head(out, "coredns_dns_responses_total", "counter", "Answers by code and by the part that gave them.");
  for (std::size_t code = 0; code < codes; ++code)
    for (std::size_t plugin = 0; plugin < plugins; ++plugin)
      if (const auto count = by_code_[code][plugin])
        out += fmt::format("coredns_dns_responses_total{{{},rcode=\"{}\",plugin=\"{}\"}} {}\n", server,
                           name_of(code_names[code]), plugin_names[plugin], count);
  head(out, "coredns_dns_request_duration_seconds", "histogram", "From a question to its answer.");
  add_histogram(out, "coredns_dns_request_duration_seconds", server, durations_);
  head(out, "coredns_dns_request_size_bytes", "histogram", "Size of questions.");
  questions_.write(out, "coredns_dns_request_size_bytes", server);
  head(out, "coredns_dns_response_size_bytes", "histogram", "Size of answers.");
  answers_.write(out, "coredns_dns_response_size_bytes", server);
  const Cache& cache = forwarder.cache();
  const std::string zones = fmt::format("server=\"dns://:{}\",zones=\".\",view=\"\"", port_);
  head(out, "coredns_cache_entries", "gauge", "Answers in the cache.");
  out += fmt::format(
      "coredns_cache_entries{{{0},type=\"success\"}} {1}\ncoredns_cache_entries{{{0},type=\"denial\"}} {2}\n",
      zones, cache.entries() - cache.denials(), cache.denials());
  const auto counter = [&](std::string_view name, std::string_view help, const std::string& labels,
                           std::uint64_t value) {
    head(out, name, "counter", help);
    out += fmt::format("{}{{{}}} {}\n", name, labels, value);
  };
  counter("coredns_cache_requests_total", "Look-ups in the cache.", zones, cache.counters().requests);
  head(out, "coredns_cache_hits_total", "counter", "Look-ups that found something.");
  out += fmt::format(
      "coredns_cache_hits_total{{{0},type=\"success\"}} {1}\ncoredns_cache_hits_total{{{0},type=\"denial\"}} "
      "{2}\n",
      zones, cache.counters().hits, cache.counters().denial_hits);
  counter("coredns_cache_misses_total", "Look-ups that found nothing.", zones, cache.counters().misses);
  counter("coredns_cache_evictions_total", "Answers that went for want of room.", zones,
          cache.counters().evictions);
  head(out, "coredns_forward_max_concurrent_rejects_total", "counter",
       "Questions refused, since too many were under way.");
  out += fmt::format("coredns_forward_max_concurrent_rejects_total {}\n", forwarder.counters().rejected);
  head(out, "coredns_proxy_request_duration_seconds", "histogram", "How long other servers took.");
  for (const auto& [key, histogram] : forwarder.counters().exchanges)
    add_histogram(out, "coredns_proxy_request_duration_seconds",
                  fmt::format("proxy_name=\"forward\",to=\"{}\",rcode=\"{}\"", key.first, key.second),
                  histogram);
  head(out, "coredns_proxy_healthcheck_failures_total", "counter", "Questions that a server did not answer.");
  for (const auto& [to, count] : forwarder.counters().failures)
    out += fmt::format("coredns_proxy_healthcheck_failures_total{{proxy_name=\"forward\",to=\"{}\"}} {}\n",
                       to, count);
  head(out, "coredns_kubernetes_dns_programming_duration_seconds", "histogram",
       "From a change of a Service's Pods to its records being served.");
  for (const bool is_headless : {false, true})
    if (programmed_[is_headless].total > 0)
      add_histogram(out, "coredns_kubernetes_dns_programming_duration_seconds",
                    fmt::format("service_kind=\"{}\"", is_headless ? "headless_with_selector" : "cluster_ip"),
                    programmed_[is_headless]);
  head(out, "rusternetes_dns_services", "gauge", "Services that have names.");
  out += fmt::format("rusternetes_dns_services {}\n", services);
  return out;
}

}  // namespace rusternetes::dns
