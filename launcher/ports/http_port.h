#pragma once
// HTTPS requests with a client certificate, for asking a cluster's api-server how it is. Calls block.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string body;
  std::string content_type = "application/json";  // of the body
  std::string authority_pem;
  std::string certificate_pem;
  std::string key_pem;
  std::chrono::milliseconds timeout{10'000};
  // Nothing is kept open afterwards: who is about to end the server would wait for it.
  bool is_last = false;
  bool is_server_verified = true;  // false: for a health check whose server signs its own certificate
};

struct HttpResponse {
  int status = 0;
  std::string body;
};

class HttpPort {
 public:
  virtual ~HttpPort() = default;
  // An error means that there was no answer.
  virtual Result<HttpResponse> send(const HttpRequest& request) = 0;
  // The answers to all, asked at the same time.
  virtual std::vector<Result<HttpResponse>> send_all(const std::vector<HttpRequest>& requests) = 0;
  // Gives every line of the body as it comes; `on_line` returns false to end it. The end of the body, the
  // timeout and a refused line are all success; returns the status code.
  virtual Result<int> stream(const HttpRequest& request,
                             const std::function<bool(std::string_view line)>& on_line) = 0;
};

}  // namespace rusternetes::launcher
