#include "apimachinery/errors.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

std::shared_ptr<StatusDetails> details_of(GroupResource what, std::string_view name) {
  auto details = std::make_shared<StatusDetails>();
  details->group = what.group;
  details->kind = what.resource;
  details->name = name;
  return details;
}

std::shared_ptr<StatusDetails> retry_after(int seconds) {
  auto details = std::make_shared<StatusDetails>();
  details->retry_after_seconds = seconds;
  return details;
}

std::string named(GroupResource what, std::string_view name) {
  std::string text = what.text();
  text += ' ';
  append_quoted(text, name);
  return text;
}

}  // namespace

std::string GroupResource::text() const {
  std::string out(resource);
  if (!group.empty()) {
    out += '.';
    out += group;
  }
  return out;
}

Status not_found(GroupResource what, std::string_view name) {
  return {404, "NotFound", named(what, name) + " not found", details_of(what, name)};
}

Status already_exists(GroupResource what, std::string_view name) {
  return {409, "AlreadyExists", named(what, name) + " already exists", details_of(what, name)};
}

Status conflict(GroupResource what, std::string_view name, std::string_view why) {
  return {409, "Conflict", fmt::format("Operation cannot be fulfilled on {}: {}", named(what, name), why),
          details_of(what, name)};
}

Status stale_update(GroupResource what, std::string_view name) {
  return conflict(
      what, name,
      "the object has been modified; please apply your changes to the latest version and try again");
}

Status invalid(std::string_view group, std::string_view kind, std::string_view name,
               std::vector<StatusCause> causes, std::string_view aggregate) {
  const GroupResource what{group, kind};
  auto details = details_of(what, name);
  details->causes = std::move(causes);
  std::string message = named(what, name) + " is invalid";
  if (!aggregate.empty()) message.append(": ").append(aggregate);
  return {422, "Invalid", std::move(message), std::move(details)};
}

Status bad_request(std::string message) { return {400, "BadRequest", std::move(message)}; }

Status forbidden(GroupResource what, std::string_view name, std::string_view why) {
  std::string message;
  if (what.resource.empty() && what.group.empty())
    message = fmt::format("forbidden: {}", why);
  else
    message = fmt::format("{} is forbidden: {}", name.empty() ? what.text() : named(what, name), why);
  return {403, "Forbidden", std::move(message), details_of(what, name)};
}

Status unauthorized() { return {401, "Unauthorized", "Unauthorized"}; }

Status method_not_supported(GroupResource what, std::string_view verb) {
  return {405, "MethodNotAllowed",
          fmt::format("{} is not supported on resources of kind \"{}\"", verb, what.text()),
          details_of(what, {})};
}

Status method_not_allowed() {
  return {405, "MethodNotAllowed", "the server does not allow this method on the requested resource", std::make_shared<StatusDetails>()};
}

Status too_large_resource_version(std::int64_t wanted, std::int64_t current) {
  auto details = std::make_shared<StatusDetails>();
  details->causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  details->retry_after_seconds = 1;
  return {504, "Timeout", fmt::format("Timeout: Too large resource version: {}, current: {}", wanted, current), std::move(details)};
}

Status not_acceptable(std::string_view accepted) {
  return {406, "NotAcceptable", fmt::format("only the following media types are accepted: {}", accepted)};
}

Status unsupported_media_type(std::string_view accepted) {
  return {415, "UnsupportedMediaType",
          fmt::format("the body of the request was in an unknown format - accepted media types include: {}",
                      accepted)};
}

Status expired(std::string message) { return {410, "Expired", std::move(message)}; }
Status gone(std::string message) { return {410, "Gone", std::move(message)}; }

Status too_many_requests(std::string message, int retry_after_seconds) {
  return {429, "TooManyRequests", std::move(message), retry_after(retry_after_seconds)};
}

Status timeout(std::string message, int retry_after_seconds) {
  return {504, "Timeout", "Timeout: " + message, retry_after(retry_after_seconds)};
}

Status server_timeout(GroupResource what, std::string_view verb, int retry_after_seconds) {
  auto details = details_of(what, verb);
  details->retry_after_seconds = retry_after_seconds;
  return {500, "ServerTimeout",
          fmt::format("The {} operation against {} could not be completed at this time, please try again.",
                      verb, what.text()),
          std::move(details)};
}

Status too_large(std::string message) {
  return {413, "RequestEntityTooLarge", "Request entity too large: " + message};
}

Status service_unavailable(std::string message) { return {503, "ServiceUnavailable", std::move(message)}; }

Status path_not_found() {
  return {404, "NotFound", "the server could not find the requested resource",
          std::make_shared<StatusDetails>()};
}

