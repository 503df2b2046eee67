#pragma once
// Bound service account tokens for Pods (TokenRequest), kept until they are to be renewed: after 80 % of their life, or 24
// hours.

#include <map>
#include <string>
#include <tuple>

#include "base/clock.h"
#include "client/api_client.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

class TokenSource {
 public:
  TokenSource(client::ApiClient& client, const Clock& clock) : client_(client), clock_(clock) {}
  // Bound to the Pod. `audience` empty: the api-server's own. When a renewal fails, the old token is given while it lives.
  Task<Result<std::string>> token(Document pod, std::string audience, std::int64_t expiration_seconds);
  void forget(std::string_view pod_uid);

 private:
  struct Entry {
    std::string token;
    SystemTime from, until;
  };
  static bool is_due(const Entry& entry, SystemTime now);
  Task<Result<Entry>> request(Document pod, std::string audience, std::int64_t expiration_seconds);
  client::ApiClient& client_;
  const Clock& clock_;
  std::map<std::tuple<std::string, std::string, std::int64_t>, Entry> entries_;
};

}  // namespace rusternetes::kubelet
