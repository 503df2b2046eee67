// What belongs to something that is gone, goes too; what belongs to something that waits for its dependents,
// goes first (pkg/controller/garbagecollector). The graph is the mirrors of every kind that can be deleted.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <unordered_map>

#include "client/event_recorder.h"
#include "client/object_builder.h"
#include "controller-manager/garbage_collector_rules.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using meta_v1::OwnerReference;

namespace {

// An owner that no mirror shows is looked at again after this: nobody tells when it goes.
constexpr auto unwatched_period = std::chrono::seconds(1000);

// Kinds that change all the time, whose objects live for an hour. (Leases change often too, but a node's
// belongs to its Node.)
bool is_ignored(const Kind& kind) { return kind.resource == "events"; }

struct Node {
  const Kind* kind = nullptr;
  Document object;
};

// How an owner stands that a reference names.
enum class Standing {
  solid,         // there, and not waiting for its dependents to go
  waiting,       // being deleted in the foreground
  dangling,      // the API does not know it
  invalid,       // named by an object that cannot have such an owner; no retry mends that
  unknown_kind,  // of a kind that is not served, which may be served later
};
struct Owner {
  Standing standing = Standing::solid;
  bool is_watched = true;  // a mirror shows it
};

Resource resource_of(const Node& node) {
  return {node.kind->group_version.group, node.kind->group_version.version, node.kind->resource};
}

// Whether a call about the object failed because there is no such object any more.
bool has_gone(const Node& node, const Status& error) {
  return is_absent(error, *node.kind, client::name_of(node.object));
}

Standing standing_of(const Document& owner) {
  return waits_for_dependents(owner) ? Standing::waiting : Standing::solid;
}

class GarbageCollector final : public Controller, public client::Reconciler {
 public:
  explicit GarbageCollector(Context& context)
      : client_(context.make_client("generic-garbage-collector")),
        registry_(client_->registry()),
        recorder_(*client_, "garbage-collector-controller", {}, *context.options.clock),
        loop_("garbage-collector", client_->executor(), *this, 10) {
    std::set<std::string> seen;  // one mirror for kinds that are stored once
    for (const Kind* kind : registry_->resources()) {
      if (!kind->is_stored() || !(kind->verbs & verb_delete) || is_ignored(*kind)) continue;
      if (!seen.insert(std::string(kind->storage_prefix)).second) continue;
      client::Informer& informer =
          context.informer({kind->group_version.group, kind->group_version.version, kind->resource});
      informer.add_handler(
          {[this, kind](const Document& before, const Document& now) { on_change(*kind, before, now); }});
    }
  }
  void start(TaskGroup& tasks) override {
    recorder_.start(tasks);
    loop_.start(tasks);
  }

  // The key is a uid. Called for objects with owners, and for objects that are being deleted.
  Task<Result<client::ReconcileResult>> reconcile(std::string uid) override {
    const auto found = nodes_.find(uid);
    if (found == nodes_.end()) co_return client::ReconcileResult{};
    const Node node = found->second;
    const auto metadata = metadata_of(node.object);
    if (metadata.has_deletionTimestamp()) co_return co_await settle_deleted(node);
    if (metadata.ownerReferences().empty()) co_return client::ReconcileResult{};
    bool is_waited_for = false;
    std::vector<std::string> solid, let_go;  // let go of: owners that are gone or going
    client::ReconcileResult result;
    for (const auto reference : metadata.ownerReferences()) {
      auto owner = co_await find_owner(node, reference);
      if (!owner) co_return owner.error();
      if (owner->standing == Standing::invalid) co_return client::ReconcileResult{};
      if (owner->standing == Standing::unknown_kind) co_return client::ReconcileResult{unwatched_period};
      is_waited_for |= owner->standing == Standing::waiting;
      (owner->standing == Standing::solid ? solid : let_go).emplace_back(reference.uid());
      if (owner->standing != Standing::dangling && !owner->is_watched)
        result.requeue_after = unwatched_period;
    }
    if (solid.empty()) co_return co_await collect(node, is_waited_for);
    // One that is named twice, once wrongly, is kept: references are taken off by uid.
    std::erase_if(let_go, [&](const std::string& uid) {
      return std::find(solid.begin(), solid.end(), uid) != solid.end();
    });
    if (let_go.empty()) co_return result;
    auto dropped = co_await drop_references(node, std::move(let_go));
    if (!dropped) co_return dropped.error();
    co_return result;
  }

