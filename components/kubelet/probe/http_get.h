#pragma once
// A GET to a Pod, as probes and lifecycle hooks make it: https is not verified, redirects are followed on the same host
// only, at most 10 KB of the answer are read. Errors are in the words of Go's http client, which events show.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/task.h"
#include "http/client.h"
#include "http/message.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

struct HttpGet {
  bool is_https = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string target = "/";  // path and query, escaped
  http::Headers headers;     // `host` among them only when it is said

  std::string authority() const;
  std::string url() const;
};

struct HttpGetOutcome {
  bool is_answered = false;
  int status = 0;
  std::string body;   // at most 10 KB
  std::string error;  // when it is not answered
  bool is_body_broken = false;     // the head came, the body did not
  bool is_plain_answer = false;    // https was asked, and http answered
};

// A number, or the name of a port of the container.
Result<std::uint16_t> container_port(const apimachinery::Value* port, const core_v1::Container& container);

// `purpose` is "probe" or "lifecycle", for the User-Agent. `pod_ip` where the action names no host.
Result<HttpGet> make_http_get(const core_v1::HTTPGetAction& action, const core_v1::Container& container, std::string_view pod_ip,
                              std::string_view purpose);

// Where a redirect leads to: an absolute or relative reference (RFC 3986, 5.2). BadRequest for another scheme than http(s).
Result<HttpGet> resolve_redirect(const HttpGet& from, std::string_view location);

// Zero `timeout`: none.
Task<HttpGetOutcome> http_get(http::OpenSocket open_socket, HttpGet get, std::chrono::milliseconds timeout);

}  // namespace rusternetes::kubelet
