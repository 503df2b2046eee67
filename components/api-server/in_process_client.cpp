#include "api-server/in_process_client.h"

#include <fmt/format.h>

#include "api-server/conversion.h"
#include "api-server/authz/forbidden.h"
#include "api-server/metrics.h"
#include "api-server/storage_codec.h"
#include "api-server/watch_source.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/uid.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using client::ApiClient;
using client::ListOptions;
using client::ObjectList;
using client::Resource;
using client::WatchOptions;
using client::WriteOptions;

namespace {

// A cached object in the version that was asked for.
Document in_version(const EntryPtr& entry, const Kind& kind) {
  if (&entry->document.type() == kind.type) return entry->document;
  Arena arena;
  return Document::freeze(convert_value(arena, entry->document.root(), entry->document.type(), *kind.type), *kind.type);
}

class InProcessWatch final : public client::WatchStream {
 public:
  InProcessWatch(std::unique_ptr<Call> call, std::unique_ptr<WatchSource> source, std::chrono::steady_clock::time_point end)
      : call_(std::move(call)), source_(std::move(source)), end_(end) {}

  Task<Result<std::optional<client::WatchEvent>>> next() override {
    while (at_ == events_.size()) {
      if (std::chrono::steady_clock::now() >= end_) co_return std::optional<client::WatchEvent>{};
      auto more = co_await source_->next(end_);
      if (!more) co_return more.error();
      events_ = std::move(*more);
      at_ = 0;
    }
    const OutEvent event = std::move(events_[at_++]);
    client::WatchEvent out;
    if (event.type == OutEvent::Type::bookmark) {
      out.type = client::WatchEvent::Type::bookmark;
      Arena arena;
      Value object = Value::empty(ValueKind::structure);
      set_resource_version(arena, *call_->kind->type, object, event.revision);
      out.object = Document::freeze(object, *call_->kind->type);
    } else {
      out.type = event.type == OutEvent::Type::added      ? client::WatchEvent::Type::added
                 : event.type == OutEvent::Type::modified ? client::WatchEvent::Type::modified
                                                          : client::WatchEvent::Type::removed;
      out.object = in_version(event.entry, *call_->kind);
    }
    co_return std::optional<client::WatchEvent>(std::move(out));
  }

 private:
  std::unique_ptr<Call> call_;
  std::unique_ptr<WatchSource> source_;
  std::chrono::steady_clock::time_point end_;
  std::vector<OutEvent> events_;
  std::size_t at_ = 0;
};

}  // namespace

// What the server lets the client of its own process do: everything a connection could, after authorization.
class InProcessAccess final : public ApiClient {
 public:
  InProcessAccess(ApiServer& server, User user, asio::any_io_executor executor, std::string user_agent)
      : server_(server), user_(std::move(user)), executor_(std::move(executor)), user_agent_(std::move(user_agent)) {}

  Task<Result<Document>> get(Resource resource, std::string name_space, std::string name) override {
    auto call = make_call(resource, "get", std::move(name_space), std::move(name), "");
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    auto entry = co_await server_.resources_.get(*call);
    if (!entry) co_return entry.error();
    co_return in_version(*entry, *call->kind);
  }

