#include "api-server/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api-server/authz/forbidden.h"
#include "api-server/metrics.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/errors.h"
#include "apimachinery/uid.h"
#include "api-server/storage_codec.h"
#include "base/log.h"

namespace rusternetes::api_server {

using namespace apimachinery;



ApiServer::ApiServer(Resources& resources, const Authorizer& authorizer, Authenticate authenticate, ServerOptions options)
    : resources_(resources), authorizer_(authorizer), authenticate_(std::move(authenticate)), options_(std::move(options)),
      metrics_(std::make_unique<RequestMetrics>()) {
  rebuild_discovery();
  add_health_check("ping", [] { return Result<void>{}; });
  add_health_check("etcd", [this] { return resources_.cacher().check(); });
}

ApiServer::~ApiServer() = default;

void ApiServer::rebuild_discovery() {
  discovery_ = std::make_shared<const Discovery>(*resources_.cacher().registry(), options_.server_address);
}

void ApiServer::add_health_check(std::string name, std::function<Result<void>()> check, bool only_ready) {
  checks_.push_back({std::move(name), std::move(check), only_ready});
}

namespace {

// Counts a request while it runs. No limit is 0.
class InFlight {
 public:
  InFlight(std::atomic<std::size_t>& counter, std::size_t limit) : counter_(limit ? &counter : nullptr) {
    if (counter_) ok_ = counter.fetch_add(1) < limit;
  }
  ~InFlight() {
    if (counter_) counter_->fetch_sub(1);
  }
  InFlight(const InFlight&) = delete;
  bool ok() const { return ok_; }

 private:
  std::atomic<std::size_t>* counter_;
  bool ok_ = true;
};

// A path that nobody knows gets Go's plain page instead of a Status.
constexpr const char* reason_page_not_found = "PageNotFound";

// ?pretty says so, or a client that people look at directly asks.
bool wants_pretty(const Call& call) {
  if (const auto pretty = call.info.query.get("pretty"); !pretty.empty()) return pretty == "true" || pretty == "1" || pretty == "t" || pretty == "T" || pretty == "True" || pretty == "TRUE";
  return call.user_agent.starts_with("curl") || call.user_agent.starts_with("Wget") || call.user_agent.starts_with("Mozilla/5.0");
}

bool is_read_only(std::string_view verb) { return verb == "get" || verb == "list" || verb == "watch"; }
bool is_long_running(const RequestInfo& info) {
  return info.verb == "watch" || info.subresource == "log" || info.subresource == "exec" || info.subresource == "attach" ||
         info.subresource == "portforward" || info.subresource == "proxy";
}

// Each once, and no more than a response's head can hold: beyond 4 KiB in all, as many as fit with their first 256
// bytes (kube-apiserver counts characters).
std::vector<std::string_view> shown_warnings(const std::vector<std::string>& texts) {
  constexpr std::size_t most = 4096, most_of_one = 256;
  std::vector<std::string_view> out;
  std::set<std::string_view> seen;
  std::size_t total = 0;
  for (const std::string& text : texts)
    if (!text.empty() && seen.insert(text).second) {
      out.push_back(text);
      total += text.size();
      if (out.size() > most) break;
    }
  if (total <= most) return out;
  total = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::size_t size = std::min(out[i].size(), most_of_one);
    while (size < out[i].size() && size > 0 && (static_cast<unsigned char>(out[i][size]) & 0xc0) == 0x80) --size;
    out[i] = out[i].substr(0, size);
    total += size;
    if (total >= most) out.resize(i + 1);
  }
  return out;
}

std::string warning_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return fmt::format("299 - \"{}\"", out);
}

}  // namespace

Status page_not_found() { return Status(404, reason_page_not_found, "404 page not found"); }

