#pragma once
// Bound tokens of a service account, by TokenRequest: how a controller acts under its own identity (as with
// kube-controller-manager's --use-service-account-credentials).

#include <memory>
#include <string>

#include "base/clock.h"
#include "client/api_client.h"
#include "client/remote_client.h"

namespace rusternetes::client {

class ServiceAccountTokens final : public TokenSource {
 public:
  // `client` may create serviceaccounts and serviceaccounts/token; the account is made when it is missing.
  ServiceAccountTokens(std::shared_ptr<ApiClient> client, std::string name_space, std::string name,
                       const Clock& clock = Clock::system());
  // The present token; a new one when a fifth of its time or less is left. Whoever asks meanwhile waits for
  // the same.
  Task<Result<std::string>> token() override;
  void reject(const std::string& token) override;

 private:
  struct Fetch;
  Task<Result<void>> fetch();
  Task<Result<void>> ensure_account();
  std::shared_ptr<ApiClient> client_;
  std::string name_space_, name_;
  const Clock& clock_;
  std::string token_;
  SteadyTime renew_at_{};
  std::shared_ptr<Fetch> fetch_;
};

}  // namespace rusternetes::client
