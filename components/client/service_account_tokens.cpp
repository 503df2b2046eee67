#include "client/service_account_tokens.h"

#include <boost/asio/this_coro.hpp>
#include <vector>

#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "client/object_builder.h"

namespace rusternetes::client {

using namespace apimachinery;
using authentication_v1::TokenRequest;
using authentication_v1::TokenRequestSpec;

namespace {
constexpr Resource accounts{"", "v1", "serviceaccounts"};
constexpr std::int64_t lifetime_s = 3600;
}  // namespace

// One request for a token, for everybody who waits; wakes them however it ends.
struct ServiceAccountTokens::Fetch {
  std::vector<std::shared_ptr<AsyncEvent>> waiters;
  ~Fetch() { tell(); }
  void tell() {
    for (const auto& waiter : waiters) waiter->set();
    waiters.clear();
  }
};

ServiceAccountTokens::ServiceAccountTokens(std::shared_ptr<ApiClient> client, std::string name_space,
                                           std::string name, const Clock& clock)
    : client_(std::move(client)), name_space_(std::move(name_space)), name_(std::move(name)), clock_(clock) {}

void ServiceAccountTokens::reject(const std::string& token) {
  if (token == token_) token_.clear();
}

Task<Result<std::string>> ServiceAccountTokens::token() {
  while (fetch_) {
    auto event = std::make_shared<AsyncEvent>(client_->executor());
    fetch_->waiters.push_back(event);
    co_await event->wait();
  }
  if (!token_.empty() && clock_.steady_now() < renew_at_) co_return token_;
  fetch_ = std::make_shared<Fetch>();
  std::shared_ptr<void> end(nullptr,
                            [this](void*) { fetch_.reset(); });  // also when this coroutine is cancelled
  auto fetched = co_await fetch();
  if (!fetched) co_return fetched.error();
  co_return token_;
}

Task<Result<void>> ServiceAccountTokens::ensure_account() {
  ObjectBuilder builder(core_v1::ServiceAccount::schema_type());
  Value& metadata = ensure(builder.arena(), builder.root(), core_v1::ServiceAccount::f_metadata);
  set_string(builder.arena(), metadata, meta_v1::ObjectMeta::f_name, name_);
  set_string(builder.arena(), metadata, meta_v1::ObjectMeta::f_namespace_, name_space_);
  auto created = co_await client_->create(accounts, name_space_, "", "", builder.freeze(), {});
  if (!created && !created.error().is("AlreadyExists")) co_return created.error();
  co_return Result<void>{};
}

Task<Result<void>> ServiceAccountTokens::fetch() {
  ObjectBuilder builder(TokenRequest::schema_type());
  Value& spec = ensure(builder.arena(), builder.root(), TokenRequest::f_spec);
  set_integer(builder.arena(), spec, TokenRequestSpec::f_expirationSeconds, lifetime_s);
  const Document request = builder.freeze();
  auto answer = co_await client_->create(accounts, name_space_, name_, "token", request, {});
  if (!answer && answer.error().is("NotFound")) {
    auto made = co_await ensure_account();
    if (!made) co_return made.error();
    answer = co_await client_->create(accounts, name_space_, name_, "token", request, {});
  }
  if (!answer) co_return answer.error();
  const TokenRequest view(&answer->root());
  token_ = view.status().token();
  if (token_.empty()) co_return internal_error("the server gave an empty token");
  // The server may have cut the lifetime; its clock may differ from ours, so only the span counts.
  const std::int64_t lifetime =
      view.spec().expirationSeconds() > 0 ? view.spec().expirationSeconds() : lifetime_s;
  renew_at_ = clock_.steady_now() + std::chrono::seconds(lifetime * 4 / 5);
  co_return Result<void>{};
}

}  // namespace rusternetes::client
