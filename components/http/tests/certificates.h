#pragma once
// Certificates for tests, made at run time: an authority and leaves for servers and clients.

#include <string>

#include "http/client.h"
#include "http/server.h"

namespace rusternetes::http::testing {

struct Identity {
  std::string certificate_pem;
  std::string private_key_pem;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;
  const std::string& pem() const { return own_.certificate_pem; }
  // For 127.0.0.1, ::1 and localhost.
  Identity issue_server(const std::string& name) const;
  Identity issue_client(const std::string& name) const;

 private:
  Identity issue(const std::string& name, const char* usage, const char* addresses) const;
  Identity own_;
  void* key_ = nullptr;
  void* certificate_ = nullptr;
};

}  // namespace rusternetes::http::testing
