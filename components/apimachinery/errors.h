#pragma once
// One constructor for each reason of a failed API call: code, reason and message are fixed together, in the words that
// client-go's helpers (IsNotFound, IsConflict, ...) and people look for (API conventions, "Response Status Kind").

#include <string_view>
#include <vector>

#include "apimachinery/schema.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// What a failure is about: "deployments.apps".
struct GroupResource {
  std::string_view group, resource;
  std::string text() const;
};

Status not_found(GroupResource what, std::string_view name);
Status already_exists(GroupResource what, std::string_view name);
Status conflict(GroupResource what, std::string_view name, std::string_view why);
// The object was changed meanwhile: the text every client retries on.
Status stale_update(GroupResource what, std::string_view name);
// `kind` of the group, as field errors name it; causes become details.
Status invalid(std::string_view group, std::string_view kind, std::string_view name, std::vector<StatusCause> causes,
               std::string_view aggregate);
Status bad_request(std::string message);
Status forbidden(GroupResource what, std::string_view name, std::string_view why);
Status unauthorized();
Status method_not_supported(GroupResource what, std::string_view verb);
// The path is served, but not by this method.
Status method_not_allowed();
// A resourceVersion that no server has come to yet; client-go tells it by its cause.
Status too_large_resource_version(std::int64_t wanted, std::int64_t current);
Status not_acceptable(std::string_view accepted);
Status unsupported_media_type(std::string_view accepted);
Status expired(std::string message);  // 410 Expired
Status gone(std::string message);     // 410 Gone
Status too_many_requests(std::string message, int retry_after_seconds);
Status timeout(std::string message, int retry_after_seconds);
Status server_timeout(GroupResource what, std::string_view verb, int retry_after_seconds);
Status too_large(std::string message);
Status service_unavailable(std::string message);
// A path that nothing serves.
Status path_not_found();

// The Status object as JSON, with kind and apiVersion.
std::string status_json(const Status& status);
// Reads one (an answer of a server) back.
Status status_from_json(std::string_view json, int http_code);

}  // namespace rusternetes::apimachinery
