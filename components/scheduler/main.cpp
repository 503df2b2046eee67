// scheduler: binds Pods to nodes, as a program of its own. The flags are kube-scheduler's own where it has
// them.

#include <CLI/CLI.hpp>

#include "program/program.h"
#include "scheduler/scheduler.h"

using namespace rusternetes;

namespace {

// kube-scheduler v1.35's flags that have no counterpart here.
const std::set<std::string_view> unsupported = program::with_common_unsupported({
    "config", "pod-max-in-unschedulable-pods-duration", "write-config-to"});

class SchedulerService final : public program::Service {
 public:
  explicit SchedulerService(const program::ClientMaker& clients) : scheduler_(clients.make()) {}
  void start() override { scheduler_.start(); }
  Task<> stop() override { co_await scheduler_.stop(); }

 private:
  scheduler::Scheduler scheduler_;
};

}  // namespace

int main(int argc, char** argv) {
  program::block_signals();
  program::CommonFlags flags;
  flags.lease_name = "kube-scheduler";
  flags.secure_port = 10259;
  CLI::App app{"The scheduler: gives every Pod a node", "scheduler"};
  app.footer("Example:\n  scheduler --kubeconfig /etc/kubernetes/scheduler.conf");
  program::add_common_flags(app, flags);
  if (const auto code = program::parse(app, argc, argv, unsupported)) return *code;
  auto make = [](const program::ClientMaker& clients) { return std::make_unique<SchedulerService>(clients); };
  return program::run("scheduler", "kube-scheduler", std::move(flags), make);
}
