// node add, node remove, port add, port remove: a running cluster becomes another one.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/duration.h"
#include "launcher/addresses.h"
#include "launcher/containers/topology.h"
#include "launcher/drain.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/release.h"
#include "launcher/report.h"
#include "launcher/running.h"

namespace rusternetes::launcher {
namespace {

// The new manifest is one of this release.
Result<OpenedCluster> open_changeable(Invocation& invocation) {
  RN_TRY(OpenedCluster opened, open_running(invocation));
  RN_CHECK(check_this_release(*opened.context(),
                              fmt::format("{} {}", invocation.command.word, invocation.command.subword)));
  return opened;
}

// Runs the change to `wanted` and says `done`.
Result<> change(Invocation& invocation, OpenedCluster& opened, const ClusterSettings& wanted, ChangeTask task,
                const std::string& done) {
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  task.previous = opened.settings;
  RN_TRY(task.previous_manifest, kept_manifest(*opened.context()));
  if (wanted.has_containers()) {
    RN_TRY(task.manifest, manifest_text(*opened.session->context(wanted)));
  }
  const auto shared = std::make_shared<ChangeTask>(std::move(task));
  const Context context = opened.session->context(wanted);
  if (opened.is_dry) {
    print_plan(invocation, change_plan(context, shared), wanted);
    return {};
  }
  RN_CHECK(opened.session->run(change_plan(context, shared), change_arguments(wanted, *shared)));
  if (wait.count() > 0) RN_CHECK(wait_with_progress(*opened.session, *context, wait));
  invocation.print(done + "\n", boost::json::serialize(boost::json::object{{"cluster", describe_json(wanted)},
                                                                           {"ready", wait.count() > 0}}) +
                                    "\n");
  return {};
}

Status no_nodes(const ClusterSettings& settings) {
  return failure("NotSupported",
                 fmt::format("cluster \"{}\" is all-in-one: it is its node. `create --mode sqlite` makes one with "
                             "several",
                             settings.name));
}

Result<> run_node_add(Invocation& invocation) {
  RN_TRY(OpenedCluster opened, open_changeable(invocation));
  if (!opened.settings.has_containers()) return no_nodes(opened.settings);
  int count = 1;
  if (const std::string text = invocation.text("--count"); !text.empty()) {
    const auto number = parse_port(text);  // 1 to 65535
    if (!number) return failure("BadRequest", fmt::format("--count \"{}\" is not a number of nodes", text));
    count = *number;
  }
  ClusterSettings wanted = opened.settings;
  if (wanted.nodes.size() + static_cast<std::size_t>(count) > most_nodes())
    return failure("PoolExhausted", fmt::format("the cluster's network has addresses for {} nodes", most_nodes()));
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    wanted.nodes.push_back(next_node(wanted));
    names.push_back(wanted.nodes.back().name);
  }
  const std::string done = fmt::format("Cluster \"{}\" has {} more: {}.", wanted.name,
                                       count == 1 ? "one node" : fmt::format("{} nodes", count),
                                       joined(names, ", "));
  return change(invocation, opened, wanted, {}, done);
}

Result<> run_node_remove(Invocation& invocation) {
  const std::string node = invocation.text("--node");
  if (node.empty()) return failure("Usage", "node remove needs --node NAME");
  const auto timeout = parse_duration(invocation.text("--timeout", "5m"));
  if (!timeout) return failure("BadRequest", "--timeout " + timeout.error().message);
  RN_TRY(OpenedCluster opened, open_changeable(invocation));
  if (!opened.settings.has_containers()) return no_nodes(opened.settings);
  ClusterSettings wanted = opened.settings;
  const auto found = std::find_if(wanted.nodes.begin(), wanted.nodes.end(),
                                  [&](const NodeSettings& one) { return one.name == node; });
  if (found == wanted.nodes.end())
    return failure("NotFound", fmt::format("cluster \"{}\" has no node \"{}\"; there is {}", wanted.name, node,
                                           joined(node_names(wanted), ", ")));
  if (wanted.nodes.size() == 1)
    return failure("BadRequest", fmt::format("{} is the only node of cluster \"{}\"", node, wanted.name));
  wanted.nodes.erase(found);
  ChangeTask task;
  task.removed_node = node;
  task.drain_timeout = *timeout;
  if (!opened.is_dry && !invocation.has("--force")) {
    RN_TRY(const auto bare, bare_pods(*opened.context(), node));
    if (!bare.empty())
      return failure("BarePods",
                     fmt::format("nothing would make {} again, which {} on {}", joined(bare, ", "),
                                 bare.size() == 1 ? "is" : "are", node));
  }
  if (!opened.is_dry)
    RN_CHECK(confirm(invocation, fmt::format("Move the Pods away from {} and remove it?", node)));
  return change(invocation, opened, wanted, std::move(task),
                fmt::format("{} has gone from cluster \"{}\".", node, opened.settings.name));
}

Result<std::vector<std::string>> publish_flags(const Invocation& invocation, const char* word) {
  const auto found = invocation.flags.find("--publish");
  if (found == invocation.flags.end())
    return failure("Usage", fmt::format("port {} needs --publish HOST:NODEPORT", word));
  return found->second;
}

// Ports of an all-in-one cluster are its process's, which is started anew; Pods run on.
std::string ports_done(const ClusterSettings& settings) {
  return fmt::format("Cluster \"{}\" publishes {}.", settings.name,
                     settings.published_ports.empty() ? "no ports" : joined(settings.published_ports, ", "));
}

Result<> run_port_add(Invocation& invocation) {
  RN_TRY(const auto texts, publish_flags(invocation, "add"));
  RN_TRY(OpenedCluster opened, open_changeable(invocation));
  ClusterSettings wanted = opened.settings;
  RN_CHECK(add_published_ports(*opened.session, texts, wanted));
  return change(invocation, opened, wanted, {}, ports_done(wanted));
}

Result<> run_port_remove(Invocation& invocation) {
  RN_TRY(const auto texts, publish_flags(invocation, "remove"));
  RN_TRY(OpenedCluster opened, open_changeable(invocation));
  ClusterSettings wanted = opened.settings;
  for (const std::string& text : texts) {
    RN_TRY(const PublishedPort port, parse_published_port(text));
    if (std::erase(wanted.published_ports, fmt::format("{}:{}", port.host, port.node)) == 0)
      return failure("NotFound", fmt::format("cluster \"{}\" does not publish {}", wanted.name, text));
  }
  return change(invocation, opened, wanted, {}, ports_done(wanted));
}

const std::vector<Flag> common{
    {"--wait", "DURATION", "how long to wait for Ready nodes (60s; 0 returns at once)"},
    {"--dry-run", "", "print the steps and change nothing"},
    {"--yes", "", "answer what asks", false, 'y'}};

std::vector<Flag> with_common(std::vector<Flag> flags) {
  flags.insert(flags.end(), common.begin(), common.end());
  return flags;
}

}  // namespace