Task<> ApiServer::handle(std::shared_ptr<http::Exchange> exchange) {
  Call call;
  Accepted accepted;
  const auto started = std::chrono::steady_clock::now();
  int code = 200;
  auto served = co_await serve(exchange, call, accepted, code);
  if (!served) {
    code = served.error().code;
    if (!exchange->has_begun()) {
      if (code == 500 && !served.error().is("InternalError")) log::warn("api-server", "{} {}: {}", exchange->head().method, call.info.path, served.error().message);
      HandlerContext context{exchange, call, accepted};
      context.accepted.transform = Transform::none;
      auto sent = co_await send_failure(context, served.error());
      (void)sent;  // a client that has gone needs no answer
    }
  }
  if (is_connect(call.info)) call.info.verb = "connect";
  metrics_->record(call.info, call.kind, code, std::chrono::steady_clock::now() - started);
}

Task<Result<void>> ApiServer::send_failure(HandlerContext context, Status failure) {
  if (!failure.is(reason_page_not_found))
    co_return co_await send(context, failure.code, encode_status(context.accepted, failure),
                            failure.details ? failure.details->retry_after_seconds : 0);
  http::ResponseHead head;
  head.status = 404;
  head.headers.add("content-type", "text/plain; charset=utf-8");
  std::vector<http::Slice> page;
  page.push_back(http::Slice::literal("404 page not found\n"));
  co_return co_await context.exchange->respond(std::move(head), std::move(page));
}

Task<Result<void>> ApiServer::serve(std::shared_ptr<http::Exchange> exchange, Call& call, Accepted& accepted, int& code) {
  const http::RequestHead& head = exchange->head();
  call.info = parse_request(head.method, head.target);
  call.now_us = resources_.now_us();
  call.audit_id = new_uid();
  call.user_agent = std::string(head.headers.get("user-agent").value_or(""));
  call.registry = resources_.cacher().registry();
  const bool is_get_like = is_read_only(call.info.verb);
  const bool can_transform = call.info.is_resource && (call.info.subresource.empty() || is_get_like);
  const std::string_view accept = head.headers.get("accept").value_or("");
  // What errors look like from here on.
  accepted = error_form(accept);
  accepted.pretty |= wants_pretty(call);
  auto negotiated = negotiate(accept, Representations{.can_transform = can_transform, .is_watch = call.info.verb == "watch"});
  auto user = authenticate_(head, exchange->peer());
  if (!user) {  // a token for what was made a moment ago
    RN_CO_CHECK(co_await resources_.cacher().wait_for_newest());
    user = authenticate_(head, exchange->peer());
  }
  if (!user) co_return user.error();
  call.user = std::move(*user);

  // Watches and other long ones are not counted, nor is who may do everything.
  const std::size_t limit = is_long_running(call.info) || call.user.is_in(group_masters) ? 0
                            : is_get_like ? options_.max_requests_inflight
                                          : options_.max_mutating_requests_inflight;
  InFlight in_flight(is_get_like ? inflight_ : mutating_inflight_, limit);
  if (!in_flight.ok()) co_return too_many_requests("Too many requests, please try again later.", 1);

  if (!is_long_running(call.info)) exchange->set_body_deadline(std::chrono::steady_clock::now() + options_.request_timeout);
  // Of methods that are no verb, OPTIONS passes through proxies.
  const bool is_proxied = call.info.subresource == "proxy" && head.method == "OPTIONS";
  if (call.info.is_resource && call.info.verb.empty() && !is_proxied) co_return method_not_allowed();
  auto allowed = co_await authorize(call);
  if (!allowed) co_return allowed.error();

  HandlerContext context{exchange, call, accepted, &code};
  context.accepted.pretty = wants_pretty(call);
  if (negotiated) {
    negotiated->pretty |= context.accepted.pretty;
    context.accepted = accepted = *negotiated;
  }
  if (!call.info.is_resource) co_return co_await serve_path(context);
  auto resolved = resolve_kind(call);
  if (!resolved) co_return resolved.error();
  const auto extension = extensions_.find(fmt::format("{}/{}/{}", call.info.api_group, call.info.resource, call.info.subresource));
  if (extension != extensions_.end()) {
    LongRunning::Mark mark(long_running_, LongRunning::labels(call.info));
    co_return co_await extension->second(context);
  }
  if (!negotiated) co_return negotiated.error();
  const auto action = actions_.find(fmt::format("{}/{}/{}", call.info.api_group, call.info.resource, call.info.subresource));
  if (action != actions_.end()) co_return co_await serve_action(context, action->second);
  if (call.subresource && call.subresource->kind != call.kind->kind)
    co_return Status(501, "NotImplemented", fmt::format("{}/{} is not served yet", call.info.resource, call.info.subresource));
  co_return co_await serve_resource(context);
}

