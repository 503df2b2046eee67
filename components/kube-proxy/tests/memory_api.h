#pragma once
// An API that holds a few objects, so that informers list and watch them. On one executor, as every client.

#include <boost/asio/post.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apimachinery/registry.h"
#include "client/informer.h"

namespace rusternetes::kube_proxy::testing {

using client::Document;
using client::Resource;

class MemoryApi final : public client::ApiClient {
 public:
  struct Shared {
    explicit Shared(asio::any_io_executor executor) : executor(std::move(executor)) {}
    struct Kind {
      std::map<std::string, Document> objects;
      std::vector<client::WatchEvent> log;
      std::vector<std::shared_ptr<AsyncEvent>> watchers;
    };
    asio::any_io_executor executor;
    std::map<std::string, Kind, std::less<>> kinds;
    std::set<std::string, std::less<>> forbidden;  // resources that may not be read
    std::vector<Document> events;                  // that were recorded
    // Name and body of a patch of `resource`; without it none is allowed.
    std::function<Result<Document>(std::string resource, std::string name, std::string body)> on_patch;
    // From the executor's thread.
    void set(const std::string& resource, Document object) {
      Kind& kind = kinds[resource];
      Document& place = kind.objects[client::object_key(object)];
      kind.log.push_back(
          {place ? client::WatchEvent::Type::modified : client::WatchEvent::Type::added, object});
      place = object;
      for (const auto& each : kind.watchers) each->set();
    }
    void remove(const std::string& resource, const std::string& key) {
      Kind& kind = kinds[resource];
      kind.log.push_back({client::WatchEvent::Type::removed, kind.objects.at(key)});
      kind.objects.erase(key);
      for (const auto& each : kind.watchers) each->set();
    }
  };
  explicit MemoryApi(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  Task<Result<client::ObjectList>> list(Resource resource, std::string, client::ListOptions) override {
    if (shared_->forbidden.contains(resource.resource))
      co_return Status{403, "Forbidden", std::string(resource.resource) + " is forbidden"};
    auto& kind = shared_->kinds[std::string(resource.resource)];
    client::ObjectList out;
    out.resource_version = std::to_string(kind.log.size());
    for (const auto& [key, object] : kind.objects) out.items.push_back(object);
    co_return out;
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Resource resource, std::string,
                                                           client::WatchOptions options) override {
    auto& kind = shared_->kinds[std::string(resource.resource)];
    kind.watchers.push_back(std::make_shared<AsyncEvent>(shared_->executor));
    co_return std::unique_ptr<client::WatchStream>(
        std::make_unique<Stream>(kind, std::stoul(options.resource_version), kind.watchers.back()));
  }
  Task<Result<Document>> get(Resource, std::string, std::string) override { return refuse(); }
  Task<Result<Document>> create(Resource resource, std::string, std::string, std::string, Document object,
                                client::WriteOptions) override {
    if (resource.resource != "events") co_return Status{403, "Forbidden", "only read"};
    shared_->events.push_back(object);
    co_return object;
  }
  Task<Result<Document>> update(Resource, std::string, std::string, std::string, Document,
                                client::WriteOptions) override {
    return refuse();
  }
  Task<Result<Document>> patch(Resource resource, std::string, std::string name, std::string subresource,
                               client::PatchType, std::string body, client::WriteOptions) override {
    if (!shared_->on_patch) co_return Status{403, "Forbidden", "only read"};
    std::string what(resource.resource);
    if (!subresource.empty()) what += "/" + subresource;
    co_return shared_->on_patch(std::move(what), std::move(name), std::move(body));
  }
  Task<Result<void>> remove(Resource, std::string, std::string, client::RemoveOptions) override {
    co_return Status{403, "Forbidden", "only read"};
  }
  std::shared_ptr<const apimachinery::Registry> registry() const override {
    return apimachinery::Registry::builtin();
  }
  asio::any_io_executor executor() const override { return shared_->executor; }

 private:
  struct Stream final : client::WatchStream {
    Stream(Shared::Kind& kind, std::size_t next, std::shared_ptr<AsyncEvent> wake)
        : kind(kind), at(next), wake(std::move(wake)) {}
    Task<Result<std::optional<client::WatchEvent>>> next() override {
      while (at >= kind.log.size()) co_await wake->wait();
      co_return std::optional(kind.log[at++]);
    }
    Shared::Kind& kind;
    std::size_t at;
    std::shared_ptr<AsyncEvent> wake;
  };
  Task<Result<Document>> refuse() { co_return Status{403, "Forbidden", "only read"}; }
  std::shared_ptr<Shared> shared_;
};

}  // namespace rusternetes::kube_proxy::testing
