// Paths that are no resource: discovery, version, health, metrics.

#include <fmt/format.h>
#include <sys/utsname.h>

#include "api-server/metrics.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;



namespace {

Encoded text_body(std::string text, std::string type = "text/plain; charset=utf-8") {
  Encoded out{std::move(type), {}};
  out.body.push_back(http::Slice::own(std::move(text)));
  return out;
}

}  // namespace

std::string ApiServer::metrics() const {
  std::string out = metrics_->text();
  out += fmt::format("# HELP apiserver_current_inflight_requests [STABLE] Requests that run now.\n# TYPE apiserver_current_inflight_requests gauge\n"
                     "apiserver_current_inflight_requests{{request_kind=\"readOnly\"}} {}\napiserver_current_inflight_requests{{request_kind=\"mutating\"}} {}\n",
                     inflight_.load(), mutating_inflight_.load());
  out += long_running_.text();
  out += "# HELP apiserver_storage_objects [STABLE] Objects stored, by resource.\n# TYPE apiserver_storage_objects gauge\n";
  const auto registry = resources_.cacher().registry();
  for (const Kind* kind : registry->resources())
    if (auto cache = resources_.cacher().find(*kind))
      out += fmt::format("apiserver_storage_objects{{resource=\"{}\"}} {}\n",
                         GroupResource{kind->group_version.group, kind->resource}.text(), cache->snapshot().map.size());
  out += fmt::format("# HELP rusternetes_object_encodings_total Objects encoded for the wire.\n# TYPE rusternetes_object_encodings_total counter\n"
                     "rusternetes_object_encodings_total {}\n", object_encodings());
  return out;
}

Task<Result<void>> ApiServer::serve_path(HandlerContext context) {
  Call& call = context.call;
  const std::string& path = call.info.path;
  const bool is_read = call.info.verb == "get" || call.info.verb == "head";
  if (auto found = paths_.find(path); found != paths_.end()) co_return co_await found->second(context);
  if (!is_read) co_return method_not_supported({"", ""}, call.info.verb);
  if (path == "/healthz" || path.starts_with("/healthz/") || path == "/livez" || path.starts_with("/livez/") ||
      path == "/readyz" || path.starts_with("/readyz/"))
    co_return co_await health(context);
  if (path == "/metrics") co_return co_await send(context, 200, text_body(metrics(), "text/plain; version=0.0.4; charset=utf-8"));
  if (path == "/version" || path == "/version/") {
    struct utsname host {};
    ::uname(&host);
    const std::string json = fmt::format(
        "{{\n  \"major\": \"1\",\n  \"minor\": \"35\",\n  \"emulationMajor\": \"1\",\n  \"emulationMinor\": \"35\",\n  \"minCompatibilityMajor\": \"1\",\n"
        "  \"minCompatibilityMinor\": \"34\",\n  \"gitVersion\": \"{}\",\n  \"gitCommit\": \"\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": \"1970-01-01T00:00:00Z\",\n"
        "  \"goVersion\": \"\",\n  \"compiler\": \"clang\",\n  \"platform\": \"linux/{}\"\n}}",
        options_.git_version, std::string_view(host.machine) == "x86_64" ? "amd64" : std::string_view(host.machine) == "aarch64" ? "arm64" : host.machine);
    co_return co_await send(context, 200, text_body(json, "application/json"));
  }
  const auto discovery = discovery_.load();
  const std::string_view accept = context.exchange->head().headers.get("accept").value_or("");
  const bool is_root = path == "/api" || path == "/apis" || path == "/api/" || path == "/apis/";
  const DiscoveryDocument* document = wants_aggregated_discovery(accept) ? discovery->aggregated(path, "v2") : nullptr;
  const bool is_aggregated = document != nullptr;
  if (!document) document = discovery->plain(path);
  if (document) {
    const bool is_group = path.starts_with("/apis/") && path.find('/', 6) >= path.size() - 1;
    auto form = negotiate(accept, Representations{.has_protobuf = !is_aggregated, .is_discovery = is_root, .is_routed = !is_root && !is_group});
    if (!form) co_return form.error();
    form->pretty |= context.accepted.pretty;
    Encoded encoded = encode_document(*form, document->json, discovery);
    http::ResponseHead head;
    head.headers.add("content-type", is_aggregated ? encoded.content_type + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" : encoded.content_type);
    head.headers.add("audit-id", call.audit_id);
    head.headers.add("cache-control", is_aggregated ? "public" : "no-cache, private");
    head.headers.add("vary", "Accept");
    if (is_aggregated) {
      head.headers.add("etag", document->etag);
      if (context.exchange->head().headers.get("if-none-match").value_or("") == document->etag) {
        head.status = 304;
        co_return co_await context.exchange->respond(std::move(head), {});
      }
    }
    compress(context, head, encoded);
    co_return co_await context.exchange->respond(std::move(head), std::move(encoded.body));
  }
  if (path == "/" || path.empty()) {
    std::string paths = "{\"paths\":[\"/api\",\"/api/v1\",\"/apis\"";
    std::string_view last;
    for (const Kind* kind : call.registry->resources()) {
      if (kind->group_version.group.empty()) continue;
      if (kind->group_version.group != last) paths += fmt::format(",\"/apis/{}\"", kind->group_version.group);
      last = kind->group_version.group;
    }
    for (const auto& [extra, handler] : paths_) paths += fmt::format(",\"{}\"", extra);
    paths += ",\"/healthz\",\"/livez\",\"/metrics\",\"/readyz\",\"/version\"]}";
    co_return co_await send(context, 200, text_body(pretty_json(paths) + "\n", "application/json"));
  }
  co_return page_not_found();
}

Task<Result<void>> ApiServer::health(HandlerContext context) {
  const std::string& path = context.call.info.path;
  const auto slash = path.find('/', 1);
  const std::string endpoint = path.substr(1, slash == std::string::npos ? std::string::npos : slash - 1);
  const std::string only = slash == std::string::npos ? "" : path.substr(slash + 1);
  const auto excluded = context.call.info.query.all("exclude");
  std::string text;
  bool is_well = true, is_known = only.empty();
  auto report = [&](const std::string& name, const Result<void>& outcome) {
    if (std::find(excluded.begin(), excluded.end(), name) != excluded.end()) {
      text += fmt::format("[+]{} excluded: ok\n", name);
      return;
    }
    text += outcome ? fmt::format("[+]{} ok\n", name) : fmt::format("[-]{} failed: reason withheld\n", name);
    is_well &= outcome.has_value();
  };
  for (const auto& check : checks_) {
    if (!only.empty() && check.name != only) continue;
    if (check.only_ready && endpoint != "readyz") continue;
    is_known = true;
    Result<void> outcome = check.check();
    // Whose store is out of reach serves nobody: balancers look elsewhere.
    if (outcome && check.name == "etcd" && endpoint == "readyz") outcome = co_await resources_.cacher().reach_store();
    report(check.name, outcome);
  }
  if (endpoint == "readyz" && (only.empty() || only == "shutdown")) {
    is_known = true;
    report("shutdown", is_shutting_down_ ? Result<void>(service_unavailable("shutting down")) : Result<void>{});
  }
  if (!is_known) co_return page_not_found();
  if (!is_well) co_return co_await send(context, 500, text_body(text + fmt::format("{} check failed\n", endpoint)));
  if (context.call.info.query.has("verbose") && only.empty())
    co_return co_await send(context, 200, text_body(text + fmt::format("{} check passed\n", endpoint)));
  co_return co_await send(context, 200, text_body("ok"));
}

}  // namespace rusternetes::api_server
