#include "apimachinery/errors.h"
#include "controller-manager/garbage_collector_rules.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {

constexpr Resource cluster_roles{"rbac.authorization.k8s.io", "v1", "clusterroles"},
    leases{"coordination.k8s.io", "v1", "leases"}, secrets{"", "v1", "secrets"};
constexpr const char* nobody = "00000000-0000-4000-8000-000000000000";

struct Reference {
  std::string kind = "ConfigMap", name, uid;
  bool is_blocking = false;
  std::string api_version = "v1";
};
Reference to(const Document& owner, const std::string& kind = "ConfigMap") {
  return {kind, std::string(client::name_of(owner)), std::string(client::uid_of(owner))};
}
Reference blocking(const Document& owner) {
  Reference out = to(owner);
  out.is_blocking = true;
  return out;
}
Reference dangling() { return {"ConfigMap", "nobody", nobody}; }

// ownerReferences, as a further field of metadata.
std::string owned_by(const std::vector<Reference>& owners) {
  std::string out = R"(,"ownerReferences":[)";
  for (const auto& one : owners)
    out += (out.back() == '[' ? "" : ",") + (R"({"apiVersion":")" + one.api_version) + R"(","kind":")" +
           one.kind + R"(","name":")" + one.name + R"(","uid":")" + one.uid + R"(","blockOwnerDeletion":)" +
           (one.is_blocking ? "true" : "false") + "}";
  return out + "]";
}
constexpr const char* held = R"(,"finalizers":["example.com/hold"])";

std::vector<std::string> owners_of(const Document& object) {
  std::vector<std::string> out;
  for (const auto owner : metadata_of(object).ownerReferences()) out.emplace_back(owner.name());
  return out;
}
bool is_going(const Document& object) { return object && metadata_of(object).has_deletionTimestamp(); }

class Garbage : public ControllerWorld {
 public:
  Garbage() : ControllerWorld({"garbage-collector-controller"}) { start(); }
  // Returns when everything that was to be looked at before has been: what is made after it has gone, twice.
  void settle() {
    for (int i = 0; i < 2; ++i) {
      const std::string name = "sentinel-" + std::to_string(++sentinels_);
      create_map("default", name, owned_by({dangling()}));
      REQUIRE(goes(config_maps, "default", name));
    }
  }
  // A Secret that no mirror shows, nor any made after it.
  Document create_unseen(const std::string& name) {
    on_thread([this] { script.is_held = [](const std::string& resource) { return resource == "secrets"; }; });
    return create(secrets, "default", R"({"metadata":{"name":")" + name + "\"}}");
  }

 private:
  int sentinels_ = 0;
};

}  // namespace

TEST_CASE("what belongs to something that is deleted goes after it, and what others keep stays") {
  Garbage world;
  const Document owner = world.create_map("default", "owner"), other = world.create_map("default", "other");
  world.create_map("default", "child", owned_by({to(owner)}));
  world.create_map("default", "shared", owned_by({to(owner), to(other)}));
  const Document grand = world.get(config_maps, "default", "child");
  world.create_map("default", "grandchild", owned_by({to(grand)}));
  world.remove(config_maps, "default", "owner", "Background");
  CHECK(world.goes(config_maps, "default", "child"));
  CHECK(world.goes(config_maps, "default", "grandchild"));
  CHECK(world.becomes(config_maps, "default", "shared", [](const Document& map) {
    return map && owners_of(map) == std::vector<std::string>{"other"};
  }));
}

TEST_CASE("what an owner leaves behind as orphans stays, without the reference") {
  Garbage world;
  const Document owner = world.create_map("default", "owner");
  world.create_map("default", "child", owned_by({blocking(owner)}));
  world.remove(config_maps, "default", "owner", "Orphan");
  CHECK(world.goes(config_maps, "default", "owner"));
  CHECK(world.becomes(config_maps, "default", "child",
                      [](const Document& map) { return map && owners_of(map).empty(); }));
  world.settle();
  CHECK(world.get(config_maps, "default", "child"));
}

TEST_CASE("an owner deleted in the foreground goes after the dependents that block it") {
  Garbage world;
  const Document owner = world.create_map("default", "owner");
  world.create_map("default", "child", owned_by({blocking(owner)}) + held);
  world.remove(config_maps, "default", "owner", "Foreground");
  REQUIRE(world.becomes(config_maps, "default", "child", is_going));
  world.settle();
  CHECK(is_going(world.get(config_maps, "default", "owner")));
  world.patch(config_maps, "default", "child", R"({"metadata":{"finalizers":null}})");
  CHECK(world.goes(config_maps, "default", "owner"));
  CHECK_FALSE(world.get(config_maps, "default", "child"));
}

