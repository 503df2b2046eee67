// What belongs to something that is gone, goes too; what belongs to something that waits for its dependents, goes first
// (pkg/controller/garbagecollector). The graph is the mirrors of every kind that can be deleted.

#include <fmt/format.h>

#include <map>
#include <set>
#include <unordered_map>

#include "base/log.h"
#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;

namespace {

constexpr std::string_view orphan = "orphan", foreground = "foregroundDeletion";

// Kinds that change all the time and own nothing.
bool is_ignored(const Kind& kind) { return kind.resource == "events" || kind.resource == "leases"; }

struct Node {
  const Kind* kind = nullptr;
  Document object;
};

class GarbageCollector final : public Controller, public client::Reconciler {
 public:
  explicit GarbageCollector(Context& context)
      : client_(context.make_client("generic-garbage-collector")), loop_("garbage-collector", client_->executor(), *this, 10) {
    const auto registry = client_->registry();
    std::set<std::string> seen;  // one mirror for kinds that are stored once
    for (const Kind* kind : registry->resources()) {
      if (!kind->is_stored() || !(kind->verbs & verb_delete) || is_ignored(*kind)) continue;
      if (!seen.insert(std::string(kind->storage_prefix)).second) continue;
      client::Informer& informer = context.informer({kind->group_version.group, kind->group_version.version, kind->resource});
      informer.add_handler({[this, kind](const Document& before, const Document& now) { on_change(*kind, before, now); }});
    }
  }
  void start(TaskGroup& tasks) override { loop_.start(tasks); }

  // The key is a uid. Called for objects with owners, and for owners that are being deleted.
  Task<Result<client::ReconcileResult>> reconcile(std::string uid) override {
    const auto found = nodes_.find(uid);
    if (found == nodes_.end()) co_return client::ReconcileResult{};
    const Node node = found->second;
    const auto metadata = metadata_of(node.object);
    if (metadata.has_deletionTimestamp()) co_return co_await settle_deleted(node);
    if (metadata.ownerReferences().empty()) co_return client::ReconcileResult{};
    std::size_t solid = 0, dangling = 0, waiting = 0;
    for (const auto owner : metadata.ownerReferences()) {
      auto there = co_await exists(node, owner);
      if (!there) co_return there.error();
      if (!*there) {
        ++dangling;
        continue;
      }
      const auto it = nodes_.find(std::string(owner.uid()));
      const bool waits = it != nodes_.end() && metadata_of(it->second.object).has_deletionTimestamp() && has_finalizer(it->second.object, foreground);
      waits ? ++waiting : ++solid;
    }
    if (solid > 0 && dangling + waiting == 0) co_return client::ReconcileResult{};
    if (solid > 0) co_return co_await drop_references(node, dangling + waiting);
    client::RemoveOptions options;
    options.uid = uid;
    options.resource_version = metadata.resourceVersion();
    options.propagation_policy = waiting > 0 && has_dependents(uid) ? "Foreground" : has_finalizer(node.object, orphan) ? "Orphan" : "Background";
    auto removed = co_await client_->remove(resource_of(node), std::string(metadata.namespace_()), std::string(metadata.name()), options);
    if (!removed && !removed.error().is("NotFound")) co_return removed.error();
    co_return client::ReconcileResult{};
  }

 private:
  static Resource resource_of(const Node& node) {
    return {node.kind->group_version.group, node.kind->group_version.version, node.kind->resource};
  }
  static bool has_finalizer(const Document& object, std::string_view name) {
    for (const auto finalizer : metadata_of(object).finalizers())
      if (finalizer == name) return true;
    return false;
  }
  bool has_dependents(const std::string& uid) const {
    const auto it = dependents_.find(uid);
    return it != dependents_.end() && !it->second.empty();
  }

  void on_change(const Kind& kind, const Document& before, const Document& now) {
    const std::string uid(client::uid_of(now ? now : before));
    if (before)
      for (const auto owner : metadata_of(before).ownerReferences()) {
        auto it = dependents_.find(std::string(owner.uid()));
        if (it == dependents_.end()) continue;
        it->second.erase(uid);
        if (it->second.empty()) dependents_.erase(it);
      }
    if (!now) {
      nodes_.erase(uid);
      absent_.erase(uid);
      if (const auto it = dependents_.find(uid); it != dependents_.end())
        for (const auto& dependent : it->second) loop_.queue().add(dependent);
      for (const auto owner : metadata_of(before).ownerReferences()) loop_.queue().add(std::string(owner.uid()));
      return;
    }
    nodes_[uid] = {&kind, now};
    absent_.erase(uid);
    for (const auto owner : metadata_of(now).ownerReferences()) dependents_[std::string(owner.uid())].insert(uid);
    if (!metadata_of(now).ownerReferences().empty() || metadata_of(now).has_deletionTimestamp()) loop_.queue().add(uid);
    if (metadata_of(now).has_deletionTimestamp())
      if (const auto it = dependents_.find(uid); it != dependents_.end())
        for (const auto& dependent : it->second) loop_.queue().add(dependent);
  }

