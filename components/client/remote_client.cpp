#include "client/remote_client.h"

#include <fmt/format.h>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "client/remote_watch.h"

namespace rusternetes::client {

using namespace apimachinery;
using Response = std::unique_ptr<http::ClientResponse>;

namespace {

// Of several servers one that hangs is to be left before a leader's lease is over: a connection that is there
// after twice the first, a new one after the second.
constexpr std::chrono::milliseconds ping_beside_others{2'000}, connect_beside_others{1'500};


constexpr std::size_t body_limit = 256u << 20;
constexpr std::string_view protobuf_type = "application/vnd.kubernetes.protobuf";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' || c == '~')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

class RemoteClient final : public ApiClient {
 public:
  RemoteClient(asio::any_io_executor executor, RemoteOptions options,
               std::vector<std::unique_ptr<http::Client>> clients, std::shared_ptr<const Registry> registry)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        clients_(std::move(clients)),
        registry_(std::move(registry)) {}

  Task<Result<Document>> get(Resource resource, std::string name_space, std::string name) override {
    http::ClientRequest request;
    request.target = path(resource, name_space, name, "");
    co_return co_await object_of(resource, "", std::move(request));
  }

  Task<Result<ObjectList>> list(Resource resource, std::string name_space, ListOptions options) override {
    const Kind* kind = registry_->find_resource(resource.group, resource.version, resource.resource);
    if (!kind || !kind->list_type) co_return path_not_found();
    http::ClientRequest request;
    std::string query;
    add(query, "labelSelector", options.label_selector);
    add(query, "fieldSelector", options.field_selector);
    add(query, "resourceVersion", options.resource_version);
    add(query, "resourceVersionMatch", options.resource_version_match);
    add(query, "continue", options.continue_token);
    if (options.limit) add(query, "limit", std::to_string(options.limit));
    request.target = path(resource, name_space, "", "") + (query.empty() ? "" : "?" + query);
    auto body = co_await send(std::move(request));
    if (!body) co_return body.error();
    Arena arena;
    auto value = decode_object(arena, *body, *kind->list_type);
    if (!value) co_return value.error();
    ObjectList out;
    const int meta = kind->list_type->find("metadata"), items = kind->list_type->find("items");
    const meta_v1::ListMeta metadata(value->get(meta));
    out.resource_version = metadata.resourceVersion();
    out.continue_token = metadata.continue_();
    if (const Value* all = value->get(items))
      for (const auto& item : all->children())
        out.items.push_back(Document::freeze(item, *kind->type, registry_->owner(*kind)));
    co_return out;
  }

  Task<Result<std::unique_ptr<WatchStream>>> watch(Resource resource, std::string name_space,
                                                   WatchOptions options) override {
    const Kind* kind = registry_->find_resource(resource.group, resource.version, resource.resource);
    if (!kind) co_return path_not_found();
    std::string query = "watch=true";
    add(query, "labelSelector", options.label_selector);
    add(query, "fieldSelector", options.field_selector);
    add(query, "resourceVersion", options.resource_version);
    if (options.allow_bookmarks) add(query, "allowWatchBookmarks", "true");
    if (options.send_initial_events) query += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    if (options.timeout_s) add(query, "timeoutSeconds", std::to_string(options.timeout_s));
    http::ClientRequest request;
    request.target = path(resource, name_space, "", "") + "?" + query;
    request.headers.set("accept", kind->type->proto_roots
                                      ? "application/vnd.kubernetes.protobuf;stream=watch,application/json"
                                      : "application/json");
    auto response = co_await exchange(std::move(request), nullptr);
    if (!response) co_return response.error();
    co_return make_remote_watch(std::move(*response), {kind->type, registry_->owner(*kind)});
  }

  Task<Result<Document>> create(Resource resource, std::string name_space, std::string name,
                                std::string subresource, Document object, WriteOptions options) override {
    http::ClientRequest request;
    request.method = "POST";
    request.target = path(resource, name_space, name, subresource) + write_query(options);
    set_body(request, resource, subresource, object);
    co_return co_await object_of(resource, std::move(subresource), std::move(request));
  }

  Task<Result<Document>> update(Resource resource, std::string name_space, std::string name,
                                std::string subresource, Document object, WriteOptions options) override {
    http::ClientRequest request;
    request.method = "PUT";
    request.target = path(resource, name_space, name, subresource) + write_query(options);
    set_body(request, resource, subresource, object);
    co_return co_await object_of(resource, std::move(subresource), std::move(request));
  }