TEST_CASE("objects that own each other in a circle can be deleted in the foreground") {
  Garbage world;
  const Document a = world.create_map("default", "a"),
                 b = world.create_map("default", "b", owned_by({blocking(a)})),
                 c = world.create_map("default", "c", owned_by({blocking(b)}));
  const Reference last = blocking(c);
  world.patch(config_maps, "default", "a", "{\"metadata\":{" + owned_by({last}).substr(1) + "}}");
  world.settle();
  world.remove(config_maps, "default", "a", "Foreground");
  CHECK(world.comes(config_maps, "default", [](const auto& all) {
    return !all.contains("a") && !all.contains("b") && !all.contains("c");
  }));
}

TEST_CASE("an owner that waits goes once a dependent that others keep has been taken off it") {
  Garbage world;
  const Document going = world.create_map("default", "going"), solid = world.create_map("default", "solid");
  world.create_map("default", "child", owned_by({blocking(going), to(solid)}));
  world.settle();
  world.remove(config_maps, "default", "going", "Foreground");
  CHECK(world.goes(config_maps, "default", "going"));
  CHECK(owners_of(world.get(config_maps, "default", "child")) == std::vector<std::string>{"solid"});
}

TEST_CASE(
    "an owner that waits goes once its last dependent does not belong to it, or does not block it, any "
    "more") {
  Garbage world;
  const bool is_unblocked = GENERATE(false, true);
  const Document owner = world.create_map("default", "owner");
  world.create_map("default", "child", owned_by({blocking(owner)}) + held);
  world.remove(config_maps, "default", "owner", "Foreground");
  REQUIRE(world.becomes(config_maps, "default", "child", is_going));
  world.settle();
  REQUIRE(is_going(world.get(config_maps, "default", "owner")));
  const std::string change = is_unblocked ? R"("blockOwnerDeletion":false,)" : R"("$patch":"delete",)";
  world.patch(config_maps, "default", "child",
              R"({"metadata":{"ownerReferences":[{)" + change + "\"uid\":\"" + to(owner).uid + "\"}]}}");
  CHECK(world.goes(config_maps, "default", "owner"));
  CHECK(world.get(config_maps, "default", "child"));
}

TEST_CASE("a cluster-scoped object that names an owner of a namespaced kind is left alone") {
  Garbage world;
  const Document map = world.create_map("default", "owner");
  world.create(cluster_roles, "", R"({"metadata":{"name":"of-none")" + owned_by({dangling()}) + "}}");
  world.create(cluster_roles, "", R"({"metadata":{"name":"of-one")" + owned_by({to(map)}) + "}}");
  CHECK(world.has_event("default", "OwnerRefInvalidNamespace",
                        "ownerRef [v1/ConfigMap, namespace: , name: owner, uid: " + to(map).uid +
                            "] does not exist in namespace \"\""));
  world.settle();
  world.remove(config_maps, "default", "owner");
  world.settle();
  CHECK(world.get(cluster_roles, "", "of-none"));
  CHECK(world.get(cluster_roles, "", "of-one"));
}

TEST_CASE("an answer that the path is not served does not say that an owner is gone") {
  Garbage world;
  int answers = 0;
  world.on_thread([&] {
    world.script.before = [&](const Call& call) -> std::optional<Status> {
      if (call.verb != "get" || call.name != "unsure" || ++answers > 3) return std::nullopt;
      return answers == 1 ? apimachinery::path_not_found()
                          : apimachinery::not_found({"", "namespaces"}, "default");
    };
  });
  world.create_map("default", "child", owned_by({{"ConfigMap", "unsure", nobody}}));
  CHECK(world.goes(config_maps, "default", "child"));  // once the server says so of the object
  world.on_thread([&] { CHECK(answers == 4); });
}

TEST_CASE("only an object's own absence is one") {
  const auto registry = apimachinery::Registry::builtin();
  const auto* kind = registry->find_kind("apps/v1", "Deployment");
  CHECK(is_absent(apimachinery::not_found({"apps", "deployments"}, "a"), *kind, "a"));
  CHECK_FALSE(is_absent(apimachinery::not_found({"apps", "deployments"}, "b"), *kind, "a"));
  CHECK_FALSE(is_absent(apimachinery::not_found({"", "deployments"}, "a"), *kind, "a"));
  CHECK_FALSE(is_absent(apimachinery::not_found({"apps", "replicasets"}, "a"), *kind, "a"));
  CHECK_FALSE(is_absent(apimachinery::path_not_found(), *kind, "a"));
  CHECK_FALSE(is_absent(Status{404, "NotFound", "no details"}, *kind, "a"));
  CHECK_FALSE(is_absent(apimachinery::forbidden({"apps", "deployments"}, "a", "no"), *kind, "a"));
}

