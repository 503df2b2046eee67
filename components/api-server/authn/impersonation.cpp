#include "api-server/authn/impersonation.h"

#include <algorithm>
#include <utility>

#include "api-server/authz/forbidden.h"
#include "api-server/authz/service_account_names.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

namespace {

constexpr std::string_view user_header = "impersonate-user", group_header = "impersonate-group",
                           uid_header = "impersonate-uid", extra_prefix = "impersonate-extra-";
constexpr std::string_view authentication_group = "authentication.k8s.io", authentication_version = "v1";

struct Requested {
  std::string user, uid;
  std::vector<std::string> groups;
  std::vector<std::pair<std::string, std::string>> extra;  // key, value
  bool is_anything() const { return !user.empty() || !uid.empty() || !groups.empty() || !extra.empty(); }
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Percent-decoding; a key that is not encoded right is taken as it is.
std::string unescape_key(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] != '%') {
      out += key[i];
      continue;
    }
    const int high = i + 2 < key.size() ? hex_digit(key[i + 1]) : -1;
    const int low = i + 2 < key.size() ? hex_digit(key[i + 2]) : -1;
    if (high < 0 || low < 0) return std::string(key);
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

Requested read_headers(std::span<const std::pair<std::string, std::string>> headers) {
  Requested requested;
  bool has_user = false, has_uid = false;
  for (const auto& [name, value] : headers) {
    // Of repeated ones the first counts.
    if (name == user_header && !std::exchange(has_user, true)) requested.user = value;
    if (name == uid_header && !std::exchange(has_uid, true)) requested.uid = value;
    if (name == group_header) requested.groups.push_back(value);
    if (name.starts_with(extra_prefix))
      requested.extra.emplace_back(unescape_key(std::string_view(name).substr(extra_prefix.size())), value);
  }
  return requested;
}

// As Kubernetes shows its list of references, which have a kind, a name, an apiVersion and a fieldPath here.
std::string describe(const Requested& requested) {
  std::string out;
  const auto add = [&out](std::string_view kind, std::string_view name, std::string_view version,
                          std::string_view path) {
    if (!out.empty()) out += ' ';
    out.append("{").append(kind).append("  ").append(name).append("  ").append(version).append("  ");
    out.append(path).append("}");
  };
  for (const std::string& group : requested.groups) add("Group", group, "", "");
  for (const auto& [key, value] : requested.extra) add("UserExtra", value, "authentication.k8s.io/v1", key);
  if (!requested.uid.empty()) add("UID", requested.uid, "authentication.k8s.io/v1", "");
  return "[" + out + "]";
}

class Builder {
 public:
  explicit Builder(const User& requester) : requester_(requester) {}
  Attributes& need(std::string_view resource, std::string_view name) {
    Attributes& attributes = result.needed.emplace_back();
    attributes.user = requester_;
    attributes.verb = "impersonate";
    attributes.is_resource = true;
    attributes.resource = resource;
    attributes.name = name;
    return attributes;
  }
  Attributes& need_of_authentication(std::string_view resource, std::string_view name) {
    Attributes& attributes = need(resource, name);
    attributes.api_group = authentication_group;
    attributes.api_version = authentication_version;
    return attributes;
  }
  Impersonation result;

 private:
  const User& requester_;
};

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Whoever is not anonymous is authenticated, unless the groups asked for say otherwise.
void complete_groups(User& user) {
  if (user.name == user_anonymous) {
    if (!contains(user.groups, group_unauthenticated)) user.groups.emplace_back(group_unauthenticated);
  } else if (!contains(user.groups, group_authenticated) && !contains(user.groups, group_unauthenticated)) {
    user.groups.emplace_back(group_authenticated);
  }
}

}  // namespace

Result<std::optional<Impersonation>> parse_impersonation(
    std::span<const std::pair<std::string, std::string>> headers, const User& requester) {
  Requested requested = read_headers(headers);
  if (!requested.is_anything()) return std::optional<Impersonation>{};
  if (requested.user.empty())
    return apimachinery::bad_request("requested " + describe(requested) + " without impersonating a user");

  Builder builder(requester);
  User& user = builder.result.user;
  user.name = requested.user;
  user.uid = requested.uid;
  if (const auto account = split_service_account_user_name(requested.user)) {
    builder.need("serviceaccounts", account->second).name_space = account->first;
    if (requested.groups.empty()) user.groups = service_account_groups(account->first);
  } else {
    builder.need("users", requested.user);
  }
  for (const std::string& group : requested.groups) {
    builder.need("groups", group);
    user.groups.push_back(group);
  }
  for (const auto& [key, value] : requested.extra) {
    builder.need_of_authentication("userextras", value).subresource = key;
    user.extra[key].push_back(value);
  }
  if (!requested.uid.empty()) builder.need_of_authentication("uids", requested.uid);
  complete_groups(user);
  return std::optional<Impersonation>(std::move(builder.result));
}

Result<User> impersonate(const Authorizer& authorizer,
                         std::span<const std::pair<std::string, std::string>> headers, User requester) {
  RN_TRY(std::optional<Impersonation> parsed, parse_impersonation(headers, requester));
  if (!parsed) return requester;
  for (const Attributes& attributes : parsed->needed) {
    const Verdict verdict = authorizer.authorize(attributes);
    if (verdict.decision != Decision::allow) return forbidden_status(attributes, verdict.reason);
  }
  return std::move(parsed->user);
}

}  // namespace rusternetes::api_server
