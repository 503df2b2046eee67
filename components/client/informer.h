#pragma once
// A local, indexed mirror of a resource that is kept current by list and watch (client-go's SharedInformer).
// Handlers run on the client's executor, one at a time, in the order in which they were added, after the
// mirror has changed. What a handler throws is logged and is no other handler's trouble. The mirror holds
// references: in-process it costs little more than a pointer an object.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
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
    // `before` is empty for an added object, `now` for a removed one. A relist that finds no change calls
    // nothing.
    std::function<void(const Document& before, const Document& now)> on_change;
  };
  struct Options {
    std::string name_space, label_selector, field_selector;
    // Between tries that fail; with a random part, and doubled up to the most.
    std::chrono::milliseconds least_backoff{200}, most_backoff{30'000};
  };

  Informer(ApiClient& client, Resource resource, Options options);
  Informer(ApiClient& client, Resource resource) : Informer(client, std::move(resource), Options{}) {}
  ~Informer();

  // Before start().
  void add_handler(Handler handler);
  // Objects by a derived key: index("by-node", ...) then by_index("by-node", "node1").
  void add_index(std::string name, std::function<std::vector<std::string>(const Document&)> keys);

  // Lists and watches until stop(); errors are retried with back-off and logged.
  void start(TaskGroup& tasks);  // `tasks` outlives it
  bool has_synced() const { return synced_; }
  // Returns once the first list is in the mirror.
  Task<> wait_for_sync();

  Document get(std::string_view key) const;  // empty document when absent
  std::vector<Document> list(std::string_view name_space = {}) const;
  std::vector<Document> by_index(std::string_view index, std::string_view key) const;
  std::size_t size() const { return objects_.size(); }
  Resource resource() const { return resource_; }

 private:
  // By namespace, then name; no key is stored beside the object.
  struct ByKey {
    using is_transparent = void;
    struct Key {
      std::string_view name_space, name;
    };
    static Key of(const Document& object) { return {namespace_of(object), name_of(object)}; }
    static Key of(const Key& key) { return key; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      const Key x = of(a), y = of(b);
      return x.name_space != y.name_space ? x.name_space < y.name_space : x.name < y.name;
    }
  };
  using Objects = std::set<Document, ByKey>;

  Task<> run(const TaskGroup& tasks);
  Task<Result<void>> attempt(const TaskGroup& tasks);
  Task<Result<void>> list_or_watch();
  Task<Result<void>> fetch();
  Task<Result<void>> watch();
  void take(WatchEvent event);
  void tell(const Handler& handler, const Document& before, const Document& now) const;
  void apply(const Document& before, const Document& now);
  void replace(std::vector<Document> items);
  Document find(const Document& like) const;

  ApiClient& client_;
  Resource resource_;
  Options options_;
  std::vector<Handler> handlers_;
  Objects objects_;
  struct Index {
    std::function<std::vector<std::string>(const Document&)> keys;
    std::map<std::string, Objects, std::less<>> entries;
  };
  std::map<std::string, Index, std::less<>> indexes_;
  std::string resource_version_;
  bool synced_ = false;
  std::size_t taken_ = 0;  // events of the present watch
  std::vector<std::shared_ptr<AsyncEvent>> sync_waiters_;
};

}  // namespace rusternetes::client
