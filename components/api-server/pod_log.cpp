// GET pods/NAME/log: fetched from the kubelet and passed on as it comes (pkg/registry/core/pod LogLocation).

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>

#include "api-server/proxy/connector.h"
#include "api-server/proxy/location.h"
#include "api-server/review_actions.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/errors.h"
#include "http/client.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Pod;

namespace {

Task<Result<void>> fetch_log(ApiServer& server, std::optional<http::ClientTls> tls, HandlerContext context) {
  Call& call = context.call;
  auto entry = co_await server.resources().get(call);
  if (!entry) co_return entry.error();
  const Pod pod(&(*entry)->document.root());
  auto container = choose_container(pod, call.info.query.get("container"));
  if (!container) co_return container.error();
  if (pod.spec().nodeName().empty()) {  // nothing has run yet
    http::ResponseHead head;
    head.status = 204;
    co_return co_await context.exchange->respond(std::move(head), {});
  }
  if (!tls) co_return internal_error("logs are not fetched: no client certificate for kubelets is configured (--kubelet-client-certificate)");
  const Document node_document = server.resources().cacher().get("", "nodes", "", pod.spec().nodeName());
  if (!node_document) co_return not_found({"", "pods"}, pod.spec().nodeName());  // kube-apiserver's words
  auto location = kubelet_location(core_v1::Node(&node_document.root()));
  if (!location) co_return location.error();
  std::string query;
  for (const char* key : {"follow", "previous", "timestamps", "tailLines", "sinceSeconds", "sinceTime", "limitBytes", "stream"})
    if (call.info.query.has(key)) {
      query += fmt::format("{}{}=", query.empty() ? "?" : "&", key);
      for (const char c : call.info.query.get(key)) query += std::isalnum(static_cast<unsigned char>(c)) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  http::ClientRequest request;
  request.target = fmt::format("/containerLogs/{}/{}/{}{}", call.info.name_space, call.info.name, *container, query);
  auto executor = co_await asio::this_coro::executor;
  const std::string url = "https://" + location->authority();
  auto client = http::Client::create(executor, {url, *tls});
  if (!client) co_return client.error();
  auto response = co_await (*client)->send(std::move(request));
  if (!response) co_return internal_error(fmt::format("Get \"{}/containerLogs/{}/{}/{}\": {}", url, call.info.name_space, call.info.name, *container, response.error().message));
  const int code = (*response)->head().status;
  if (code >= 400) {
    auto text = co_await (*response)->read_all(64 * 1024);
    std::string message = text ? *text : "";
    while (!message.empty() && message.back() == '\n') message.pop_back();
    if (code == 404) co_return Status{404, "NotFound", message};
    if (code == 400) co_return bad_request(message);
    co_return internal_error(message);
  }
  http::ResponseHead head;
  head.headers.add("content-type", "text/plain");
  auto begun = co_await context.exchange->begin(std::move(head));
  if (!begun) co_return begun.error();
  for (;;) {
    auto piece = co_await (*response)->read_some();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    std::vector<http::Slice> body;
    body.push_back(http::Slice::own(std::move(*piece)));
    auto written = co_await context.exchange->write(std::move(body));
    if (!written) co_return written.error();
  }
  co_return co_await context.exchange->finish();
}

}  // namespace

void add_pod_log(ApiServer& server, std::optional<http::ClientTls> kubelet_client) {
  server.add_extension("/pods/log", [&server, kubelet_client](HandlerContext context) { return fetch_log(server, kubelet_client, context); });
  add_connects(server, kubelet_client);  // the other subresources behind a kubelet
}

}  // namespace rusternetes::api_server
