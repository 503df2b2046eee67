#pragma once
// ApiClient over HTTP to one api-server or several: what one cannot be reached for is asked of the next.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/api_client.h"
#include "http/client.h"

namespace rusternetes::client {

// Tokens that are fetched, and fetched again before they end.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual Task<Result<std::string>> token() = 0;
  // A server answered Unauthorized to it.
  virtual void reject(const std::string& token) = 0;
};

struct RemoteOptions {
  std::vector<std::string> servers;  // "https://10.0.0.1:6443"
  http::ClientTls tls;
  // Read before each request, so that a token that is renewed on disk is used; empty: none.
  std::function<std::string()> bearer_token;
  std::shared_ptr<TokenSource> tokens;  // instead
  std::string user_agent = "rusternetes";
  std::chrono::milliseconds request_timeout{60'000};
};

// A bad URL or key is an error now; an unreachable server is one of the first call.
Result<std::unique_ptr<ApiClient>> make_remote_client(asio::any_io_executor executor, RemoteOptions options,
                                                      std::shared_ptr<const apimachinery::Registry> registry);

// Of a kubeconfig's cluster: `{servers: [URL, ...]}`, which are asked when its `server` cannot be reached.
inline constexpr const char* servers_extension = "rusternetes.io/servers";

// A kubeconfig's current context (certificates inline or in files, token, insecure-skip-tls-verify, further servers).
Result<RemoteOptions> read_kubeconfig(const std::string& path);

}  // namespace rusternetes::client
