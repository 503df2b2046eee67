#include "api-server/openapi/openapi_paths.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "api-server/metrics.h"
#include "api-server/openapi/openapi.h"
#include "api-server/server.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using openapi::OpenApi;

namespace {

enum class Form { none, json, protobuf };

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The form that the Accept header likes best; JSON where it does not mind. Media types are those of
// kube-openapi: the newer with a dot before "v2", the older with an at sign, which is no valid media type but
// asked for.
Form choose_form(std::string_view accept, std::string_view version) {
  if (trim(accept).empty()) return Form::json;
  Form best = Form::none;
  double best_quality = 0;
  while (!accept.empty()) {
    const auto comma = accept.find(',');
    std::string_view clause = trim(accept.substr(0, comma));
    accept = comma == std::string_view::npos ? std::string_view{} : accept.substr(comma + 1);
    double quality = 1;
    const auto semicolon = clause.find(';');
    if (semicolon != std::string_view::npos) {
      const auto q = clause.find("q=", semicolon);
      if (q != std::string_view::npos) quality = std::atof(std::string(clause.substr(q + 2)).c_str());
      clause = trim(clause.substr(0, semicolon));
    }
    Form form = Form::none;
    if (clause == "*/*" || clause == "application/*" || clause == "application/json")
      form = Form::json;
    else if (clause == fmt::format("application/com.github.proto-openapi.spec.{}@v1.0+protobuf", version) ||
             clause == fmt::format("application/com.github.proto-openapi.spec.{}.v1.0+protobuf", version))
      form = Form::protobuf;
    if (form != Form::none && quality > best_quality) {
      best = form;
      best_quality = quality;
    }
  }
  return best;
}

bool matches_tag(std::string_view if_none_match, std::string_view tag) {
  while (!if_none_match.empty()) {
    const auto comma = if_none_match.find(',');
    std::string_view one = trim(if_none_match.substr(0, comma));
    if_none_match = comma == std::string_view::npos ? std::string_view{} : if_none_match.substr(comma + 1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == tag) return true;
  }
  return false;
}

// What all handlers share: the documents of the registry of the moment.
class Documents {
 public:
  std::shared_ptr<const OpenApi> of(const std::shared_ptr<const apimachinery::Registry>& registry) {
    std::lock_guard lock(mutex_);
    if (!current_ || current_->registry() != registry.get())
      current_ = std::make_shared<const OpenApi>(registry);
    return current_;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const OpenApi> current_;
};

using Shared = std::shared_ptr<Documents>;

Task<Result<void>> send_document(HandlerContext context, OpenApi::Document document, Form form,
                                 std::string version, http::ResponseHead head) {
  const std::string tag = fmt::format("\"{}\"", document.hash);
  head.headers.set("audit-id", context.call.audit_id);
  head.headers.set("content-type",
                   form == Form::protobuf
                       ? fmt::format("application/com.github.proto-openapi.spec.{}.v1.0+protobuf", version)
                       : "application/json");
  head.headers.set("etag", tag);
  if (!head.headers.get("cache-control")) head.headers.set("cache-control", "no-cache, private");
  if (matches_tag(context.exchange->head().headers.get("if-none-match").value_or(""), tag)) {
    head.status = 304;
    co_return co_await context.exchange->respond(std::move(head), {});
  }
  Encoded encoded;
  encoded.body.emplace_back(*document.body, document.body);
  compress(context, head, encoded);
  co_return co_await context.exchange->respond(std::move(head), std::move(encoded.body));
}

bool is_read(const HandlerContext& context) {
  return context.call.info.verb == "get" || context.call.info.verb == "head";
}

Task<Result<void>> respond_empty(HandlerContext context, int code, http::ResponseHead head) {
  head.status = code;
  head.headers.set("audit-id", context.call.audit_id);
  head.headers.set("cache-control", "no-cache, private");
  co_return co_await context.exchange->respond(std::move(head), {});
}

Task<Result<void>> serve_index(HandlerContext context, Shared documents) {
  if (!is_read(context)) co_return apimachinery::method_not_supported({"", ""}, context.call.info.verb);
  co_return co_await send_document(context, documents->of(context.call.registry)->index(), Form::json, "v3",
                                   {});
}

Task<Result<void>> serve_v2(HandlerContext context, Shared documents) {
  if (!is_read(context)) co_return apimachinery::method_not_supported({"", ""}, context.call.info.verb);
  http::ResponseHead head;
  head.headers.set("vary", "Accept");
  const Form form = choose_form(context.exchange->head().headers.get("accept").value_or(""), "v2");
  if (form == Form::none) co_return co_await respond_empty(context, 406, std::move(head));
  const auto open_api = documents->of(context.call.registry);
  if (form == Form::json)
    co_return co_await send_document(context, open_api->v2_json(), form, "v2", std::move(head));
  auto document = open_api->v2_protobuf();
  if (!document) co_return document.error();
  co_return co_await send_document(context, std::move(*document), form, "v2", std::move(head));
}

// One document of version 3. With the hash of the index in the query it never changes, and may be kept for a
// year.
Task<Result<void>> serve_v3(HandlerContext context, Shared documents, std::string name) {
  if (!is_read(context)) co_return apimachinery::method_not_supported({"", ""}, context.call.info.verb);
  http::ResponseHead head;
  head.headers.set("vary", "Accept");
  const Form form = choose_form(context.exchange->head().headers.get("accept").value_or(""), "v3");
  if (form == Form::none) co_return co_await respond_empty(context, 406, std::move(head));
  const auto open_api = documents->of(context.call.registry);
  std::optional<OpenApi::Document> found;
  if (form == Form::json) {
    found = open_api->v3_json(name);
  } else if (auto encoded = open_api->v3_protobuf(name)) {
    if (!*encoded) co_return encoded->error();
    found = std::move(**encoded);
  }
  if (!found) co_return co_await respond_empty(context, 404, {});
  if (const auto hash = context.call.info.query.get("hash"); !hash.empty()) {
    if (hash != found->hash) {
      head.headers.set("location", fmt::format("/openapi/v3/{}?hash={}", name, found->hash));
      head.headers.set("etag", fmt::format("\"{}\"", found->hash));
      co_return co_await respond_empty(context, 301, std::move(head));
    }
    head.headers.set("cache-control", "public, immutable");
    const std::time_t year_ahead = context.call.now_us / 1'000'000 + 365 * 24 * 3600;
    head.headers.set("expires", fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(year_ahead)));
  }
  co_return co_await send_document(context, std::move(*found), form, "v3", std::move(head));
}

}  // namespace

void add_openapi_paths(ApiServer& server) {
  const auto documents = std::make_shared<Documents>();
  server.add_path("/openapi/v2",
                  [documents](HandlerContext context) { return serve_v2(std::move(context), documents); });
  for (const std::string path : {"/openapi/v3", "/openapi/v3/"})
    server.add_path(
        path, [documents](HandlerContext context) { return serve_index(std::move(context), documents); });
  const auto now = documents->of(server.resources().cacher().registry());
  for (const std::string& name : now->v3_names())
    server.add_path(fmt::format("/openapi/v3/{}", name), [documents, name](HandlerContext context) {
      return serve_v3(std::move(context), documents, name);
    });
}

}  // namespace rusternetes::api_server
