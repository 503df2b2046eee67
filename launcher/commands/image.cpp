// image load: brings an image into the engine of a cluster, without a registry.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

// Removed with the command, however it ends but by a kill; the cluster's run folder goes with the cluster.
struct TemporaryFile {
  fs::path path;
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

// From whichever other engine of this host has it. True when it was there already.
Result<bool> copy_from_engine(Invocation& invocation, const ClusterSettings& settings,
                              const std::string& reference) {
  EnginePort& port = invocation.environment.engine;
  RN_TRY(const bool is_there, port.has_image(settings.engine, reference));
  if (is_there) return true;
  for (const char* kind : {"podman", "docker"}) {
    const auto other = port.find(kind);
    if (!other || other->socket == settings.engine.socket) continue;
    const auto has = port.has_image(*other, reference);
    if (!has || !*has) continue;
    const TemporaryFile archive{invocation.home.cluster(settings.name).run() /
                                fmt::format("image-{}.tar", ::getpid())};
    RN_CHECK(port.save_image(*other, reference, archive.path));
    RN_TRY([[maybe_unused]] auto loaded, port.load_archive(settings.engine, archive.path));
    return false;
  }
  return failure("ImageNotFound", fmt::format("no engine of this host has the image \"{}\"", reference));
}

Result<> run_image_load(Invocation& invocation) {
  const std::string reference = invocation.text("--image");
  const std::string archive = invocation.text("--archive");
  if (reference.empty() == archive.empty())
    return failure("Usage", "image load takes either --image REF or --archive FILE");
  RN_TRY(auto session, Session::open(invocation, Session::Access::change));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_CHECK(session->check_recovered(settings.name));
  session->progress().begin(
      fmt::format("Load {} into {}", reference.empty() ? archive : reference, settings.engine.kind));
  bool was_there = false;
  std::vector<std::string> loaded{reference};
  Result<> result;
  if (!archive.empty()) {
    std::error_code ignored;
    if (!fs::is_regular_file(archive, ignored)) {
      result = failure("NotFound", fmt::format("there is no file {}", archive));
    } else if (auto names = invocation.environment.engine.load_archive(settings.engine, archive)) {
      loaded = *std::move(names);
    } else {
      result = std::move(names).error();
    }
  } else if (auto copied = copy_from_engine(invocation, settings, reference)) {
    was_there = *copied;
  } else {
    result = std::move(copied).error();
  }
  result ? session->progress().done() : session->progress().failed();
  RN_CHECK(result);
  boost::json::array names;
  for (const std::string& name : loaded) names.emplace_back(name);
  invocation.print(
      fmt::format("{} {} in {}.\n", joined(loaded, ", "), was_there ? "was already" : "is",
                  settings.engine.kind),
      boost::json::serialize(boost::json::object{{"images", std::move(names)}, {"wasThere", was_there}}) +
          "\n");
  return {};
}

}  // namespace

Command image_load_command() {
  return {
      .word = "image",
      .subword = "load",
      .summary = "Bring an image into a cluster's engine, from another engine of this host or a tar file.",
      .examples =
          "rusternetes-ctl image load --image localhost/app:1\n"
          "rusternetes-ctl image load dev --archive app.tar",
      .flags = {{"--image", "REF", "an image that an engine of this host has"},
                {"--archive", "FILE", "a tar written by `save`, or in OCI layout"}},
      .run = run_image_load};
}

}  // namespace rusternetes::launcher