 private:
  bool has_dependents(const std::string& uid) const {
    const auto it = dependents_.find(uid);
    return it != dependents_.end() && !it->second.empty();
  }
  bool is_being_deleted(const std::string& uid) const {
    const auto it = nodes_.find(uid);
    return it != nodes_.end() && metadata_of(it->second.object).has_deletionTimestamp();
  }
  void queue_dependents(const std::string& uid) {
    if (const auto it = dependents_.find(uid); it != dependents_.end())
      for (const auto& dependent : it->second) loop_.queue().add(dependent);
  }

  void on_change(const Kind& kind, const Document& before, const Document& now) {
    const std::string uid(client::uid_of(now ? now : before));
    if (now) nodes_[uid] = {&kind, now};
    if (before && now && is_same_in_graph(before, now)) return;
    if (before) unlink(uid, before, now);
    if (!now) {
      nodes_.erase(uid);
      return queue_dependents(uid);
    }
    const auto metadata = metadata_of(now);
    for (const auto owner : metadata.ownerReferences()) {
      dependents_[std::string(owner.uid())].insert(uid);
      if (!before || !has_reference(before, owner)) warn_of_namespace(uid, owner);
    }
    if (!before) on_first_seen(uid);
    if (!metadata.ownerReferences().empty() || metadata.has_deletionTimestamp()) loop_.queue().add(uid);
    if (metadata.has_deletionTimestamp()) queue_dependents(uid);
  }

  // Takes the object off its owners' dependents. Those that wait for it look again: it has gone, or belongs
  // to others now, or does not block them any more.
  void unlink(const std::string& uid, const Document& before, const Document& now) {
    for (const auto owner : metadata_of(before).ownerReferences()) {
      const std::string owner_uid(owner.uid());
      if (const auto it = dependents_.find(owner_uid); it != dependents_.end()) {
        it->second.erase(uid);
        if (it->second.empty()) dependents_.erase(it);
      }
      if (is_being_deleted(owner_uid) && !(now && blocks(now, owner_uid))) loop_.queue().add(owner_uid);
    }
  }

  void on_first_seen(const std::string& uid) {
    for (auto it = absent_.lower_bound(uid); it != absent_.end() && it->starts_with(uid);)
      it = absent_.erase(it);
    const auto dependents = dependents_.find(uid);
    if (dependents == dependents_.end()) return;
    for (const auto& dependent : dependents->second) {
      const auto it = nodes_.find(dependent);
      if (it == nodes_.end()) continue;
      for (const auto owner : metadata_of(it->second.object).ownerReferences())
        if (owner.uid() == uid) warn_of_namespace(dependent, owner);
    }
  }

  // An owner of another namespace is none: whoever wrote the reference is told so.
  void warn_of_namespace(const std::string& uid, const OwnerReference& owner) {
    const auto child = nodes_.find(uid), parent = nodes_.find(std::string(owner.uid()));
    if (child == nodes_.end() || parent == nodes_.end() || !parent->second.kind->is_namespaced) return;
    const auto name_space = client::namespace_of(child->second.object);
    if (name_space == client::namespace_of(parent->second.object)) return;
    const Kind& kind = *child->second.kind;
    recorder_.warning(
        child->second.object, kind.group_version.text(), kind.kind, "OwnerRefInvalidNamespace",
        fmt::format("ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace \"{}\"",
                    owner.apiVersion(), owner.kind(), name_space, owner.name(), owner.uid(), name_space));
  }