std::vector<Command> node_commands() {
  return {{.word = "node",
           .subword = "add",
           .summary = "Add nodes to a running cluster of containers.",
           .examples = "rusternetes-ctl node add dev\nrusternetes-ctl node add dev --count 2",
           .flags = with_common({{"--count", "NUMBER", "how many (1)"}}),
           .run = run_node_add},
          {.word = "node",
           .subword = "remove",
           .summary = "Move a node's Pods elsewhere, and remove it from a running cluster.",
           .examples = "rusternetes-ctl node remove dev --node node-2",
           .flags = with_common({{"--node", "NAME", "the node, as `kubectl get nodes` names it"},
                                 {"--force", "", "Pods that nothing would make again go, too"},
                                 {"--timeout", "DURATION", "how long Pods may take to leave (5m)"}}),
           .run = run_node_remove}};
}

std::vector<Command> port_commands() {
  return {{.word = "port",
           .subword = "add",
           .summary = "Publish a NodePort at a port of this host.",
           .examples = "rusternetes-ctl port add --publish 8080:30080",
           .flags = with_common({{"--publish", "HOST:NODEPORT",
                                  "port HOST of this host leads to port NODEPORT of the nodes (TCP); may be repeated",
                                  true}}),
           .run = run_port_add},
          {.word = "port",
           .subword = "remove",
           .summary = "Publish a NodePort no more.",
           .examples = "rusternetes-ctl port remove --publish 8080:30080",
           .flags = with_common({{"--publish", "HOST:NODEPORT", "as it was given; may be repeated", true}}),
           .run = run_port_remove}};
}

}  // namespace rusternetes::launcher
