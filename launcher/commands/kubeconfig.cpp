// kubeconfig, kubeconfig merge, kubeconfig remove.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <ostream>

#include "certs/file.h"
#include "launcher/session.h"
#include "launcher/user_kubeconfig.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

std::string result_json(const std::filesystem::path& file, const ClusterSettings& settings) {
  return json::serialize(json::object{{"file", file.string()}, {"context", settings.context()}}) + "\n";
}

Result<> run_print(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_TRY(const std::string text, certs::read_text(invocation.home.cluster(settings.name).kubeconfig()));
  invocation.print(
      text, json::serialize(json::object{{"context", settings.context()}, {"kubeconfig", text}}) + "\n");
  return {};
}

Result<> run_merge(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::change));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  const auto file = user_kubeconfig_path(invocation.environment.variable);
  RN_TRY(const std::string told,
         merge_kubeconfig_file(file, invocation.home.cluster(settings.name).kubeconfig()));
  if (!told.empty()) session->progress().note(told);
  invocation.print(fmt::format("The context \"{}\" is current in {}.\n", settings.context(), file.string()),
                   result_json(file, settings));
  return {};
}

Result<> run_remove(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::change));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  const auto file = user_kubeconfig_path(invocation.environment.variable);
  RN_CHECK(remove_from_kubeconfig_file(file, settings.context()));
  invocation.print(
      fmt::format("The context \"{}\" is not in {} any more.\n", settings.context(), file.string()),
      result_json(file, settings));
  return {};
}

}  // namespace

std::vector<Command> kubeconfig_commands() {
  return {{.word = "kubeconfig",
           .subword = "",
           .summary = "Print a cluster's kubeconfig, with the administrator's private key.",
           .examples = "rusternetes-ctl kubeconfig dev > dev.kubeconfig",
           .flags = {},
           .run = run_print},
          {.word = "kubeconfig",
           .subword = "merge",
           .summary = "Merge a cluster into $KUBECONFIG or ~/.kube/config and make it current.",
           .examples = "KUBECONFIG=~/dev.kubeconfig rusternetes-ctl kubeconfig merge dev",
           .flags = {},
           .run = run_merge},
          {.word = "kubeconfig",
           .subword = "remove",
           .summary = "Take a cluster out of $KUBECONFIG or ~/.kube/config.",
           .examples = "rusternetes-ctl kubeconfig remove dev",
           .flags = {},
           .run = run_remove}};
}

}  // namespace rusternetes::launcher
