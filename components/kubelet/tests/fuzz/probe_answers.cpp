// Any bytes as what a Pod answers to a probe (a health message, the words of a gRPC status, a redirect), and as a node's
// resolv.conf.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kubelet/container/pod_files.h"
#include "kubelet/probe/grpc_health.h"
#include "kubelet/probe/http_get.h"

using namespace rusternetes::kubelet;

namespace {

void require(bool is_true) {
  if (!is_true) std::abort();
}

// What goes into a request line must not end it.
bool is_target(std::string_view text) {
  return text.starts_with('/') && std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; });
}

void follow(std::string_view location) {
  HttpGet at;
  at.host = "10.0.0.5";
  at.port = 8080;
  at.target = "/a/b?c";
  for (int redirects = 0; redirects < 3; ++redirects) {
    auto next = resolve_redirect(at, location);
    if (!next) return;
    require(is_target(next->target));
    at = *std::move(next);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)read_health_response(bytes);
  require(decode_grpc_message(bytes).size() <= bytes.size());
  follow(bytes);
  const auto read = parse_resolv_conf(bytes);
  const auto again = parse_resolv_conf(read.to_string());
  require(again.servers == read.servers && again.options == read.options && again.searches.size() <= read.searches.size());
  return 0;
}