  Task<Result<Document>> patch(Resource resource, std::string name_space, std::string name,
                               std::string subresource, PatchType type, std::string body,
                               WriteOptions options) override {
    http::ClientRequest request;
    request.method = "PATCH";
    request.target = path(resource, name_space, name, subresource) + write_query(options);
    request.headers.set("content-type", type == PatchType::json ? "application/json-patch+json"
                                        : type == PatchType::merge
                                            ? "application/merge-patch+json"
                                            : "application/strategic-merge-patch+json");
    request.body = std::move(body);
    co_return co_await object_of(resource, std::move(subresource), std::move(request));
  }

  Task<Result<void>> remove(Resource resource, std::string name_space, std::string name,
                            RemoveOptions options) override {
    http::ClientRequest request;
    request.method = "DELETE";
    request.target = path(resource, name_space, name, "");
    set_remove_options(request, options);
    auto answer = co_await send(std::move(request));
    if (!answer) co_return answer.error();
    co_return Result<void>{};
  }

  Task<Result<void>> remove_collection(Resource resource, std::string name_space, CollectionOptions which,
                                       RemoveOptions options) override {
    http::ClientRequest request;
    request.method = "DELETE";
    std::string query;
    add(query, "labelSelector", which.label_selector);
    add(query, "fieldSelector", which.field_selector);
    request.target = path(resource, name_space, "", "") + (query.empty() ? "" : "?" + query);
    set_remove_options(request, options);
    auto answer = co_await send(std::move(request));
    if (!answer) co_return answer.error();
    co_return Result<void>{};
  }

  std::shared_ptr<const Registry> registry() const override { return registry_; }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  static void add(std::string& query, std::string_view key, std::string_view value) {
    if (value.empty()) return;
    if (!query.empty()) query += '&';
    query += fmt::format("{}={}", key, escape(value));
  }

  static std::string path(Resource resource, std::string_view name_space, std::string_view name,
                          std::string_view subresource) {
    std::string out = resource.group.empty() ? fmt::format("/api/{}", resource.version)
                                             : fmt::format("/apis/{}/{}", resource.group, resource.version);
    if (!name_space.empty()) out += fmt::format("/namespaces/{}", escape(name_space));
    out += fmt::format("/{}", resource.resource);
    if (!name.empty()) out += fmt::format("/{}", escape(name));
    if (!subresource.empty()) out += fmt::format("/{}", subresource);
    return out;
  }

  static std::string write_query(const WriteOptions& options) {
    std::string query;
    add(query, "fieldManager", options.field_manager);
    if (options.dry_run) add(query, "dryRun", "All");
    return query.empty() ? "" : "?" + query;
  }

  static void set_remove_options(http::ClientRequest& request, const RemoveOptions& options) {
    Arena arena;
    using O = meta_v1::DeleteOptions;
    using P = meta_v1::Preconditions;
    Value body = Value::empty(ValueKind::structure);
    if (options.grace_period_s) set_integer(arena, body, O::f_gracePeriodSeconds, *options.grace_period_s);
    if (!options.propagation_policy.empty())
      set_string(arena, body, O::f_propagationPolicy, options.propagation_policy);
    if (!options.uid.empty())
      set_string(arena, ensure(arena, body, O::f_preconditions), P::f_uid, options.uid);
    if (!options.resource_version.empty())
      set_string(arena, ensure(arena, body, O::f_preconditions), P::f_resourceVersion,
                 options.resource_version);
    encode_json(request.body, &body, O::schema_type(), {"v1", "DeleteOptions", true});
    request.headers.set("content-type", "application/json");
  }

  const Kind* kind_of(Resource resource, std::string_view subresource) const {
    const Kind* kind = registry_->find_resource(resource.group, resource.version, resource.resource);
    if (!kind || subresource.empty()) return kind;
    const Subresource* sub = kind->find_subresource(subresource);
    return sub ? registry_->find_kind(sub->kind_group, sub->kind_version, sub->kind) : kind;
  }

  void set_body(http::ClientRequest& request, Resource resource, std::string_view subresource,
                const Document& object) const {
    const Kind* kind = kind_of(resource, subresource);
    const std::string api_version = kind ? kind->group_version.text() : "";
    const std::string_view name = kind ? kind->kind : std::string_view{};
    if (object.type().proto_roots) {
      std::string body;
      encode_protobuf(body, &object.root(), object.type());
      request.body = protobuf_envelope_head(api_version, name, body.size()) + body +
                     std::string(protobuf_envelope_tail());
      request.headers.set("content-type", std::string(protobuf_type));
    } else {
      encode_json(request.body, &object.root(), object.type(), {api_version, name, true});
      request.headers.set("content-type", "application/json");
    }
  }

