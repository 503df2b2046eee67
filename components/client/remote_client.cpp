#include "client/remote_client.h"

#include <fmt/format.h>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"

namespace rusternetes::client {

using namespace apimachinery;

namespace {

constexpr std::size_t body_limit = 256u << 20;
constexpr std::string_view protobuf_type = "application/vnd.kubernetes.protobuf";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' || c == '~') out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

// "k8s\0" + Unknown, or JSON for kinds that have no protobuf.
Result<Value> decode_object(Arena& arena, std::string_view body, const Type& type) {
  if (has_protobuf_prefix(body)) {
    RN_TRY(const auto envelope, open_protobuf_envelope(body));
    return decode_protobuf(arena, envelope.raw, type);
  }
  RN_TRY(Value value, decode_json(arena, body, type));
  if (type.has_type_meta) {
    erase_field(value, 0);
    erase_field(value, 1);
  }
  return value;
}

class RemoteWatch final : public WatchStream {
 public:
  RemoteWatch(std::unique_ptr<http::ClientResponse> response, const Type& type)
      : response_(std::move(response)), type_(type) {}

  Task<Result<std::optional<WatchEvent>>> next() override {
    for (;;) {
      if (buffer_.size() - at_ >= 4) {
        const auto* raw = reinterpret_cast<const unsigned char*>(buffer_.data() + at_);
        const std::size_t size = std::size_t{raw[0]} << 24 | raw[1] << 16 | raw[2] << 8 | raw[3];
        if (size > body_limit) co_return internal_error("a watch frame is too large");
        if (buffer_.size() - at_ - 4 >= size) {
          auto event = parse(std::string_view(buffer_).substr(at_ + 4, size));
          at_ += 4 + size;
          if (at_ > 1 << 20 || at_ == buffer_.size()) {
            buffer_.erase(0, at_);
            at_ = 0;
          }
          if (!event) co_return event.error();
          co_return std::optional<WatchEvent>(std::move(*event));
        }
      }
      auto more = co_await response_->read_some();
      if (!more) co_return more.error();
      if (more->empty()) co_return std::optional<WatchEvent>{};
      buffer_ += *more;
    }
  }

 private:
  Result<WatchEvent> parse(std::string_view frame) {
    Arena arena;
    RN_TRY(const Value value, decode_protobuf(arena, frame, meta_v1::WatchEvent::schema_type()));
    const meta_v1::WatchEvent event(&value);
    const std::string_view word = event.type(), object = event.object();
    if (word == "ERROR") {
      RN_TRY(const Value status, decode_object(arena, object, meta_v1::Status::schema_type()));
      const meta_v1::Status view(&status);
      return Status{static_cast<int>(view.code()), std::string(view.reason()), std::string(view.message())};
    }
    RN_TRY(const Value decoded, decode_object(arena, object, type_));
    WatchEvent out;
    out.type = word == "ADDED" ? WatchEvent::Type::added : word == "MODIFIED" ? WatchEvent::Type::modified
               : word == "DELETED" ? WatchEvent::Type::removed : WatchEvent::Type::bookmark;
    out.object = Document::freeze(decoded, type_);
    return out;
  }

  std::unique_ptr<http::ClientResponse> response_;
  const Type& type_;
  std::string buffer_;
  std::size_t at_ = 0;
};

class RemoteClient final : public ApiClient {
 public:
  RemoteClient(asio::any_io_executor executor, RemoteOptions options, std::vector<std::unique_ptr<http::Client>> clients,
               std::shared_ptr<const Registry> registry)
      : executor_(std::move(executor)), options_(std::move(options)), clients_(std::move(clients)), registry_(std::move(registry)) {}

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
      for (const auto& item : all->children()) out.items.push_back(Document::freeze(item, *kind->type));
    co_return out;
  }

  Task<Result<std::unique_ptr<WatchStream>>> watch(Resource resource, std::string name_space, WatchOptions options) override {
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
    request.headers.set("accept", "application/vnd.kubernetes.protobuf;stream=watch");
    auto response = co_await exchange(std::move(request));
    if (!response) co_return response.error();
    co_return std::unique_ptr<WatchStream>(std::make_unique<RemoteWatch>(std::move(*response), *kind->type));
  }

  Task<Result<Document>> create(Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, WriteOptions options) override {
    http::ClientRequest request;
    request.method = "POST";
    request.target = path(resource, name_space, name, subresource) + write_query(options);
    set_body(request, resource, subresource, object);
    co_return co_await object_of(resource, std::move(subresource), std::move(request));
  }

  Task<Result<Document>> update(Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, WriteOptions options) override {
    http::ClientRequest request;
    request.method = "PUT";
    request.target = path(resource, name_space, name, subresource) + write_query(options);
    set_body(request, resource, subresource, object);
    co_return co_await object_of(resource, std::move(subresource), std::move(request));
  }