TEST_CASE("of an object's owners only those that are gone are taken off, not one that no mirror shows") {
  Garbage world;
  const Document secret = world.create_unseen("owner");
  world.create_map("default", "child", owned_by({to(secret, "Secret"), dangling()}));
  REQUIRE(world.becomes(config_maps, "default", "child",
                        [](const Document& map) { return owners_of(map).size() < 2; }));
  CHECK(owners_of(world.get(config_maps, "default", "child")) == std::vector<std::string>{"owner"});
  world.settle();
  CHECK(world.get(config_maps, "default", "child"));
}

TEST_CASE("an object whose owner is of a kind that is not served is left alone") {
  Garbage world;
  world.create_map("default", "child",
                   owned_by({{"Widget", "w", nobody, false, "example.com/v1"}, dangling()}));
  world.settle();
  CHECK(owners_of(world.get(config_maps, "default", "child")).size() == 2);
}

TEST_CASE("an owner that one object names wrongly is still there for those that name it rightly") {
  Garbage world;
  world.create_namespace("elsewhere");
  const Document secret = world.create_unseen("owner");
  Reference wrong = to(secret, "Secret");
  wrong.name = "another";
  SECTION("under another name") { world.create_map("default", "wrong", owned_by({wrong})); }
  SECTION("in another namespace") {
    world.create_map("elsewhere", "wrong", owned_by({to(secret, "Secret")}));
  }
  CHECK(world.goes(config_maps, "default", "wrong"));
  CHECK(world.goes(config_maps, "elsewhere", "wrong"));
  world.create_map("default", "right", owned_by({to(secret, "Secret")}));
  world.settle();
  CHECK(world.get(config_maps, "default", "right"));
}

TEST_CASE("an owner in another namespace keeps nothing, and its name is not enough") {
  Garbage world;
  world.create_namespace("elsewhere");
  const Document owner = world.create_map("default", "owner");
  Reference misnamed = to(owner);
  misnamed.name = "another";
  world.create_map("elsewhere", "child", owned_by({to(owner)}));
  world.create_map("default", "misnamed", owned_by({misnamed}));
  CHECK(world.goes(config_maps, "elsewhere", "child"));
  CHECK(world.goes(config_maps, "default", "misnamed"));
  CHECK(world.has_event("elsewhere", "OwnerRefInvalidNamespace",
                        "ownerRef [v1/ConfigMap, namespace: elsewhere, name: owner, uid: " + to(owner).uid +
                            "] does not exist in namespace \"elsewhere\""));
  CHECK(world.get(config_maps, "default", "owner"));
}

TEST_CASE("an object in another namespace does not hold up the deletion of what it calls its owner") {
  Garbage world;
  world.create_namespace("elsewhere");
  const Document owner = world.create_map("default", "owner");
  world.create_map("elsewhere", "child", owned_by({blocking(owner)}) + held);
  REQUIRE(world.becomes(config_maps, "elsewhere", "child", [](const Document& map) { return bool(map); }));
  world.settle();
  world.remove(config_maps, "default", "owner", "Foreground");
  CHECK(world.goes(config_maps, "default", "owner"));
  CHECK(world.get(config_maps, "elsewhere", "child"));
}

TEST_CASE("a node's lease goes with its node") {
  Garbage world;
  if (!world.get(namespaces, "", "kube-node-lease")) world.create_namespace("kube-node-lease");
  const Document node = world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  world.create(leases, "kube-node-lease", R"({"metadata":{"name":"n")" + owned_by({to(node, "Node")}) + "}}");
  world.settle();
  REQUIRE(world.get(leases, "kube-node-lease", "n"));
  world.remove(nodes, "", "n");
  CHECK(world.goes(leases, "kube-node-lease", "n"));
}

TEST_CASE("a lease's renewal is no reason to look at its owner again") {
  Garbage world;
  const Document secret = world.create_unseen("owner");  // which is asked for each time
  world.create(leases, "default", R"({"metadata":{"name":"l")" + owned_by({to(secret, "Secret")}) + "}}");
  world.settle();
  REQUIRE(world.count_calls("get", "secrets", "owner") == 1);
  for (int i = 0; i < 3; ++i)
    world.patch(leases, "default", "l", R"({"spec":{"holderIdentity":"h)" + std::to_string(i) + "\"}}");
  world.settle();
  CHECK(world.count_calls("get", "secrets", "owner") == 1);
  world.patch(leases, "default", "l", R"({"metadata":{"finalizers":["example.com/hold"]}})");
  world.settle();
  CHECK(world.count_calls("get", "secrets", "owner") == 2);
}
