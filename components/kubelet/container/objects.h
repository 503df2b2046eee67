#pragma once
// ConfigMaps and Secrets for Pods. They are read one by one, as the Node authorizer allows it, and kept for a moment.

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "client/api_client.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

enum class ObjectKind { config_map, secret };

struct ObjectReference {
  ObjectKind kind = ObjectKind::config_map;
  std::string name;
  bool is_optional = false;
};

// The objects of one namespace that one Pod refers to; what is not there is absent.
class ObjectSet {
 public:
  void add(ObjectKind kind, std::string name, Document object) { objects_[{kind, std::move(name)}] = std::move(object); }
  // Null when absent.
  const Document* find(ObjectKind kind, std::string_view name) const;

 private:
  std::map<std::pair<ObjectKind, std::string>, Document, std::less<>> objects_;
};

// `secret "name" not found`, as events say it.
Status object_not_found(ObjectKind kind, std::string_view name);

class Objects {
 public:
  Objects(client::ApiClient& client, const Clock& clock, std::chrono::milliseconds kept = std::chrono::seconds(10))
      : client_(client), clock_(clock), kept_(kept) {}

  // All of `references` that exist. An absent one that is not optional is a NotFound error.
  Task<Result<ObjectSet>> load(std::string name_space, std::vector<ObjectReference> references);
  // Forgets what was kept, so that a change is seen (a volume's periodic refresh).
  void collect();

 private:
  struct Entry {
    Document object;  // empty: not found
    SteadyTime at;
  };
  Task<Result<Document>> get(ObjectKind kind, std::string name_space, std::string name);
  client::ApiClient& client_;
  const Clock& clock_;
  std::chrono::milliseconds kept_;
  std::map<std::tuple<ObjectKind, std::string, std::string>, Entry> entries_;
};

}  // namespace rusternetes::kubelet