  Task<Result<Document>> object_of(Resource resource, std::string subresource, http::ClientRequest request) {
    const Kind* kind = kind_of(resource, subresource);
    if (!kind) co_return path_not_found();
    auto body = co_await send(std::move(request));
    if (!body) co_return body.error();
    Arena arena;
    // Some subresources answer with a Status rather than with their own kind.
    if (has_protobuf_prefix(*body)) {
      auto envelope = open_protobuf_envelope(*body);
      if (envelope && envelope->kind == "Status" && kind->kind != "Status") {
        auto status = decode_protobuf(arena, envelope->raw, meta_v1::Status::schema_type());
        if (!status) co_return status.error();
        co_return Document::freeze(*status, meta_v1::Status::schema_type());
      }
    }
    auto value = decode_object(arena, *body, *kind->type);
    if (!value) co_return value.error();
    co_return Document::freeze(*value, *kind->type, registry_->owner(*kind));
  }

  Task<Result<std::string>> send(http::ClientRequest request) {
    std::string body;
    auto response = co_await exchange(std::move(request), &body);
    if (!response) co_return response.error();
    co_return body;
  }

  // With the caller's token; one that is not taken is asked for anew, once.
  Task<Result<Response>> exchange(http::ClientRequest request, std::string* body) {
    if (!request.headers.get("accept"))
      request.headers.set("accept", "application/vnd.kubernetes.protobuf,application/json");
    request.headers.set("user-agent", options_.user_agent);
    if (options_.bearer_token)
      if (const std::string token = options_.bearer_token(); !token.empty())
        request.headers.set("authorization", "Bearer " + token);
    for (int tries = 1;; ++tries) {
      std::string token;
      if (options_.tokens) {
        auto given = co_await options_.tokens->token();
        // Its own words (that an account was not found) must not pass for the server's about the request.
        if (!given)
          co_return Status{401, "Unauthorized", fmt::format("no token: {}", given.error().message)};
        token = *std::move(given);
        request.headers.set("authorization", "Bearer " + token);
      }
      auto answer = co_await ask_servers(request, body);
      if (answer || !options_.tokens || answer.error().code != 401 || tries > 1) co_return answer;
      options_.tokens->reject(token);
    }
  }

  // The server that answered last is asked first. Another is asked where this one did not get the request,
  // and for reads also when it broke off, did not answer in time or cannot serve now; a write that may have
  // happened is not repeated.
  Task<Result<Response>> ask_servers(http::ClientRequest request, std::string* body) {
    const bool is_read = request.method == "GET";
    Status last = service_unavailable("no server");
    const std::size_t first = preferred_;
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      const std::size_t at = (first + i) % clients_.size();
      Answer answer = co_await ask(at, request, body);
      const bool is_failed = !answer.result && (!answer.is_from_server || answer.result.error().code == 503);
      if (!is_failed) {
        preferred_ = at;
        co_return std::move(answer.result);
      }
      last = answer.result.error();
      preferred_ = (at + 1) % clients_.size();
      const bool was_not_sent =
          !answer.is_from_server && (last.is("ConnectionRefused") || last.is("ConnectionFailed"));
      if (!is_read && !was_not_sent) break;
    }
    co_return last;
  }

  struct Answer {
    Result<Response> result = Status{};
    bool is_from_server = false;  // else the connection failed
  };
  // `body`, if it is asked for, is read whole.
  Task<Answer> ask(std::size_t at, http::ClientRequest request, std::string* body) {
    Answer answer;
    answer.result = co_await clients_[at]->send(std::move(request));
    if (!answer.result) co_return answer;
    http::ClientResponse& response = **answer.result;
    const int code = response.head().status;
    if (body || code >= 400) {
      auto text = co_await response.read_all(body_limit);
      if (!text) {
        answer.result = text.error();
        co_return answer;
      }
      if (code >= 400)
        answer.result = decode_status(*text, code);
      else
        *body = *std::move(text);
    }
    answer.is_from_server = true;
    co_return answer;
  }

  asio::any_io_executor executor_;
  RemoteOptions options_;
  std::vector<std::unique_ptr<http::Client>> clients_;
  std::size_t preferred_ = 0;
  std::shared_ptr<const Registry> registry_;
};

}  // namespace

Result<std::unique_ptr<ApiClient>> make_remote_client(asio::any_io_executor executor, RemoteOptions options,
                                                      std::shared_ptr<const Registry> registry) {
  std::vector<std::unique_ptr<http::Client>> clients;
  for (const auto& server : options.servers) {
    http::ClientOptions http_options;
    http_options.header_timeout = options.request_timeout;
    if (options.servers.size() > 1) {
      http_options.ping_interval = ping_beside_others;
      http_options.connect_timeout = connect_beside_others;
    }
    RN_TRY(auto client, http::Client::create(executor, {server, options.tls}, http_options));
    clients.push_back(std::move(client));
  }
  if (clients.empty()) return internal_error("no api-server is named");
  return std::unique_ptr<ApiClient>(std::make_unique<RemoteClient>(std::move(executor), std::move(options),
                                                                   std::move(clients), std::move(registry)));
}

}  // namespace rusternetes::client
