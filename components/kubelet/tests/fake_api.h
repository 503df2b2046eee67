#pragma once
// An API in memory: objects of any kind with resource versions, watches, and the two rules that kubelets live by: graceful
// deletion of Pods, and status as a part of its own.

#include <deque>
#include <map>
#include <set>

#include "client/api_client.h"

namespace rusternetes::kubelet::testing {

using apimachinery::Document;

class FakeApi final : public client::ApiClient {
 public:
  explicit FakeApi(asio::any_io_executor executor);

  // What tests do from the executor's thread.
  Document put(std::string_view resource, const std::string& json);  // of a core kind; makes or replaces
  Document find(std::string_view resource, std::string_view name_space, std::string_view name) const;
  std::vector<Document> all(std::string_view resource) const;
  // A Pod is marked with its grace; 0 takes it away at once.
  void delete_pod(const std::string& name, std::int64_t grace_s);
  void erase(std::string_view resource, std::string_view name_space, std::string_view name);
  int writes = 0;
  std::vector<std::string> removed;  // "pods/web grace 0 uid x"
  bool delays_events = false;  // watches hear of a change only with the first one after this is off
  std::set<std::string> allowed_subresources;  // what SubjectAccessReview grants, "proxy"
  std::map<std::string, std::string> tokens;   // token -> user

  Task<Result<Document>> get(client::Resource resource, std::string name_space, std::string name) override;
  Task<Result<client::ObjectList>> list(client::Resource resource, std::string name_space, client::ListOptions options) override;
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(client::Resource resource, std::string name_space,
                                                           client::WatchOptions options) override;
  Task<Result<Document>> create(client::Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, client::WriteOptions options) override;
  Task<Result<Document>> update(client::Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, client::WriteOptions options) override;
  Task<Result<Document>> patch(client::Resource, std::string, std::string, std::string, client::PatchType, std::string,
                               client::WriteOptions) override {
    co_return internal_error("no patches here");
  }
  Task<Result<void>> remove(client::Resource resource, std::string name_space, std::string name,
                            client::RemoveOptions options) override;
  std::shared_ptr<const apimachinery::Registry> registry() const override { return apimachinery::Registry::builtin(); }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  class Watch;
  Document store(const std::string& key, const Document& object, const Document* before);
  void announce(client::WatchEvent::Type type, const std::string& key, const Document& object);
  Document review(std::string_view resource, const Document& object) const;
  asio::any_io_executor executor_;
  std::map<std::string, Document, std::less<>> objects_;  // "resource/namespace/name"
  std::int64_t version_ = 100;
  std::set<Watch*> watches_;
};

}  // namespace rusternetes::kubelet::testing
