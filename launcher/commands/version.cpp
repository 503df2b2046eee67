// version: this program's and the API level it launches.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/command.h"

namespace rusternetes::launcher {
namespace {

Result<> run_version(Invocation& invocation) {
  invocation.print(
      fmt::format("rusternetes-ctl {} (Kubernetes {})\n", invocation.environment.release, kubernetes_version),
      boost::json::serialize(
          boost::json::object{{"version", invocation.environment.release}, {"kubernetes", kubernetes_version}}) +
          "\n");
  return {};
}

}  // namespace

Command version_command() {
  return {.word = "version",
          .subword = "",
          .summary = "Print the version.",
          .examples = "rusternetes-ctl version --output json",
          .takes_name = false,
          .flags = {},
          .run = run_version};
}

}  // namespace rusternetes::launcher
