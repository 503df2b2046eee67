#pragma once
// A controller world for workloads: the clock is one that only the test turns, and what is waited for is
// watched.

#include "apimachinery/api/apps_v1.h"
#include "base/clock.h"
#include "controller_world.h"

namespace rusternetes::controller_manager::testing {

using apimachinery::apps_v1::Deployment;
using apimachinery::apps_v1::ReplicaSet;
using apimachinery::core_v1::Pod;

inline constexpr Resource deployments{"apps", "v1", "deployments"}, replica_sets{"apps", "v1", "replicasets"},
    pods{"", "v1", "pods"};

inline Document made(const apimachinery::Type& type, const std::string& json) {
  return client::ObjectBuilder::from_json(type, json);
}
inline std::string name_of(const Document& object) { return std::string(client::name_of(object)); }
inline bool is_owned_by(const Document& object, const Document& owner) {
  return controller_of(metadata_of(object)).uid() == client::uid_of(owner);
}

struct WorldClock {
  ManualClock clock;  // lives longer than the controllers
};

class WorkloadWorld : public WorldClock, public ControllerWorld {
 public:
  explicit WorkloadWorld(std::vector<std::string> controllers)
      : ControllerWorld(std::move(controllers), timed_by(clock)) {
    create(accounts, "default", R"({"metadata":{"name":"default"}})");  // Pods ask for it
    start();
  }
  Document add(Resource resource, const Document& object) {
    auto stored = wait(admin().create(resource, "default", "", "", object, {}));
    REQUIRE(stored);
    return *stored;
  }
  void edit(Resource resource, const std::string& name, const std::string& body,
            const std::string& subresource = "") {
    patch(resource, "default", name, body, subresource);
  }
  // The first version that is as wanted, of what is there or is yet to come; with `since`, of what was
  // written after it.
  Document await(Resource resource, std::function<bool(const Document&)> is_wanted,
                 const Document& since = {}) {
    client::WatchOptions options;
    options.timeout_s = 20;
    if (since) options.resource_version = metadata_of(since).resourceVersion();
    Document found = wait(watch_for(admin(), resource, std::move(options), std::move(is_wanted)));
    REQUIRE(found);
    return found;
  }

 private:
  static ManagerOptions timed_by(const Clock& clock) {
    ManagerOptions options;
    options.clock = &clock;
    return options;
  }
  static Task<Document> watch_for(ApiClient& client, Resource resource, client::WatchOptions options,
                                  std::function<bool(const Document&)> is_wanted) {
    auto stream = co_await client.watch(resource, "default", std::move(options));
    if (!stream) co_return Document{};
    for (;;) {
      auto event = co_await (*stream)->next();
      if (!event || !*event) co_return Document{};
      using Type = client::WatchEvent::Type;
      const client::WatchEvent& seen = **event;
      if (seen.type != Type::added && seen.type != Type::modified) continue;
      if (is_wanted(seen.object)) co_return seen.object;
    }
  }
};

}  // namespace rusternetes::controller_manager::testing
