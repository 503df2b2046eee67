#pragma once
// Lists and watches of objects in memory: what the server's mirrors need of an API.

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <set>

#include "apimachinery/errors.h"
#include "client/api_client.h"
#include "client/informer.h"
#include "client/object_builder.h"

namespace rusternetes::dns::testing {

using apimachinery::Document;
using client::WatchEvent;

class MemoryApi final : public client::ApiClient {
 public:
  explicit MemoryApi(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  // From the executor's thread. `json` has a metadata with name and, unless it is a Namespace, namespace.
  void put(std::string_view group, std::string_view resource, std::string json) {
    const auto* kind = registry()->find_resource(group, "v1", resource);
    REQUIRE(kind);
    const auto at = json.find("\"metadata\":{");
    REQUIRE(at != json.npos);
    json.insert(at + 12, R"("uid":"u","resourceVersion":")" + std::to_string(++version_) + "\",");
    const Document object = client::ObjectBuilder::from_json(*kind->type, json);
    auto& place = objects_[std::string(resource)][client::object_key(object)];
    const bool is_new = !place;
    place = object;
    announce(resource, {is_new ? WatchEvent::Type::added : WatchEvent::Type::modified, object});
  }
  void erase(std::string_view resource, const std::string& key) {
    auto node = objects_[std::string(resource)].extract(key);
    REQUIRE(node);
    announce(resource, {WatchEvent::Type::removed, node.mapped()});
  }
  // While it is set, nothing is listed.
  bool is_down = false;

  Task<Result<client::ObjectList>> list(client::Resource resource, std::string,
                                        client::ListOptions) override {
    if (is_down) co_return Status{503, "ServiceUnavailable", "down"};
    client::ObjectList out;
    out.resource_version = std::to_string(version_);
    for (const auto& [key, object] : objects_[std::string(resource.resource)]) out.items.push_back(object);
    co_return out;
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(client::Resource resource, std::string,
                                                           client::WatchOptions) override {
    co_return std::unique_ptr<client::WatchStream>(
        std::make_unique<Stream>(*this, std::string(resource.resource)));
  }
  Task<Result<Document>> get(client::Resource, std::string, std::string) override { co_return none(); }
  Task<Result<Document>> create(client::Resource, std::string, std::string, std::string, Document,
                                client::WriteOptions) override {
    co_return none();
  }
  Task<Result<Document>> update(client::Resource, std::string, std::string, std::string, Document,
                                client::WriteOptions) override {
    co_return none();
  }
  Task<Result<Document>> patch(client::Resource, std::string, std::string, std::string, client::PatchType,
                               std::string, client::WriteOptions) override {
    co_return none();
  }
  Task<Result<void>> remove(client::Resource, std::string, std::string, client::RemoveOptions) override {
    co_return none();
  }
  std::shared_ptr<const apimachinery::Registry> registry() const override {
    return apimachinery::Registry::builtin();
  }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  struct Stream final : client::WatchStream {
    Stream(MemoryApi& api, std::string resource)
        : api(api), resource(std::move(resource)), wake(api.executor_) {
      api.streams_.insert(this);
    }
    ~Stream() override { api.streams_.erase(this); }
    Task<Result<std::optional<WatchEvent>>> next() override {
      while (events.empty()) co_await wake.wait();
      WatchEvent event = std::move(events.front());
      events.pop_front();
      co_return std::optional<WatchEvent>(std::move(event));
    }
    MemoryApi& api;
    std::string resource;
    AsyncEvent wake;
    std::deque<WatchEvent> events;
  };
  static Status none() { return {405, "MethodNotAllowed", "only reads here"}; }
  void announce(std::string_view resource, const WatchEvent& event) {
    for (auto* stream : streams_) {
      if (stream->resource != resource) continue;
      stream->events.push_back(event);
      stream->wake.set();
    }
  }
  asio::any_io_executor executor_;
  std::map<std::string, std::map<std::string, Document>> objects_;
  std::set<Stream*> streams_;
  std::int64_t version_ = 10;
};

}  // namespace rusternetes::dns::testing
