// Steps for the node: its namespace with the supervisor that pins it, the drop rules, the link, and the
// process.
#include <fmt/format.h>

#include "launcher/failure.h"
#include "launcher/ports/network_port.h"
#include "launcher/ports/process_port.h"
#include "launcher/release.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

// The process finishes requests in flight and syncs its store.
constexpr std::chrono::seconds process_grace{20};

class StartSupervisor final : public Step {
 public:
  explicit StartSupervisor(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "start-supervisor"; }
  std::string describe() const override {
    return context_->settings.has_own_node() ? "Make the node's network namespace under a supervisor"
                                             : "Start the supervisor";
  }
  Result<> apply() override {
    return context_->call("process start", [&] { return port().start_held(process_spec(*context_)); });
  }
  Result<> undo() override {
    const ProcessSpec spec = process_spec(*context_);
    RN_CHECK(context_->call("process stop", [&] { return port().stop(spec, process_grace); }));
    return context_->call("process forget", [&] { return port().forget(spec); });
  }

 private:
  ProcessPort& port() { return context_->environment.process; }
  Context context_;
};

class LoadDropRules final : public Step {
 public:
  LoadDropRules(Context context, bool is_new) : context_(std::move(context)), is_new_(is_new) {}
  std::string id() const override { return "load-drop-rules"; }
  std::string describe() const override {
    return fmt::format("Drop what is left untranslated for {}, and check the rule",
                       joined(context_->settings.service_cidrs));
  }
  Result<> apply() override {
    RN_TRY(const std::string netns, node_netns(*context_));
    const NodeNetwork network = node_network_of(context_->settings, netns);
    NetworkPort& port = context_->environment.network;
    auto loaded = context_->call("network load-drop", [&] { return port.load_drop_rules(network); });
    if (loaded) loaded = context_->call("network check-drop", [&] { return port.check_drop_rules(network); });
    if (!loaded)
      return failure("DropRuleFailed", fmt::format("the drop rule of the service range {} does not stand: {}",
                                                   joined(network.service_cidrs), loaded.error().message));
    return {};
  }
  Result<> undo() override {
    if (!is_new_) return {};
    return context_->call("network remove",
                          [&] { return context_->environment.network.remove_all(context_->settings.name); });
  }

 private:
  Context context_;
  bool is_new_;
};

NodeNetwork network_of(const StepContext& context, std::string netns) {
  return node_network_of(context.settings, netns);
}

class LinkNode final : public Step {
 public:
  explicit LinkNode(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "link-node"; }
  std::string describe() const override {
    const ClusterSettings& s = context_->settings;
    return fmt::format(
        "Connect the node {} with the host {}{}", joined(s.node_addresses), joined(s.host_addresses),
        s.published_ports.empty() ? "" : ", and publish ports " + joined(s.published_ports, ", "));
  }
  Result<> apply() override {
    RN_TRY(const std::string netns, node_netns(*context_));
    return context_->call("network link", [&] {
      return context_->environment.network.link_node(network_of(*context_, netns));
    });
  }
  Result<> undo() override {
    return context_->call("network unlink", [&] {
      return context_->environment.network.unlink_node(network_of(*context_, ""));
    });
  }

 private:
  Context context_;
};

class UnlinkNode final : public Step {
 public:
  explicit UnlinkNode(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "unlink-node"; }
  std::string describe() const override { return "Take the node's link and rules off the host"; }
  Result<> apply() override {
    return context_->call("network unlink", [&] {
      return context_->environment.network.unlink_node(network_of(*context_, ""));
    });
  }

 private:
  Context context_;
};

class ReleaseProcess final : public Step {
 public:
  explicit ReleaseProcess(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "start-process"; }
  std::string describe() const override { return "Start rusternetes"; }
  Result<> apply() override {
    return context_->call("process release",
                          [&] { return context_->environment.process.release(process_spec(*context_)); });
  }

 private:
  Context context_;
};

class StopProcess final : public Step {
 public:
  StopProcess(Context context, bool is_forgotten)
      : context_(std::move(context)), is_forgotten_(is_forgotten) {}
  std::string id() const override { return "stop-process"; }
  std::string describe() const override { return "Stop rusternetes and its supervisor"; }
  Result<> apply() override {
    ProcessPort& port = context_->environment.process;
    const ProcessSpec spec = process_spec(*context_);
    RN_CHECK(context_->call("process stop", [&] { return port.stop(spec, process_grace); }));
    if (!is_forgotten_) return {};
    return context_->call("process forget", [&] { return port.forget(spec); });
  }

 private:
  Context context_;
  bool is_forgotten_;
};

class RestartProcess final : public Step {
 public:
  explicit RestartProcess(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "restart-process"; }
  std::string describe() const override { return "End rusternetes, which its supervisor starts again"; }
  Result<> apply() override {
    // After a reboot there is nothing to be ended, and `start` goes on from here.
    RN_TRY(const ProcessStatus status, context_->environment.process.status(process_spec(*context_)));
    if (!status.is_running) return {};
    return context_->call("process restart", [&] {
      return context_->environment.process.restart(process_spec(*context_), process_grace);
    });
  }

 private:
  Context context_;
};

class RemoveNetwork final : public Step {
 public:
  explicit RemoveNetwork(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-network"; }
  std::string describe() const override { return "Remove the cluster's links, routes and rules"; }
  Result<> apply() override {
    return context_->call("network remove",
                          [&] { return context_->environment.network.remove_all(context_->settings.name); });
  }

 private:
  Context context_;
};

}  // namespace

ProcessSpec process_spec(const StepContext& context) {
  const ClusterPaths& p = context.paths;
  return {.cluster = context.settings.name,
          .home = context.home.root,
          .binary_dir = context.environment.binary_dir,
          .pid_file = p.run() / "supervisor.pid",
          .status_file = p.run() / "supervisor.json",
          .log_file = p.process_log(),
          .hold_file = p.run() / "released",
          .has_own_netns = context.settings.has_own_node(),
          .engine = context.settings.engine.is_private ? "" : context.settings.engine.kind,
          .command = process_words(context)};
}

Result<std::string> node_netns(const StepContext& context) {
  if (context.settings.has_containers() || !context.settings.has_own_node()) return std::string();
  RN_TRY(const ProcessStatus status, context.environment.process.status(process_spec(context)));
  if (!status.is_running || status.netns.empty())
    return failure("ProcessFailed", "the supervisor that holds the node's network namespace does not run");
  return status.netns;
}

StepPtr start_supervisor(Context context) { return std::make_unique<StartSupervisor>(std::move(context)); }
StepPtr load_drop_rules(Context context, bool is_new) {
  return std::make_unique<LoadDropRules>(std::move(context), is_new);
}
StepPtr link_node(Context context) { return std::make_unique<LinkNode>(std::move(context)); }
StepPtr unlink_node(Context context) { return std::make_unique<UnlinkNode>(std::move(context)); }
StepPtr release_process(Context context) { return std::make_unique<ReleaseProcess>(std::move(context)); }
StepPtr stop_process(Context context, bool is_forgotten) {
  return std::make_unique<StopProcess>(std::move(context), is_forgotten);
}
StepPtr restart_process(Context context) { return std::make_unique<RestartProcess>(std::move(context)); }
StepPtr remove_network(Context context) { return std::make_unique<RemoveNetwork>(std::move(context)); }

}  // namespace rusternetes::launcher