std::string status_json(const Status& status) {
  Arena arena;
  Value root = Value::empty(ValueKind::structure);
  // What is zero is not stored, so that it prints as Kubernetes prints it.
  auto text = [&arena](Value& owner, int field, std::string_view value) {
    if (!value.empty()) set_string(arena, owner, field, value);
  };
  text(root, meta_v1::Status::f_status, status.code < 400 ? "Success" : "Failure");
  text(root, meta_v1::Status::f_message, status.message);
  text(root, meta_v1::Status::f_reason, status.reason);
  if (status.details) {
    Value& details = ensure(arena, root, meta_v1::Status::f_details);
    text(details, meta_v1::StatusDetails::f_name, status.details->name);
    text(details, meta_v1::StatusDetails::f_group, status.details->group);
    text(details, meta_v1::StatusDetails::f_kind, status.details->kind);
    text(details, meta_v1::StatusDetails::f_uid, status.details->uid);
    for (const auto& cause : status.details->causes) {
      Value& causes = ensure(arena, details, meta_v1::StatusDetails::f_causes, ValueKind::list);
      Value& item = append_structure(arena, causes);
      text(item, meta_v1::StatusCause::f_reason, cause.reason);
      text(item, meta_v1::StatusCause::f_message, cause.message);
      text(item, meta_v1::StatusCause::f_field, cause.field);
    }
    if (status.details->retry_after_seconds)
      set_integer(arena, details, meta_v1::StatusDetails::f_retryAfterSeconds,
                  status.details->retry_after_seconds);
  }
  if (status.code) set_integer(arena, root, meta_v1::Status::f_code, status.code);
  std::string out;
  encode_json(out, &root, meta_v1::Status::schema_type(), {"v1", "Status", true});
  return out;
}

namespace {

// What a client makes of an answer that is no Status, as client-go words it.
Status generic_response(std::string_view body, int code) {
  constexpr std::size_t max_bytes = 2048;
  const auto first = body.find_first_not_of(" \t\r\n");
  body = first == std::string_view::npos ? std::string_view{} : body.substr(first);
  if (const auto last = body.find_last_not_of(" \t\r\n"); last != std::string_view::npos)
    body = body.substr(0, last + 1);
  const std::string server(body.empty() ? "unknown" : body.substr(0, max_bytes));

  std::string reason, message;
  switch (code) {
    case 400:
      reason = "BadRequest", message = "the server rejected our request for an unknown reason";
      break;
    case 401:
      reason = "Unauthorized", message = "the server has asked for the client to provide credentials";
      break;
    case 403:
      reason = "Forbidden", message = server;
      break;
    case 404:
      reason = "NotFound", message = "the server could not find the requested resource";
      break;
    case 405:
      reason = "MethodNotAllowed",
      message = "the server does not allow this method on the requested resource";
      break;
    case 406:
      reason = "NotAcceptable";
      message = server == "unknown"
                    ? "the server was unable to respond with a content type that the client supports"
                    : server;
      break;
    case 409:
      reason = "Conflict", message = "the server reported a conflict";
      break;
    case 415:
      reason = "UnsupportedMediaType", message = server;
      break;
    case 422:
      reason = "Invalid", message = "the server rejected our request due to an error in our request";
      break;
    case 429:
      reason = "TooManyRequests";
      message = "the server has received too many requests and has asked us to try again later";
      break;
    case 503:
      reason = "ServiceUnavailable", message = "the server is currently unable to handle the request";
      break;
    case 504:
      reason = "Timeout";
      message =
          "the server was unable to return a response in the time allotted, but may still be processing the "
          "request";
      break;
    default:
      if (code >= 500) {
        reason = "InternalError";
        message = fmt::format("an error on the server ({}) has prevented the request from succeeding",
                              quote(server));
      } else {
        message = fmt::format(
            "the server responded with the status code {} but did not return more information", code);
      }
  }
  auto details = std::make_shared<StatusDetails>();
  details->causes.push_back({"UnexpectedServerResponse", server, {}});
  return {code, std::move(reason), std::move(message), std::move(details)};
}

}  // namespace

Status status_from_json(std::string_view json, int http_code) {
  Arena arena;
  auto decoded = decode_json(arena, json, meta_v1::Status::schema_type());
  if (!decoded) return generic_response(json, http_code);
  const meta_v1::Status view(&*decoded);
  if (view.kind() != "Status" || (view.apiVersion() != "v1" && view.apiVersion() != "meta.k8s.io/v1"))
    return generic_response(json, http_code);

  std::shared_ptr<StatusDetails> details;
  if (const auto sent = view.details()) {
    details = std::make_shared<StatusDetails>();
    details->name = sent.name();
    details->group = sent.group();
    details->kind = sent.kind();
    details->uid = sent.uid();
    for (const auto cause : sent.causes())
      details->causes.push_back(
          {std::string(cause.reason()), std::string(cause.message()), std::string(cause.field())});
    details->retry_after_seconds = static_cast<int>(sent.retryAfterSeconds());
  }
  return {view.code() ? static_cast<int>(view.code()) : http_code, std::string(view.reason()),
          std::string(view.message()), std::move(details)};
}

}  // namespace rusternetes::apimachinery