  // The mirror knows most owners; what it does not know is asked of the API once, since the mirror may be behind.
  Task<Result<bool>> exists(Node node, meta_v1::OwnerReference owner) {
    const std::string uid(owner.uid());
    if (nodes_.contains(uid)) co_return true;
    if (absent_.contains(uid)) co_return false;
    const Kind* kind = client_->registry()->find_kind(owner.apiVersion(), owner.kind());
    if (!kind || kind->resource.empty()) co_return true;  // of a kind we do not know: leave it alone
    const std::string name_space = kind->is_namespaced ? std::string(client::namespace_of(node.object)) : "";
    auto found = co_await client_->get({kind->group_version.group, kind->group_version.version, kind->resource}, name_space, std::string(owner.name()));
    if (!found && !found.error().is("NotFound")) co_return found.error();
    if (found && client::uid_of(*found) == uid) co_return true;
    if (absent_.size() > 10'000) absent_.clear();
    absent_.insert(uid);
    co_return false;
  }

  // Owners that are gone or going are taken off; others keep the object.
  Task<Result<client::ReconcileResult>> drop_references(Node node, std::size_t) {
    const auto metadata = metadata_of(node.object);
    std::string deletions;
    for (const auto owner : metadata.ownerReferences()) {
      const auto it = nodes_.find(std::string(owner.uid()));
      const bool stays = it != nodes_.end() && !(metadata_of(it->second.object).has_deletionTimestamp() && has_finalizer(it->second.object, foreground));
      if (!stays) deletions += fmt::format(R"({}{{"$patch":"delete","uid":"{}"}})", deletions.empty() ? "" : ",", owner.uid());
    }
    if (deletions.empty()) co_return client::ReconcileResult{};
    const std::string body = fmt::format(R"({{"metadata":{{"uid":"{}","ownerReferences":[{}]}}}})", metadata.uid(), deletions);
    auto patched = co_await client_->patch(resource_of(node), std::string(metadata.namespace_()), std::string(metadata.name()), "", client::PatchType::strategic, body, {});
    if (!patched && !patched.error().is("NotFound")) co_return patched.error();
    co_return client::ReconcileResult{};
  }

  // An object that waits: `orphan` until its dependents have been let go, `foregroundDeletion` until they are gone.
  Task<Result<client::ReconcileResult>> settle_deleted(Node node) {
    const auto metadata = metadata_of(node.object);
    const std::string uid(metadata.uid());
    std::string finished;
    if (has_finalizer(node.object, orphan)) {
      std::set<std::string> dependents;
      if (const auto it = dependents_.find(uid); it != dependents_.end()) dependents = it->second;
      for (const auto& dependent : dependents) {
        const auto it = nodes_.find(dependent);
        if (it == nodes_.end()) continue;
        const Node child = it->second;
        const std::string body = fmt::format(R"({{"metadata":{{"uid":"{}","ownerReferences":[{{"$patch":"delete","uid":"{}"}}]}}}})", dependent, uid);
        auto patched = co_await client_->patch(resource_of(child), std::string(client::namespace_of(child.object)), std::string(client::name_of(child.object)), "",
                                               client::PatchType::strategic, body, {});
        if (!patched && !patched.error().is("NotFound")) co_return patched.error();
      }
      finished = orphan;
    } else if (has_finalizer(node.object, foreground)) {
      bool is_blocked = false;
      if (const auto it = dependents_.find(uid); it != dependents_.end())
        for (const auto& dependent : it->second) {
          const auto child = nodes_.find(dependent);
          if (child == nodes_.end()) continue;
          for (const auto owner : metadata_of(child->second.object).ownerReferences())
            is_blocked |= owner.uid() == uid && owner.blockOwnerDeletion();
          loop_.queue().add(dependent);
        }
      if (is_blocked) co_return client::ReconcileResult{};
      finished = foreground;
    }
    if (finished.empty()) co_return client::ReconcileResult{};
    client::ObjectBuilder builder(node.object);
    Value& meta = ensure(builder.arena(), builder.root(), 2);
    Value kept = Value::empty(ValueKind::list);
    for (const auto finalizer : metadata.finalizers())
      if (finalizer != finished) append_string(builder.arena(), kept, finalizer);
    if (kept.size) assign(set_field(builder.arena(), meta, meta_v1::ObjectMeta::f_finalizers), kept);
    else erase_field(meta, meta_v1::ObjectMeta::f_finalizers);
    auto updated = co_await client_->update(resource_of(node), std::string(metadata.namespace_()), std::string(metadata.name()), "", builder.freeze(), {});
    if (!updated && !updated.error().is("NotFound")) co_return updated.error();
    co_return client::ReconcileResult{};
  }

  std::unique_ptr<client::ApiClient> client_;
  client::ControllerLoop loop_;
  std::unordered_map<std::string, Node> nodes_;                       // by uid
  std::unordered_map<std::string, std::set<std::string>> dependents_; // owner's uid → uids
  std::set<std::string> absent_;                                      // owners that the API does not know
};

}  // namespace

std::unique_ptr<Controller> make_garbage_collector(Context& context) { return std::make_unique<GarbageCollector>(context); }

}  // namespace rusternetes::controller_manager
