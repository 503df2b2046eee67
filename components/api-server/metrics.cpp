#include "api-server/metrics.h"

#include <fmt/format.h>
#include <zlib.h>

#include "apimachinery/errors.h"

namespace rusternetes::api_server {

namespace {
constexpr std::array<double, 11> bounds_s = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 5.0, 60.0};
constexpr std::size_t compress_from_bytes = 128 * 1024;
}  // namespace

void RequestMetrics::record(const RequestInfo& info, const apimachinery::Kind* kind, int code, std::chrono::nanoseconds took) {
  std::string verb = info.verb;
  for (char& c : verb) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (verb == "CREATE") verb = "POST";
  if (verb == "UPDATE") verb = "PUT";
  const std::string_view scope = !info.is_resource ? "" : !info.name.empty() ? "resource" : info.name_space.empty() ? "cluster" : "namespace";
  const std::string what = fmt::format("component=\"apiserver\",group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
                                       kind ? info.api_group : "", kind ? info.resource : "", scope, kind ? info.subresource : "", verb, kind ? info.api_version : "");
  const double seconds = std::chrono::duration<double>(took).count();
  std::lock_guard lock(mutex_);
  ++requests_[fmt::format("code=\"{}\",{}", code, what)];
  if (info.verb == "watch") return;
  Series& series = durations_[what];
  ++series.count;
  series.seconds += seconds;
  std::size_t i = 0;
  while (i < bounds_s.size() && seconds > bounds_s[i]) ++i;
  ++series.buckets[i];
}

std::string RequestMetrics::text() const {
  std::lock_guard lock(mutex_);
  std::string out = "# HELP apiserver_request_total [STABLE] Requests, by verb, resource and response code.\n# TYPE apiserver_request_total counter\n";
  for (const auto& [labels, count] : requests_) out += fmt::format("apiserver_request_total{{{},dry_run=\"\"}} {}\n", labels, count);
  out += "# HELP apiserver_request_duration_seconds [STABLE] Time until the response, by verb and resource.\n# TYPE apiserver_request_duration_seconds histogram\n";
  for (const auto& [labels, series] : durations_) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bounds_s.size(); ++i) {
      sum += series.buckets[i];
      out += fmt::format("apiserver_request_duration_seconds_bucket{{{},dry_run=\"\",le=\"{}\"}} {}\n", labels, bounds_s[i], sum);
    }
    out += fmt::format("apiserver_request_duration_seconds_bucket{{{},dry_run=\"\",le=\"+Inf\"}} {}\n", labels, series.count);
    out += fmt::format("apiserver_request_duration_seconds_sum{{{},dry_run=\"\"}} {}\n", labels, series.seconds);
    out += fmt::format("apiserver_request_duration_seconds_count{{{},dry_run=\"\"}} {}\n", labels, series.count);
  }
  return out;
}

void compress(const HandlerContext& context, http::ResponseHead& head, Encoded& encoded) {
  head.headers.add("vary", "Accept-Encoding");
  std::size_t size = 0;
  for (const auto& slice : encoded.body) size += slice.bytes.size();
  if (size < compress_from_bytes || context.exchange->peer().is_loopback ||
      !accepts_gzip(context.exchange->head().headers.get("accept-encoding").value_or("")))
    return;
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return;
  std::string out;
  char buffer[64 * 1024];
  for (std::size_t i = 0; i <= encoded.body.size(); ++i) {
    const bool is_end = i == encoded.body.size();
    const std::string_view bytes = is_end ? std::string_view{} : encoded.body[i].bytes;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer);
      stream.avail_out = sizeof buffer;
      deflate(&stream, is_end ? Z_FINISH : Z_NO_FLUSH);
      out.append(buffer, sizeof buffer - stream.avail_out);
    } while (stream.avail_out == 0);
  }
  deflateEnd(&stream);
  encoded.body.clear();
  encoded.body.push_back(http::Slice::own(std::move(out)));
  head.headers.add("content-encoding", "gzip");
}

}  // namespace rusternetes::api_server
