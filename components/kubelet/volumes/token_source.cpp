#include "kubelet/volumes/token_source.h"

#include <fmt/format.h>

#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/edit.h"
#include "base/log.h"
#include "client/object_builder.h"

namespace rusternetes::kubelet {

using namespace apimachinery;

bool TokenSource::is_due(const Entry& entry, SystemTime now) {
  return now > entry.from + (entry.until - entry.from) * 4 / 5 || now > entry.from + std::chrono::hours(24);
}

Task<Result<TokenSource::Entry>> TokenSource::request(Document pod, std::string audience, std::int64_t expiration_seconds) {
  using Request = authentication_v1::TokenRequest;
  using Spec = authentication_v1::TokenRequestSpec;
  using Bound = authentication_v1::BoundObjectReference;
  const auto view = pod_view(pod);
  client::ObjectBuilder builder(Request::schema_type());
  Arena& arena = builder.arena();
  Value& spec = ensure(arena, builder.root(), Request::f_spec);
  if (!audience.empty()) append_string(arena, ensure(arena, spec, Spec::f_audiences, ValueKind::list), audience);
  set_integer(arena, spec, Spec::f_expirationSeconds, expiration_seconds);
  Value& bound = ensure(arena, spec, Spec::f_boundObjectRef);
  set_string(arena, bound, Bound::f_kind, "Pod");
  set_string(arena, bound, Bound::f_apiVersion, "v1");
  set_string(arena, bound, Bound::f_name, view.metadata().name());
  set_string(arena, bound, Bound::f_uid, view.metadata().uid());
  const std::string account(view.spec().serviceAccountName().empty() ? "default" : view.spec().serviceAccountName());
  const client::Resource accounts{"", "v1", "serviceaccounts"};
  auto answer = co_await client_.create(accounts, std::string(view.metadata().namespace_()), account, "token", builder.freeze(), {});
  if (!answer) co_return answer.error();
  const Request made(&answer->root());
  Entry out;
  out.token = made.status().token();
  out.from = clock_.now();
  out.until = SystemTime(std::chrono::microseconds(made.status().expirationTimestamp()));
  if (out.token.empty()) co_return internal_error(fmt::format("no token for service account {}", account));
  co_return out;
}

Task<Result<std::string>> TokenSource::token(Document pod, std::string audience, std::int64_t expiration_seconds) {
  const auto key = std::tuple(std::string(pod_view(pod).metadata().uid()), audience, expiration_seconds);
  const auto now = clock_.now();
  if (auto it = entries_.find(key); it != entries_.end() && !is_due(it->second, now)) co_return it->second.token;
  auto fresh = co_await request(pod, audience, expiration_seconds);
  if (fresh) {
    entries_[key] = *fresh;
    co_return fresh->token;
  }
  if (auto it = entries_.find(key); it != entries_.end() && now < it->second.until) {
    log::warn("kubelet", "a service account token of {} could not be renewed: {}", full_name(pod_view(pod)), fresh.error().message);
    co_return it->second.token;
  }
  co_return fresh.error();
}

void TokenSource::forget(std::string_view pod_uid) {
  std::erase_if(entries_, [&](const auto& entry) { return std::get<0>(entry.first) == pod_uid; });
}

}  // namespace rusternetes::kubelet
