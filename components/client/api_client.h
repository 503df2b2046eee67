#pragma once
// How every component speaks to the API: remote over HTTP, or in-process, where reads share the api-server's
// own immutable objects. Both do the same checks under the caller's identity. Belongs to one executor;
// results arrive on it.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/document.h"
#include "apimachinery/registry.h"
#include "base/status.h"
#include "base/task.h"

namespace rusternetes::client {

using apimachinery::Document;

// A resource as paths name it: {"apps", "v1", "deployments"}. The views must outlive the call (they are
// literals mostly).
struct Resource {
  std::string_view group, version, resource;
};

struct ListOptions {
  std::string label_selector, field_selector;
  std::string resource_version, resource_version_match;
  std::int64_t limit = 0;
  std::string continue_token;
};

struct ObjectList {
  std::string resource_version, continue_token;
  std::vector<Document> items;  // with metadata.resourceVersion, without kind and apiVersion
};

struct WatchOptions {
  std::string label_selector, field_selector;
  std::string resource_version;
  bool allow_bookmarks = true;
  bool send_initial_events = false;
  std::int64_t timeout_s = 0;  // 0: the server's choice
};

struct WatchEvent {
  enum class Type { added, modified, removed, bookmark };
  Type type = Type::added;
  Document object;
};

class WatchStream {
 public:
  virtual ~WatchStream() = default;
  // The next event; nothing when the server ended the stream in order. Errors: an ERROR event's Status (410
  // Expired), or a broken connection.
  virtual Task<Result<std::optional<WatchEvent>>> next() = 0;
};

enum class PatchType { json, merge, strategic };

struct WriteOptions {
  std::string field_manager;
  bool dry_run = false;
};

struct RemoveOptions {
  std::optional<std::int64_t> grace_period_s;
  std::string propagation_policy;     // "", Orphan, Background, Foreground
  std::string uid, resource_version;  // preconditions
};

struct CollectionOptions {
  std::string label_selector, field_selector;
};

class ApiClient {
 public:
  virtual ~ApiClient() = default;

  // `name_space` is empty for cluster-scoped resources and, in list and watch, for all namespaces.
  virtual Task<Result<Document>> get(Resource resource, std::string name_space, std::string name) = 0;
  virtual Task<Result<ObjectList>> list(Resource resource, std::string name_space, ListOptions options) = 0;
  virtual Task<Result<std::unique_ptr<WatchStream>>> watch(Resource resource, std::string name_space,
                                                           WatchOptions options) = 0;
  // `object` is of the resource's kind; the answer is what was stored. `subresource`: "", "status",
  // "binding", "token", "eviction", ...: the answer is then of the subresource's kind.
  virtual Task<Result<Document>> create(Resource resource, std::string name_space, std::string name,
                                        std::string subresource, Document object, WriteOptions options) = 0;
  virtual Task<Result<Document>> update(Resource resource, std::string name_space, std::string name,
                                        std::string subresource, Document object, WriteOptions options) = 0;
  virtual Task<Result<Document>> patch(Resource resource, std::string name_space, std::string name,
                                       std::string subresource, PatchType type, std::string body,
                                       WriteOptions options) = 0;
  virtual Task<Result<void>> remove(Resource resource, std::string name_space, std::string name,
                                    RemoveOptions options) = 0;
  // Removes every object of the collection that the selectors match. Without a way to have the server do it,
  // one by one, in pages; what has gone meanwhile is no error.
  virtual Task<Result<void>> remove_collection(Resource resource, std::string name_space,
                                               CollectionOptions which, RemoveOptions options);

  // The kinds that documents are decoded with.
  virtual std::shared_ptr<const apimachinery::Registry> registry() const = 0;
  virtual asio::any_io_executor executor() const = 0;
};

}  // namespace rusternetes::client