Task<Result<void>> ApiServer::authorize(Call& call) {
  call.authorize = [this, &call](std::string verb) { return authorize_as(call, std::move(verb)); };
  return authorize_as(call, call.info.verb);
}

Task<Result<void>> ApiServer::authorize_as(const Call& call, std::string verb) {
  Attributes attributes = attributes_of(call);
  attributes.verb = std::move(verb);
  Verdict verdict = authorizer_.authorize(attributes);
  if (verdict.decision == Decision::allow) co_return Result<void>{};
  RN_CO_CHECK(co_await resources_.cacher().wait_for_newest());
  verdict = authorizer_.authorize(attributes);
  if (verdict.decision == Decision::allow) co_return Result<void>{};
  co_return forbidden_status(attributes, verdict.reason);
}

namespace {

// Of what every request for a resource is warned: the generated APILifecycleDeprecated of k8s.io/api.
void warn_of_deprecation(Call& call) {
  if (!call.kind->group_version.group.empty()) return;
  if (call.kind->resource == "endpoints") call.warnings.add("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
  if (call.kind->resource == "componentstatuses") call.warnings.add("v1 ComponentStatus is deprecated in v1.19+");
}

}  // namespace

Result<void> ApiServer::resolve_kind(Call& call) const {
  const RequestInfo& info = call.info;
  call.kind = call.registry->find_resource(info.api_group, info.api_version, info.resource);
  if (!call.kind) {
    const auto& all = call.registry->resources();
    const bool is_group = std::any_of(all.begin(), all.end(), [&](const Kind* kind) { return kind->group_version.group == info.api_group; });
    return is_group ? path_not_found() : page_not_found();
  }
  if (!info.subresource.empty()) {
    call.subresource = call.kind->find_subresource(info.subresource);
    if (!call.subresource) return path_not_found();
  }
  const bool is_one = info.verb == "update" || info.verb == "patch", is_new = info.verb == "create" && info.subresource.empty();
  if ((is_one && info.name.empty()) || (is_new && (!info.name.empty() || (call.kind->is_namespaced && info.name_space.empty()))))
    return method_not_allowed();
  if (is_connect(info) && info.subresource != "log") {
    if (!info.verb.empty() && !(parse_verbs(info.verb) & call.subresource->verbs)) return method_not_allowed();
    if (call.kind->is_namespaced && info.name_space.empty()) return path_not_found();
    return {};
  }
  const std::uint16_t allowed = call.subresource ? call.subresource->verbs : call.kind->verbs;
  if (!(parse_verbs(info.verb) & allowed))
    return method_not_supported({call.kind->group_version.group, call.kind->resource}, info.verb);
  if (call.kind->is_namespaced && info.name_space.empty() && info.verb != "list" && info.verb != "watch" && info.verb != "deletecollection")
    return path_not_found();
  if (call.kind->is_namespaced && info.verb == "deletecollection" && info.name_space.empty())
    return method_not_supported({call.kind->group_version.group, call.kind->resource}, info.verb);
  if (!call.kind->is_namespaced && !info.name_space.empty() && call.kind->resource != "namespaces") return path_not_found();
  if (!call.kind->is_namespaced) call.info.name_space.clear();
  warn_of_deprecation(call);
  return {};
}

Task<Result<void>> ApiServer::send(HandlerContext context, int code, Encoded encoded, int retry_after_s) {
  http::ResponseHead head;
  head.status = code;
  head.headers.add("content-type", std::move(encoded.content_type));
  head.headers.add("audit-id", context.call.audit_id);
  head.headers.add("cache-control", "no-cache, private");
  for (const auto& text : shown_warnings(context.call.warnings.texts)) head.headers.add("warning", warning_text(text));
  if (retry_after_s > 0) head.headers.add("retry-after", std::to_string(retry_after_s));
  if (code == 401) head.headers.add("www-authenticate", "Bearer");
  compress(context, head, encoded);
  co_return co_await context.exchange->respond(std::move(head), std::move(encoded.body));
}

Task<Result<void>> ApiServer::serve_resource(HandlerContext context) {
  Call& call = context.call;
  if (call.info.verb == "watch") co_return co_await serve_watch(context);
  auto fits = check_form(call, context.accepted, call.info.verb == "list");
  if (!fits) co_return fits.error();
  if (call.info.verb == "get") {
    auto entry = co_await resources_.get(call);
    if (!entry) co_return entry.error();
    co_return co_await send(context, 200, encode_entry(call, context.accepted, *entry));
  }
  if (call.info.verb == "list") {
    auto listed = co_await resources_.list(call);
    if (!listed) co_return listed.error();
    co_return co_await send(context, 200, encode_list(call, context.accepted, *listed));
  }
  if (call.info.verb == "delete" || call.info.verb == "deletecollection") co_return co_await serve_delete(context);
  co_return co_await serve_write(context);
}

Task<Result<void>> ApiServer::serve_write(HandlerContext context) {
  Call& call = context.call;
  auto options = read_write_options(call);
  if (!options) co_return options.error();
  auto body = co_await context.exchange->read_body(options_.body_limit_bytes);
  if (!body) co_return body.error();
  const std::string_view content_type = context.exchange->head().headers.get("content-type").value_or("");
  Result<Written> written = Status{};
  if (call.info.verb == "patch") {
    const std::string_view type = content_type.substr(0, content_type.find(';'));
    PatchKind kind;
    if (type == "application/json-patch+json") kind = PatchKind::json;
    else if (type == "application/merge-patch+json") kind = PatchKind::merge;
    else if (type == "application/strategic-merge-patch+json") kind = PatchKind::strategic;
    else co_return unsupported_media_type("application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json");
    written = co_await resources_.patch(call, kind, std::move(*body));
  } else {
    auto type = content_type_of(content_type);
    if (!type) co_return type.error();
    auto object = decode_body(call, *call.kind, *type, *body);
    if (!object) co_return object.error();
    if (call.info.verb == "create")
      written = co_await resources_.create(call, *object);
    else
      written = co_await resources_.update(call, *object);
  }
  if (!written) co_return written.error();
  co_return co_await send(context, written->created ? 201 : 200, encode_value(call, context.accepted, *written->kind, written->object));
}

// A GET of such a subresource has no body; everything else does, of the subresource's own kind.
Task<Result<void>> ApiServer::serve_action(HandlerContext context, const Action& action) {
  Call& call = context.call;
  Value object = Value::empty(ValueKind::structure);
  const Kind* kind = call.kind;
  if (call.subresource) kind = call.registry->find_kind(call.subresource->kind_group, call.subresource->kind_version, call.subresource->kind);
  if (call.info.verb != "get") {
    auto options = read_write_options(call);
    if (!options) co_return options.error();
    auto body = co_await context.exchange->read_body(options_.body_limit_bytes);
    if (!body) co_return body.error();
    const std::string_view content_type = context.exchange->head().headers.get("content-type").value_or("");
    if (call.info.verb == "patch") {
      call.patch_type = content_type.substr(0, content_type.find(';'));
      call.patch_body = std::move(*body);
    } else {
      auto type = content_type_of(content_type);
      if (!type) co_return type.error();
      auto decoded = decode_body(call, *kind, *type, *body);
      if (!decoded) co_return decoded.error();
      object = *decoded;
    }
  }
  auto written = co_await action(call, object);
  if (!written) co_return written.error();
  // Of what actions answer with, only a Scale can be shown as a table.
  if (written->kind->kind != "Scale") context.accepted.transform = Transform::none;
  co_return co_await send(context, call.info.verb == "create" ? 201 : 200, encode_value(call, context.accepted, *written->kind, written->object));
}

Task<Result<void>> ApiServer::serve_delete(HandlerContext context) {
  Call& call = context.call;
  auto body = co_await context.exchange->read_body(options_.body_limit_bytes);
  if (!body) co_return body.error();
  auto type = content_type_of(context.exchange->head().headers.get("content-type").value_or(""));
  if (!type) co_return type.error();
  auto options = decode_delete_options(call, *type, *body);
  if (!options) co_return options.error();
  if (call.info.verb == "deletecollection") {
    auto listed = co_await resources_.remove_collection(call, *options);
    if (!listed) co_return listed.error();
    co_return co_await send(context, 200, encode_list(call, context.accepted, *listed));
  }
  const std::string name = call.info.name;
  auto written = co_await resources_.remove(call, *options);
  if (!written) co_return written.error();
  const Strategy& strategy = strategy_for(call.kind->group_version.group, call.kind->resource);
  const bool waits = !written->deleted && options->orphan_dependents && !*options->orphan_dependents;
  if (written->deleted && !strategy.returns_deleted_object()) {
    const meta_v1::ObjectMeta metadata(written->object.get(metadata_field(*written->kind->type)));
    context.accepted.transform = Transform::none;
    co_return co_await send(context, 200, encode_success(call, context.accepted, name, metadata.uid()));
  }
  co_return co_await send(context, waits ? 202 : 200, encode_value(call, context.accepted, *written->kind, written->object));
}

void ApiServer::end_watches() {
  std::lock_guard lock(watches_mutex_);
  are_watches_over_ = true;
  for (WatchSource* watch : watches_) watch->end();
}

Task<Result<void>> ApiServer::serve_watch(HandlerContext context) {
  Call& call = context.call;
  LongRunning::Mark mark(long_running_, LongRunning::labels(call.info));
  auto source = co_await WatchSource::open(resources_, call);
  // Past the checks of the request itself, what goes wrong is an event of the stream, as in Kubernetes.
  Status failure;
  if (!source) {
    if (!source.error().is("Expired")) co_return source.error();
    failure = source.error();
  }
  std::chrono::seconds timeout = options_.min_watch_timeout;
  if (const auto text = call.info.query.get("timeoutSeconds"); !text.empty()) {
    const long asked = std::atol(std::string(text).c_str());
    if (asked > 0) timeout = std::chrono::seconds(asked);
  } else {
    timeout += std::chrono::seconds(call.now_us % timeout.count());  // spread, so that not all come back at once
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  http::ResponseHead head;
  head.headers.add("content-type", std::string(content_type_name(context.accepted.type, true)));
  head.headers.add("audit-id", call.audit_id);
  head.headers.add("cache-control", "no-cache, private");
  auto begun = co_await context.exchange->begin(std::move(head));
  if (!begun) co_return begun.error();
  if (!source) {
    std::vector<http::Slice> frame;
    frame.push_back(http::Slice::own(encode_error_event(context.accepted, failure)));
    auto written = co_await context.exchange->write(std::move(frame));
    if (!written) co_return written.error();
    co_return co_await context.exchange->finish();
  }
  WatchSource* const watch = source->get();
  const std::shared_ptr<void> place(nullptr, [this, watch](void*) {
    std::lock_guard lock(watches_mutex_);
    watches_.erase(watch);
  });
  {
    std::lock_guard lock(watches_mutex_);
    watches_.insert(watch);
    if (are_watches_over_) watch->end();
  }
  bool is_first = true;
  while (std::chrono::steady_clock::now() < deadline) {
    auto events = co_await (*source)->next(deadline);
    if (events && events->empty() && watch->is_ended()) break;
    std::vector<http::Slice> frames;
    if (!events) {
      frames.push_back(http::Slice::own(encode_error_event(context.accepted, events.error())));
    } else {
      for (const auto& event : *events) {
        auto frame = encode_event(call, context.accepted, event, is_first);
        is_first = false;
        frames.insert(frames.end(), std::make_move_iterator(frame.begin()), std::make_move_iterator(frame.end()));
      }
    }
    if (!frames.empty()) {
      auto written = co_await context.exchange->write(std::move(frames));
      if (!written) co_return written.error();
    }
    if (!events) break;
  }
  co_return co_await context.exchange->finish();
}

}  // namespace rusternetes::api_server
