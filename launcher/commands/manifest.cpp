// manifest: what the engine is brought to, of a cluster that is or that `create` would make.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/file.h"
#include "launcher/containers/compose.h"
#include "launcher/failure.h"
#include "launcher/new_cluster.h"

namespace rusternetes::launcher {
namespace {

// As it stands in the cluster's folder; of one that is not there yet, as it would.
Result<std::string> manifest_of(const ClusterSettings& settings, const ClusterPaths& paths, bool is_made) {
  if (!settings.has_containers())
    return failure(
        "BadRequest",
        fmt::format("cluster \"{}\" is one process and has no manifest: those of --mode sqlite and "
                    "--mode etcd have",
                    settings.name));
  if (is_made)
    if (auto text = certs::read_text(paths.manifest())) return text;
  return render_manifest(settings, paths, settings.images);
}

Result<> run_manifest(Invocation& invocation) {
  RN_TRY(const ClusterRequest request, read_request(invocation));
  RN_TRY(auto session, Session::open(invocation, Session::Access::look));
  RN_TRY(auto settings, session->find(invocation.name));
  const bool is_made = settings.has_value();
  if (is_made) {
    RN_CHECK(check_is_same(invocation, request, *settings));
  } else {
    RN_TRY(settings, choose_settings(invocation, *session, request));
  }
  const ClusterPaths paths = invocation.home.cluster(invocation.name);
  RN_TRY(const std::string text, manifest_of(*settings, paths, is_made));
  invocation.print(text, boost::json::serialize(boost::json::object{
                             {"cluster", invocation.name},
                             {"file", is_made ? paths.manifest().string() : std::string()},
                             {"manifest", text}}) +
                             "\n");
  return {};
}

}  // namespace

Command manifest_command() {
  return {
      .word = "manifest",
      .subword = "",
      .summary = "Print the compose manifest of a cluster of containers, also of one that is not made yet.",
      .examples =
          "rusternetes-ctl manifest prod\n"
          "rusternetes-ctl manifest next --mode etcd --nodes 3 > compose.yaml",
      .flags = cluster_flags(),
      .run = run_manifest};
}

}  // namespace rusternetes::launcher
