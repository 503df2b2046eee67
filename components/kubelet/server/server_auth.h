#pragma once
// Who asks the kubelet, and whether they may: by client certificate or TokenReview, then SubjectAccessReview on the Node's
// subresources (KEP-2862: the fine-grained one first, then nodes/proxy). Answers are kept for a while.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "client/api_client.h"
#include "http/server.h"

namespace rusternetes::kubelet {

struct Caller {
  std::string name, uid;
  std::vector<std::string> groups;
};

// Common name and organizations of a certificate (DER); nothing when it has no name.
std::optional<Caller> caller_of_certificate(std::string_view der);

// The subresources of nodes that allow a path, the most specific first.
std::vector<std::string> node_subresources(std::string_view path);
std::string api_verb(std::string_view method);

class ServerAuth {
 public:
  ServerAuth(client::ApiClient& client, const Clock& clock, std::string node_name)
      : client_(client), clock_(clock), node_name_(std::move(node_name)) {}
  // Unauthorized or Forbidden, or the caller.
  Task<Result<Caller>> check(const http::Peer& peer, const http::RequestHead& head);

 private:
  Task<Result<Caller>> review_token(std::string token);
  Task<Result<bool>> review_access(Caller caller, std::string verb, std::string subresource);
  client::ApiClient& client_;
  const Clock& clock_;
  std::string node_name_;
  struct KnownToken {
    Caller caller;
    SteadyTime until;
  };
  struct KnownAccess {
    bool is_allowed;
    SteadyTime until;
  };
  std::map<std::string, KnownToken> tokens_;  // by SHA-256 of the token
  std::map<std::string, KnownAccess> accesses_;
};

}  // namespace rusternetes::kubelet