  Task<Result<ObjectList>> list(Resource resource, std::string name_space, ListOptions options) override {
    std::string query;
    add(query, "labelSelector", options.label_selector);
    add(query, "fieldSelector", options.field_selector);
    add(query, "resourceVersion", options.resource_version);
    add(query, "resourceVersionMatch", options.resource_version_match);
    add(query, "continue", options.continue_token);
    if (options.limit) add(query, "limit", std::to_string(options.limit));
    auto call = make_call(resource, "list", std::move(name_space), "", "", query);
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    auto listed = co_await server_.resources_.list(*call);
    if (!listed) co_return listed.error();
    ObjectList out;
    out.resource_version = std::to_string(listed->revision);
    out.continue_token = listed->continue_token;
    out.items.reserve(listed->entries.size());
    for (const auto& entry : listed->entries) out.items.push_back(in_version(entry, *call->kind));
    co_return out;
  }

  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Resource resource, std::string name_space, WatchOptions options) override {
    std::string query;
    add(query, "labelSelector", options.label_selector);
    add(query, "fieldSelector", options.field_selector);
    add(query, "resourceVersion", options.resource_version);
    if (options.allow_bookmarks) add(query, "allowWatchBookmarks", "true");
    if (options.send_initial_events) {
      add(query, "sendInitialEvents", "true");
      add(query, "resourceVersionMatch", "NotOlderThan");
    }
    auto call = make_call(resource, "watch", std::move(name_space), "", "", query);
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    auto source = co_await WatchSource::open(server_.resources_, *call);
    if (!source) co_return source.error();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.timeout_s > 0 ? options.timeout_s : 3600);
    co_return std::unique_ptr<client::WatchStream>(std::make_unique<InProcessWatch>(std::move(call), std::move(*source), end));
  }

  Task<Result<Document>> create(Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, WriteOptions options) override {
    auto call = make_call(resource, "create", std::move(name_space), std::move(name), std::move(subresource));
    co_return co_await write(std::move(call), std::move(object), std::move(options));
  }

  Task<Result<Document>> update(Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, WriteOptions options) override {
    auto call = make_call(resource, "update", std::move(name_space), std::move(name), std::move(subresource));
    co_return co_await write(std::move(call), std::move(object), std::move(options));
  }

  Task<Result<Document>> patch(Resource resource, std::string name_space, std::string name, std::string subresource,
                               client::PatchType type, std::string body, WriteOptions options) override {
    auto call = make_call(resource, "patch", std::move(name_space), std::move(name), std::move(subresource));
    call->dry_run = options.dry_run;
    call->field_manager = options.field_manager;
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    const PatchKind kind = type == client::PatchType::json ? PatchKind::json : type == client::PatchType::merge ? PatchKind::merge : PatchKind::strategic;
    auto written = co_await server_.resources_.patch(*call, kind, std::move(body));
    if (!written) co_return written.error();
    co_return Document::freeze(written->object, *written->kind->type);
  }

  Task<Result<void>> remove(Resource resource, std::string name_space, std::string name, client::RemoveOptions options) override {
    auto call = make_call(resource, "delete", std::move(name_space), std::move(name), "");
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    auto written = co_await server_.resources_.remove(*call, to_delete_options(options));
    if (!written) co_return written.error();
    co_return Result<void>{};
  }

  Task<Result<void>> remove_collection(Resource resource, std::string name_space, client::CollectionOptions which,
                                       client::RemoveOptions options) override {
    std::string query;
    add(query, "labelSelector", which.label_selector);
    add(query, "fieldSelector", which.field_selector);
    auto call = make_call(resource, "deletecollection", std::move(name_space), "", "", query);
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    auto removed = co_await server_.resources_.remove_collection(*call, to_delete_options(options));
    if (!removed) co_return removed.error();
    co_return Result<void>{};
  }

  std::shared_ptr<const Registry> registry() const override { return server_.resources_.cacher().registry(); }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  static DeleteOptions to_delete_options(const client::RemoveOptions& options) {
    DeleteOptions out;
    out.grace_period_s = options.grace_period_s;
    out.propagation_policy = options.propagation_policy;
    if (!options.uid.empty()) out.uid = options.uid;
    if (!options.resource_version.empty()) out.resource_version = options.resource_version;
    return out;
  }

  static void add(std::string& query, std::string_view key, std::string_view value) {
    if (value.empty()) return;
    if (!query.empty()) query += '&';
    query += key;
    query += '=';
    for (const char c : value)
      if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_') query += c;
      else query += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }

  std::unique_ptr<Call> make_call(Resource resource, std::string_view verb, std::string name_space, std::string name,
                                  std::string subresource, std::string_view query = {}) {
    auto call = std::make_unique<Call>();
    auto& info = call->info;
    info.is_resource = true;
    info.verb = verb;
    info.api_group = resource.group;
    info.api_version = resource.version;
    info.resource = resource.resource;
    info.subresource = std::move(subresource);
    info.name_space = std::move(name_space);
    info.name = std::move(name);
    info.query = Query::parse(query);
    take_name_from_selector(info);
    call->user = user_;
    call->user_agent = user_agent_;
    call->registry = registry();
    call->now_us = server_.resources_.now_us();
    return call;
  }

  Task<Result<void>> authorize(Call& call) {
    RN_CO_CHECK(server_.resolve_kind(call));
    co_return co_await server_.authorize(call);
  }

  Task<Result<Document>> write(std::unique_ptr<Call> call, Document object, WriteOptions options) {
    call->dry_run = options.dry_run;
    call->field_manager = options.field_manager;
    auto allowed = co_await authorize(*call);
    if (!allowed) co_return allowed.error();
    Value value = deep_copy(call->arena, object.root());
    // Subresources with a kind of their own go the way of their HTTP extension.
    const std::string path = fmt::format("{}/{}/{}", call->info.api_group, call->info.resource, call->info.subresource);
    if (auto action = server_.actions_.find(path); action != server_.actions_.end()) {
      auto written = co_await action->second(*call, value);
      if (!written) co_return written.error();
      co_return Document::freeze(written->object, *written->kind->type);
    }
    strategy_for(call->kind->group_version.group, call->kind->resource).set_defaults(*call->kind, call->arena, value);
    Result<Written> written = Status{};
    if (call->info.verb == "create")
      written = co_await server_.resources_.create(*call, value);
    else
      written = co_await server_.resources_.update(*call, value);
    if (!written) co_return written.error();
    co_return Document::freeze(written->object, *written->kind->type);
  }

  ApiServer& server_;
  User user_;
  asio::any_io_executor executor_;
  std::string user_agent_;
};

std::unique_ptr<ApiClient> make_in_process_client(ApiServer& server, User user, asio::any_io_executor executor, std::string user_agent) {
  return std::make_unique<InProcessAccess>(server, std::move(user), std::move(executor), std::move(user_agent));
}

}  // namespace rusternetes::api_server
