#include "api-server/proxy/connector.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <random>

#include "api-server/proxy/forward.h"
#include "api-server/proxy/forward_headers.h"
#include "api-server/proxy/proxy_path.h"
#include "apimachinery/errors.h"
#include "apimachinery/quote.h"
#include "base/log.h"
#include "http/header_text.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

constexpr std::size_t kLongestPrefix = 512;

// Only "false" and "0" are not true (runtime.Convert_Slice_string_To_bool).
bool is_true(const Query& query, std::string_view key) {
  if (!query.has(key)) return false;
  const std::string value = http::lower_case(query.get(key));
  return value != "0" && value != "false";
}

// `ports`, repeated or with commas, as the kubelet is told them.
Result<std::string> ports_of(const Query& query) {
  std::string out;
  for (std::string_view list : query.all("ports"))
    for (;;) {
      const auto comma = list.find(',');
      const auto text = list.substr(0, comma);
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      const bool is_number = !text.empty() && end == text.data() + text.size() && error != std::errc::invalid_argument;
      if (!is_number || error != std::errc{} || number > 65535)
        return bad_request(fmt::format("cannot convert to []int32: strconv.ParseUint: parsing {}: {}", quote(text), is_number ? "value out of range" : "invalid syntax"));
      out += fmt::format("{}{}", out.empty() ? "" : ",", number);
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
  return out;
}

// What the kubelet is asked, with its names in the order in which Go writes them.
std::string stream_query(const Query& query, std::string_view subresource, const std::string& ports) {
  std::string out;
  const auto add = [&](std::string_view key, std::string_view value) { out += fmt::format("{}{}={}", out.empty() ? "" : "&", key, escape_query(value)); };
  if (subresource == "portforward") {
    if (!ports.empty()) add("port", ports);
    return out;
  }
  if (subresource == "exec")
    for (const auto word : query.all("command")) add("command", word);
  if (is_true(query, "stderr")) add("error", "1");
  if (is_true(query, "stdin")) add("input", "1");
  if (is_true(query, "stdout")) add("output", "1");
  if (is_true(query, "tty")) add("tty", "1");
  return out;
}

std::uint32_t random_number() {
  thread_local std::mt19937 generator{std::random_device{}()};
  return generator();
}

std::string query_of(const http::RequestHead& head) {
  const auto question = head.target.find('?');
  return question == std::string::npos ? std::string() : head.target.substr(question + 1);
}

class Connector {
 public:
  Connector(ApiServer& server, std::optional<http::ClientTls> kubelet_client) : server_(server), objects_(server.resources().cacher()) {
    if (kubelet_client) {
      auto made = BackendTls::make(*kubelet_client);
      if (made) kubelet_tls_ = *made;
      else log::error("api-server", "the client certificate for kubelets cannot be used: {}", made.error().message);
    }
    http::ClientTls anybody;
    anybody.insecure_skip_verify = true;  // as kube-apiserver: Pods have no certificates that it could know
    auto made = BackendTls::make(anybody);
    if (made) backend_tls_ = *made;
  }

  Task<Result<void>> stream(HandlerContext context);
  Task<Result<void>> proxy(HandlerContext context);

 private:
  using FindResult = Result<Document>;
  // A missing object is reported as one of the request's resource, whichever it is (so does kube-apiserver).
  FindResult find(const Call& call, std::string_view resource, std::string_view name_space, std::string_view name) const;
  Result<void> may_create(const Call& call) const;
  Task<Result<void>> check_create(const Call& call);
  Result<Location> stream_location(const Call& call, std::string& path) const;
  Result<Location> proxy_location(const Call& call) const;
  Result<ForwardTarget> target(Location location) const;

  ApiServer& server_;
  const Cacher& objects_;
  std::shared_ptr<const BackendTls> kubelet_tls_, backend_tls_;
};

Connector::FindResult Connector::find(const Call& call, std::string_view resource, std::string_view name_space, std::string_view name) const {
  Document document = objects_.get("", resource, name_space, name);
  if (!document) return not_found({"", call.info.resource}, name);
  return document;
}

Result<void> Connector::may_create(const Call& call) const {
  Attributes attributes = attributes_of(call);
  attributes.verb = "create";
  const Verdict verdict = server_.authorizer().authorize(attributes);
  if (verdict.decision == Decision::allow) return {};
  return forbidden({call.info.api_group, call.info.resource}, call.info.name, verdict.reason);
}

// A browser can open a WebSocket by GET only, but what runs in a Pod by it is as good as a POST
// (AuthorizePodWebsocketUpgradeCreatePermission, beta in 1.35).
Task<Result<void>> Connector::check_create(const Call& call) {
  if (call.info.verb == "create") co_return Result<void>{};
  if (may_create(call)) co_return Result<void>{};
  auto newest = co_await server_.resources().cacher().wait_for_newest();
  if (!newest) co_return newest;
  co_return may_create(call);
}

Result<Location> Connector::stream_location(const Call& call, std::string& path) const {
  const auto& info = call.info;
  RN_TRY(const Document document, find(call, "pods", info.name_space, info.name));
  const core_v1::Pod pod(&document.root());
  if (info.subresource == "portforward") {
    path = fmt::format("/portForward/{}/{}", info.name_space, info.name);
  } else {
    RN_TRY(const std::string container, choose_container(pod, info.query.get("container")));
    path = fmt::format("/{}/{}/{}/{}", info.subresource, info.name_space, info.name, container);
  }
  if (pod.spec().nodeName().empty()) return bad_request(fmt::format("pod {} does not have a host assigned", info.name));
  RN_TRY(const Document node, find(call, "nodes", "", pod.spec().nodeName()));
  return kubelet_location(core_v1::Node(&node.root()));
}

Result<Location> Connector::proxy_location(const Call& call) const {
  const auto& info = call.info;
  const auto asked = split_scheme_name_port(info.name);
  std::string_view kind = info.resource;
  kind.remove_suffix(1);
  if (!asked) return bad_request(fmt::format("invalid {} request {}", kind, quote(info.name)));
  if (info.resource == "nodes") {
    RN_TRY(const Document node, find(call, "nodes", "", asked->name));
    return node_location(*asked, core_v1::Node(&node.root()));
  }
  if (info.resource == "pods") {
    RN_TRY(const Document pod, find(call, "pods", info.name_space, asked->name));
    return pod_location(*asked, core_v1::Pod(&pod.root()));
  }
  std::string port_name = asked->port;
  if (is_port_number(asked->port)) {
    RN_TRY(const Document service, find(call, "services", info.name_space, asked->name));
    RN_TRY(port_name, service_port_name(*asked, core_v1::Service(&service.root())));
  }
  RN_TRY(const Document endpoints, find(call, "endpoints", info.name_space, asked->name));
  return service_location(*asked, info.name, port_name, info.name_space, core_v1::Endpoints(&endpoints.root()), random_number(),
                          [&](std::string_view name) { return objects_.get("", "pods", info.name_space, name); });
}

Result<ForwardTarget> Connector::target(Location location) const {
  ForwardTarget out;
  out.tls = location.is_kubelet ? kubelet_tls_ : location.is_tls ? backend_tls_ : nullptr;
  if (location.is_tls && !out.tls)
    return internal_error("no client certificate for kubelets is configured (--kubelet-client-certificate)");
  out.location = std::move(location);
  return out;
}

Task<Result<void>> Connector::stream(HandlerContext context) {
  Call& call = context.call;
  const http::RequestHead& head = context.exchange->head();
  if (head.method != "GET" && head.method != "POST") co_return method_not_allowed();
  if (!call.info.rest.empty()) co_return path_not_found();
  if (call.info.query.has("dryRun")) co_return bad_request("dryRun is not supported");
  std::string ports;
  if (call.info.subresource == "portforward") {
    RN_CO_TRY(ports, ports_of(call.info.query));
  }
  auto allowed = co_await check_create(call);
  if (!allowed) co_return allowed;
  auto newest = co_await server_.resources().cacher().wait_for_newest();
  if (!newest) co_return newest;
  std::string path;
  auto location = stream_location(call, path);
  if (!location) co_return location.error();
  if (!http::is_upgrade(head.headers)) co_return bad_request("Upgrade request required");
  auto where = target(*std::move(location));
  if (!where) co_return where.error();
  where->path = std::move(path);
  where->query = stream_query(call.info.query, call.info.subresource, ports);
  auto forwarded = co_await forward_upgrade(context, *std::move(where));
  co_return forwarded;
}

Task<Result<void>> Connector::proxy(HandlerContext context) {
  Call& call = context.call;
  const http::RequestHead& head = context.exchange->head();
  if (call.info.query.has("dryRun")) co_return bad_request("dryRun is not supported");
  auto newest = co_await server_.resources().cacher().wait_for_newest();
  if (!newest) co_return newest;
  auto location = proxy_location(call);
  if (!location) co_return location.error();
  auto where = target(*std::move(location));
  if (!where) co_return where.error();
  where->path = backend_path(call.info);
  where->query = query_of(head);
  if (http::is_upgrade(head.headers)) {
    auto forwarded = co_await forward_upgrade(context, *std::move(where));
    co_return forwarded;
  }
  if (where->path.empty() && (head.method == "GET" || head.method == "HEAD")) {
    // Relative links of the page would leave the proxy.
    http::ResponseHead redirect;
    redirect.status = *context.code = 301;
    redirect.headers.add("audit-id", call.audit_id);
    redirect.headers.add("cache-control", "no-cache, private");
    redirect.headers.add("location", escape_path(call.info.path) + "/" + (where->query.empty() ? "" : "?" + where->query));
    auto sent = co_await context.exchange->respond(std::move(redirect), {});
    co_return sent;
  }
  std::string prefix = proxy_prefix(call.info);
  // It is put before each link of a page. Names that exist make less than 400 bytes, but a port may have any zeros in front.
  if (prefix.size() > kLongestPrefix) co_return bad_request("the name of what is proxied to is too long");
  auto forwarded = co_await forward_plain(context, *std::move(where), std::move(prefix));
  co_return forwarded;
}

}  // namespace

void add_connects(ApiServer& server, std::optional<http::ClientTls> kubelet_client) {
  auto connector = std::make_shared<Connector>(server, std::move(kubelet_client));
  for (const char* path : {"/pods/exec", "/pods/attach", "/pods/portforward"})
    server.add_extension(path, [connector](HandlerContext context) { return connector->stream(context); });
  for (const char* path : {"/pods/proxy", "/services/proxy", "/nodes/proxy"})
    server.add_extension(path, [connector](HandlerContext context) { return connector->proxy(context); });
}

}  // namespace rusternetes::api_server