  Task<Result<Document>> patch(Resource resource, std::string name_space, std::string name, std::string subresource,
                               PatchType type, std::string body, WriteOptions options) override {
    http::ClientRequest request;
    request.method = "PATCH";
    request.target = path(resource, name_space, name, subresource) + write_query(options);
    request.headers.set("content-type", type == PatchType::json    ? "application/json-patch+json"
                                        : type == PatchType::merge ? "application/merge-patch+json"
                                                                   : "application/strategic-merge-patch+json");
    request.body = std::move(body);
    co_return co_await object_of(resource, std::move(subresource), std::move(request));
  }

  Task<Result<void>> remove(Resource resource, std::string name_space, std::string name, RemoveOptions options) override {
    http::ClientRequest request;
    request.method = "DELETE";
    request.target = path(resource, name_space, name, "");
    Arena arena;
    using O = meta_v1::DeleteOptions;
    Value body = Value::empty(ValueKind::structure);
    if (options.grace_period_s) set_integer(arena, body, O::f_gracePeriodSeconds, *options.grace_period_s);
    if (!options.propagation_policy.empty()) set_string(arena, body, O::f_propagationPolicy, options.propagation_policy);
    if (!options.uid.empty()) set_string(arena, ensure(arena, body, O::f_preconditions), meta_v1::Preconditions::f_uid, options.uid);
    if (!options.resource_version.empty())
      set_string(arena, ensure(arena, body, O::f_preconditions), meta_v1::Preconditions::f_resourceVersion, options.resource_version);
    encode_json(request.body, &body, O::schema_type(), {"v1", "DeleteOptions", true});
    request.headers.set("content-type", "application/json");
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

  static std::string path(Resource resource, std::string_view name_space, std::string_view name, std::string_view subresource) {
    std::string out = resource.group.empty() ? fmt::format("/api/{}", resource.version) : fmt::format("/apis/{}/{}", resource.group, resource.version);
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

  const Kind* kind_of(Resource resource, std::string_view subresource) const {
    const Kind* kind = registry_->find_resource(resource.group, resource.version, resource.resource);
    if (!kind || subresource.empty()) return kind;
    const Subresource* sub = kind->find_subresource(subresource);
    return sub ? registry_->find_kind(sub->kind_group, sub->kind_version, sub->kind) : kind;
  }

  void set_body(http::ClientRequest& request, Resource resource, std::string_view subresource, const Document& object) const {
    const Kind* kind = kind_of(resource, subresource);
    const std::string api_version = kind ? kind->group_version.text() : "";
    const std::string_view name = kind ? kind->kind : std::string_view{};
    if (object.type().proto_roots) {
      std::string body;
      encode_protobuf(body, &object.root(), object.type());
      request.body = protobuf_envelope_head(api_version, name, body.size()) + body + std::string(protobuf_envelope_tail());
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
    co_return Document::freeze(*value, *kind->type);
  }

  Task<Result<std::string>> send(http::ClientRequest request) {
    auto response = co_await exchange(std::move(request));
    if (!response) co_return response.error();
    co_return co_await (*response)->read_all(body_limit);
  }

  // The first server that can be reached answers; the one that did is asked first next time.
  Task<Result<std::unique_ptr<http::ClientResponse>>> exchange(http::ClientRequest request) {
    if (!request.headers.get("accept")) request.headers.set("accept", "application/vnd.kubernetes.protobuf,application/json");
    request.headers.set("user-agent", options_.user_agent);
    if (options_.bearer_token)
      if (const std::string token = options_.bearer_token(); !token.empty()) request.headers.set("authorization", "Bearer " + token);
    Status last = service_unavailable("no server");
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      const std::size_t at = (preferred_ + i) % clients_.size();
      auto response = co_await clients_[at]->send(request);
      if (!response) {
        last = response.error();
        const bool is_unreachable = last.is("ConnectionRefused") || last.is("ConnectionFailed");
        if (!is_unreachable) co_return last;
        continue;
      }
      preferred_ = at;
      const int code = (*response)->head().status;
      if (code < 400) co_return std::move(*response);
      auto body = co_await (*response)->read_all(body_limit);
      if (!body) co_return body.error();
      co_return to_status(*body, code);
    }
    co_return last;
  }

  static Status to_status(const std::string& body, int code) {
    if (!has_protobuf_prefix(body)) return status_from_json(body, code);
    Arena arena;
    auto envelope = open_protobuf_envelope(body);
    if (!envelope) return envelope.error();
    auto value = decode_protobuf(arena, envelope->raw, meta_v1::Status::schema_type());
    if (!value) return value.error();
    std::string json;
    encode_json(json, &*value, meta_v1::Status::schema_type(), {"v1", "Status", true});
    return status_from_json(json, code);
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
    RN_TRY(auto client, http::Client::create(executor, {server, options.tls}, http_options));
    clients.push_back(std::move(client));
  }
  if (clients.empty()) return internal_error("no api-server is named");
  return std::unique_ptr<ApiClient>(std::make_unique<RemoteClient>(std::move(executor), std::move(options), std::move(clients), std::move(registry)));
}

}  // namespace rusternetes::client