  // The mirrors know most owners; what they do not know is asked of the API once, since they may be behind.
  Task<Result<Owner>> find_owner(Node node, OwnerReference reference) {
    const auto registry = client_->registry();
    const Kind* kind = registry->find_kind(reference.apiVersion(), reference.kind());
    if (!kind || kind->resource.empty() || !(kind->verbs & verb_get)) co_return Owner{Standing::unknown_kind};
    const std::string name(reference.name());
    const std::string name_space(kind->is_namespaced ? client::namespace_of(node.object) : "");
    if (kind->is_namespaced && name_space.empty()) co_return Owner{Standing::invalid};
    const auto it = nodes_.find(std::string(reference.uid()));
    if (it != nodes_.end() && is_at(*it->second.kind, it->second.object, *kind, name_space, name))
      co_return Owner{standing_of(it->second.object)};
    const std::string key = reference_key(reference, name_space);
    if (absent_.contains(key)) co_return Owner{Standing::dangling};
    const Resource resource{kind->group_version.group, kind->group_version.version, kind->resource};
    auto found = co_await client_->get(resource, name_space, name);
    if (!found && !is_absent(found.error(), *kind, name)) {
      if (!found.error().is("NotFound")) co_return found.error();
      co_return internal_error(fmt::format("whether {} {} exists cannot be told: {}", reference.kind(), name,
                                           found.error().message));
    }
    if (found && client::uid_of(*found) == reference.uid()) co_return Owner{standing_of(*found), false};
    if (absent_.size() > 10'000) absent_.clear();
    absent_.insert(key);
    co_return Owner{Standing::dangling};
  }

  // Nobody keeps the object.
  Task<Result<client::ReconcileResult>> collect(Node node, bool is_waited_for) {
    const auto metadata = metadata_of(node.object);
    const std::string uid(metadata.uid());
    client::RemoveOptions options;
    options.uid = uid;
    options.resource_version = metadata.resourceVersion();
    options.propagation_policy = "Background";
    if (is_waited_for && has_dependents(uid)) {
      options.propagation_policy = "Foreground";
      if (is_in_cycle(uid)) {
        auto version = co_await unblock_owners(node);
        if (!version) co_return version.error();
        options.resource_version = *version;
      }
    } else if (has_finalizer(node.object, orphan_finalizer)) {
      options.propagation_policy = "Orphan";
    } else if (has_finalizer(node.object, foreground_finalizer)) {
      options.propagation_policy = "Foreground";
    }
    auto removed = co_await client_->remove(resource_of(node), std::string(metadata.namespace_()),
                                            std::string(metadata.name()), options);
    if (!removed && !has_gone(node, removed.error())) co_return removed.error();
    co_return client::ReconcileResult{};
  }

  // Whether a dependent waits for its own dependents, of which this object may be one by way of others.
  bool is_in_cycle(const std::string& uid) const {
    const auto it = dependents_.find(uid);
    if (it == dependents_.end()) return false;
    return std::any_of(it->second.begin(), it->second.end(), [this](const std::string& dependent) {
      const auto child = nodes_.find(dependent);
      return child != nodes_.end() && waits_for_dependents(child->second.object);
    });
  }

  // The object stays its owners' dependent but holds none of them up. Its resourceVersion afterwards.
  Task<Result<std::string>> unblock_owners(Node node) {
    std::string changes;
    for (const auto owner : metadata_of(node.object).ownerReferences())
      if (owner.blockOwnerDeletion())
        changes += fmt::format(R"({}{{"uid":"{}","blockOwnerDeletion":false}})", changes.empty() ? "" : ",",
                               owner.uid());
    if (changes.empty()) co_return std::string(metadata_of(node.object).resourceVersion());
    auto patched = co_await patch_references(node, changes);
    if (!patched) co_return patched.error();
    co_return std::string(metadata_of(*patched).resourceVersion());
  }

  // Others keep the object.
  Task<Result<void>> drop_references(Node node, std::vector<std::string> owners) {
    std::string changes;
    for (const auto& owner : owners)
      changes += fmt::format(R"({}{{"$patch":"delete","uid":"{}"}})", changes.empty() ? "" : ",", owner);
    auto patched = co_await patch_references(node, changes);
    if (!patched && !has_gone(node, patched.error())) co_return patched.error();
    co_return Result<void>{};
  }

  // `changes`: elements of a strategic patch's list. Refused with Conflict if the name is another object's by
  // now.
  Task<Result<Document>> patch_references(Node node, std::string changes) {
    const auto metadata = metadata_of(node.object);
    const std::string body =
        fmt::format(R"({{"metadata":{{"uid":"{}","ownerReferences":[{}]}}}})", metadata.uid(), changes);
    co_return co_await client_->patch(resource_of(node), std::string(metadata.namespace_()),
                                      std::string(metadata.name()), "", client::PatchType::strategic, body,
                                      {});
  }

  // An object that waits: `orphan` until its dependents have been let go, `foregroundDeletion` until they are
  // gone.
  Task<Result<client::ReconcileResult>> settle_deleted(Node node) {
    const std::string uid(client::uid_of(node.object));
    std::string_view finished;
    if (has_finalizer(node.object, orphan_finalizer)) {
      auto released = co_await release_dependents(uid);
      if (!released) co_return released.error();
      finished = orphan_finalizer;
    } else if (has_finalizer(node.object, foreground_finalizer)) {
      // Its dependents were queued when this began; whatever unblocks it queues it.
      if (is_blocked(node)) co_return client::ReconcileResult{};
      finished = foreground_finalizer;
    }
    if (finished.empty()) co_return client::ReconcileResult{};
    const Document changed = without_finalizer(node.object, finished);
    auto updated = co_await client_->update(resource_of(node), std::string(client::namespace_of(node.object)),
                                            std::string(client::name_of(node.object)), "", changed, {});
    if (!updated && !has_gone(node, updated.error())) co_return updated.error();
    co_return client::ReconcileResult{};
  }

  Task<Result<void>> release_dependents(std::string uid) {
    std::set<std::string> dependents;
    if (const auto it = dependents_.find(uid); it != dependents_.end()) dependents = it->second;
    for (const auto& dependent : dependents) {
      const auto it = nodes_.find(dependent);
      if (it == nodes_.end()) continue;
      const Node child = it->second;
      std::vector<std::string> owners{uid};
      auto dropped = co_await drop_references(child, std::move(owners));
      if (!dropped) co_return dropped.error();
    }
    co_return Result<void>{};
  }

  // Whether a dependent that says so is still there. One that names the object wrongly is not its dependent.
  bool is_blocked(const Node& node) const {
    const auto it = dependents_.find(std::string(client::uid_of(node.object)));
    if (it == dependents_.end()) return false;
    return std::any_of(it->second.begin(), it->second.end(), [&](const std::string& dependent) {
      if (dependent == it->first) return false;
      const auto child = nodes_.find(dependent);
      return child != nodes_.end() && holds_up(child->second.object, node);
    });
  }
  bool holds_up(const Document& child, const Node& owner) const {
    const auto registry = client_->registry();
    for (const auto reference : metadata_of(child).ownerReferences()) {
      if (reference.uid() != client::uid_of(owner.object) || !reference.blockOwnerDeletion()) continue;
      const Kind* kind = registry->find_kind(reference.apiVersion(), reference.kind());
      if (!kind) kind = owner.kind;  // of a version that is not served
      if (is_at(*owner.kind, owner.object, *kind, client::namespace_of(child), reference.name())) return true;
    }
    return false;
  }

  std::unique_ptr<client::ApiClient> client_;
  std::shared_ptr<const Registry> registry_;  // owns the kinds of the nodes
  client::EventRecorder recorder_;
  client::ControllerLoop loop_;
  std::unordered_map<std::string, Node> nodes_;                        // by uid
  std::unordered_map<std::string, std::set<std::string>> dependents_;  // owner's uid → uids
  std::set<std::string> absent_;  // reference_key() of what the API does not know
};

}  // namespace

std::unique_ptr<Controller> make_garbage_collector(Context& context) {
  return std::make_unique<GarbageCollector>(context);
}

}  // namespace rusternetes::controller_manager
