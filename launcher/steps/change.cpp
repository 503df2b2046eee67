#include "launcher/steps/change.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/containers/topology.h"
#include "launcher/drain.h"
#include "launcher/failure.h"
#include "launcher/hold.h"
#include "launcher/liveness.h"
#include "launcher/release.h"
#include "launcher/steps/component_containers.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

class RememberPrevious final : public Step {
 public:
  RememberPrevious(Context context, Change change)
      : previous_(previous_of(context, *change)), wanted_(context->settings) {}
  std::string id() const override { return "remember-previous"; }
  std::string describe() const override { return "Remember what the cluster is now"; }
  Result<> apply() override { return {}; }
  Result<> undo() override {
    RN_TRY(const Liveness liveness, look_at(*previous_));
    if (!liveness.is_running) return write_down();  // the host was started anew: `start` does the rest
    if (!previous_->settings.has_containers()) {
      if (previous_->settings.has_own_node()) RN_CHECK(link_node(previous_)->apply());
      return restart_process(previous_)->apply();
    }
    RN_CHECK(write_down());
    return apply_manifest(previous_)->apply();
  }

 private:
  Result<> write_down() {
    if (!previous_->settings.has_containers())
      return write_command(process_spec(*previous_).hold_file, process_words(*previous_));
    RN_CHECK(remove_other_leaves(*previous_, wanted_, previous_->settings));
    RN_CHECK(write_component_folders(previous_)->apply());
    return write_manifest(previous_)->apply();
  }
  Context previous_;
  ClusterSettings wanted_;
};

class RecordChange final : public Step {
 public:
  RecordChange(Context context, Change change) : context_(std::move(context)), change_(std::move(change)) {}
  std::string id() const override { return "record-change"; }
  std::string describe() const override { return "Remember what the cluster becomes"; }
  Result<> apply() override { return record_settings(*context_, context_->settings); }
  Result<> undo() override { return record_settings(*context_, change_->previous); }

 private:
  Context context_;
  Change change_;
};

class DrainNode final : public Step {
 public:
  DrainNode(Context context, Change change)
      : context_(previous_of(context, *change)), change_(std::move(change)) {}
  std::string id() const override { return "drain-node"; }
  std::string describe() const override {
    return fmt::format("Move the Pods away from {}", change_->removed_node);
  }
  Result<> apply() override {
    const std::string& node = change_->removed_node;
    RN_CHECK(context_->call("api cordon", [&] { return set_schedulable(*context_, node, false); }));
    return context_->call("api evict", [&] {
      return evict_pods(*context_, node, change_->drain_timeout, [&](std::size_t left) {
        if (context_->progress != nullptr) context_->progress->detail(fmt::format("{} left", left));
      });
    });
  }
  Result<> undo() override {
    return context_->call("api uncordon",
                          [&] { return set_schedulable(*context_, change_->removed_node, true); });
  }

 private:
  Context context_;
  Change change_;
};

class RemoveNode final : public Step {
 public:
  RemoveNode(Context context, Change change)
      : context_(previous_of(context, *change)), change_(std::move(change)) {}
  std::string id() const override { return "remove-node"; }
  std::string describe() const override { return fmt::format("Remove {}", change_->removed_node); }
  // Its kubelet first, so that nobody makes containers there any more; the container that the others' network is
  // of goes last.
  Result<> apply() override {
    RN_CHECK(end({"kubelet", "kube-proxy"}));
    RN_CHECK(remove_pod_containers(*context_, change_->removed_node));
    RN_CHECK(end({"node"}));
    ClusterSettings kept = context_->settings;
    std::erase_if(kept.nodes, [&](const NodeSettings& one) { return one.name == change_->removed_node; });
    RN_CHECK(remove_other_leaves(*context_, context_->settings, kept));
    return context_->call("api delete-node", [&] { return delete_node(*context_, change_->removed_node); });
  }

 private:
  Result<> end(const std::vector<std::string>& components) {
    std::vector<std::string> keys;
    for (const Member& member : members_of(context_->settings))
      if (member.node == change_->removed_node &&
          std::find(components.begin(), components.end(), member.component) != components.end())
        keys.push_back(member.key);
    RN_TRY(const auto all, component_containers(*context_));
    return end_those(*context_, all, [&](const ComponentContainer& one) {
      return std::find(keys.begin(), keys.end(), one.key) != keys.end();
    });
  }
  Context context_;
  Change change_;
};

}  // namespace

Context with_settings(const Context& context, ClusterSettings settings) {
  auto out = std::make_shared<StepContext>(*context);
  out->settings = std::move(settings);
  return out;
}

Context previous_of(const Context& context, const ChangeTask& change) {
  auto out = std::make_shared<StepContext>(*context);
  out->settings = change.previous;
  if (!change.previous_manifest.empty()) out->settings.manifest = change.previous_manifest;
  return out;
}

Result<> record_settings(StepContext& context, const ClusterSettings& s) {
  RN_TRY(const auto known, context.state->find(s.name));
  const std::string phase = known ? known->phase : "running";
  return context.call("state record", [&] {
    return context.state->record({s.name, s.mode, s.engine.kind, phase, to_json(s), s.created_at_ms},
                                 reservations_of(s));
  });
}

std::string change_arguments(const ClusterSettings& settings, const ChangeTask& task) {
  json::object object = json::parse(to_json(settings)).get_object();
  object["change"] = json::object{{"previous", json::parse(to_json(task.previous))},
                                  {"removedNode", task.removed_node},
                                  {"drainTimeoutMs", task.drain_timeout.count()},
                                  {"gateTimeoutMs", task.gate_timeout.count()},
                                  {"previousManifest", task.previous_manifest},
                                  {"manifest", task.manifest}};
  return json::serialize(object);
}

Result<Change> change_from_arguments(std::string_view arguments) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(arguments.data(), arguments.size()), error);
  const json::value* found = error ? nullptr : value.find_pointer("/change", error);
  const json::value* previous = error || found == nullptr ? nullptr : found->find_pointer("/previous", error);
  if (previous == nullptr) return failure("StateDamaged", "the journal's record of a change does not parse");
  auto task = std::make_shared<ChangeTask>();
  RN_TRY(task->previous, settings_from_json(json::serialize(*previous)));
  const json::object& fields = found->as_object();
  task->removed_node = std::string(fields.at("removedNode").as_string());
  task->drain_timeout = std::chrono::milliseconds(fields.at("drainTimeoutMs").as_int64());
  if (const auto* gate = fields.if_contains("gateTimeoutMs"))
    task->gate_timeout = std::chrono::milliseconds(gate->as_int64());
  if (const auto* manifest = fields.if_contains("previousManifest"))
    task->previous_manifest = std::string(manifest->as_string());
  if (const auto* manifest = fields.if_contains("manifest")) task->manifest = std::string(manifest->as_string());
  return task;
}

StepPtr remember_previous(Context context, Change change) {
  return std::make_unique<RememberPrevious>(std::move(context), std::move(change));
}
StepPtr record_change(Context context, Change change) {
  return std::make_unique<RecordChange>(std::move(context), std::move(change));
}
StepPtr drain_node(Context context, Change change) {
  return std::make_unique<DrainNode>(std::move(context), std::move(change));
}
StepPtr remove_node(Context context, Change change) {
  return std::make_unique<RemoveNode>(std::move(context), std::move(change));
}

}  // namespace rusternetes::launcher
