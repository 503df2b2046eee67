// version: this program's and the API level it launches.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/command.h"

namespace rusternetes::launcher {
namespace {

Result<> run_version(Invocation& invocation) {
  invocation.print(
      fmt::format("rusternetes-ctl {} (Kubernetes {})\n", RUSTERNETES_VERSION, kubernetes_version),
      boost::json::serialize(
          boost::json::object{{"version", RUSTERNETES_VERSION}, {"kubernetes", kubernetes_version}}) +
          "\n");
  return {};
}

}  // namespace

std::string release_version() { return RUSTERNETES_VERSION; }

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
