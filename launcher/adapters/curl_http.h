#pragma once
// HttpPort on libcurl. Certificates and keys are given from memory.

#include "launcher/ports/http_port.h"

namespace rusternetes::launcher {

class CurlHttp final : public HttpPort {
 public:
  CurlHttp();
  ~CurlHttp() override;
  Result<HttpResponse> send(const HttpRequest& request) override;
  std::vector<Result<HttpResponse>> send_all(const std::vector<HttpRequest>& requests) override;
  Result<int> stream(const HttpRequest& request,
                     const std::function<bool(std::string_view)>& on_line) override;

 private:
  void* handle_;  // CURL*, kept for its connection
};

}  // namespace rusternetes::launcher
