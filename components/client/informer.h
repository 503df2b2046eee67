#pragma once
// A local, indexed mirror of a resource that is kept current by list and watch (client-go's SharedInformer). Handlers run
// on the client's executor, one at a time, after the mirror has changed.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/api_client.h"

namespace rusternetes::client {

// "namespace/name", or "name".
std::string object_key(const Document& object);
std::string_view name_of(const Document& object);
std::string_view namespace_of(const Document& object);
std::string_view uid_of(const Document& object);

class Informer {
 public:
  struct Handler {
    // `before` is empty for an added object, `now` for a removed one. A relist that finds no change calls nothing.
    std::function<void(const Document& before, const Document& now)> on_change;
  };
  struct Options {
    std::string name_space, label_selector, field_selector;
  };

  Informer(ApiClient& client, Resource resource, Options options = {});
  ~Informer();

  // Before start().
  void add_handler(Handler handler);
  // Objects by a derived key: index("by-node", ...) then by_index("by-node", "node1").
  void add_index(std::string name, std::function<std::vector<std::string>(const Document&)> keys);

  // Lists and watches until stop(); errors are retried with back-off and logged.
  void start(TaskGroup& tasks);
  bool has_synced() const { return synced_; }
  // Returns once the first list is in the mirror.
  Task<> wait_for_sync();

  Document get(std::string_view key) const;  // empty document when absent
  std::vector<Document> list(std::string_view name_space = {}) const;
  std::vector<Document> by_index(std::string_view index, std::string_view key) const;
  std::size_t size() const { return objects_.size(); }
  Resource resource() const { return resource_; }

 private:
  Task<> run();
  Task<Result<void>> list_and_watch();
  void apply(const Document& before, const Document& now);
  void replace(std::vector<Document> items);

  ApiClient& client_;
  Resource resource_;
  Options options_;
  std::vector<Handler> handlers_;
  std::map<std::string, Document, std::less<>> objects_;
  struct Index {
    std::function<std::vector<std::string>(const Document&)> keys;
    std::map<std::string, std::map<std::string, Document>, std::less<>> entries;
  };
  std::map<std::string, Index, std::less<>> indexes_;
  std::string resource_version_;
  bool synced_ = false;
  AsyncEvent synced_event_;
};

}  // namespace rusternetes::client
