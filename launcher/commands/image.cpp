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

std::function<void(std::uint64_t, std::uint64_t)> told(Progress& progress) {
  return [&progress](std::uint64_t sent, std::uint64_t all) {
    progress.detail(sent < all ? fmt::format("{} of {} MB sent", sent / 1'000'000, all / 1'000'000)
                               : "the engine unpacks it");
  };
}

// From whichever other engine of this host has it. True when it was there already.
Result<bool> copy_from_engine(Invocation& invocation, Progress& progress, const ClusterSettings& settings,
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
    progress.detail(fmt::format("read from {}", other->kind));
    RN_CHECK(port.save_image(*other, reference, archive.path));
    RN_TRY([[maybe_unused]] auto loaded, port.load_archive(settings.engine, archive.path, told(progress)));
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
  if (settings.engine.is_private && !invocation.environment.engine.is_answering(settings.engine)) {
    RN_TRY(const std::string phase, session->phase(settings.name));
    if (phase != "running")
      return failure("ClusterStopped",
                     fmt::format("cluster \"{}\" is stopped, and its own Podman with it", settings.name));
    RN_CHECK(session->run(revive_engine_plan(session->context(settings)), settings));
  }
  session->progress().begin(
      fmt::format("Load {} into {}", reference.empty() ? archive : reference, settings.engine.kind));
  bool was_there = false;
  std::vector<std::string> loaded{reference};
  Result<> result;
  if (!archive.empty()) {
    if (auto names =
            invocation.environment.engine.load_archive(settings.engine, archive, told(session->progress()))) {
      loaded = *std::move(names);
    } else {
      result = std::move(names).error();
    }
  } else if (auto copied = copy_from_engine(invocation, session->progress(), settings, reference)) {
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

// What the cluster's own parts are made of; Pods' images are the engine's affair.
Result<> run_images(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  EnginePort& engine = invocation.environment.engine;
  std::map<std::string, std::string> images = settings.images;
  if (!settings.has_containers()) images = {{"pause", engine.pause_image()}};
  const bool is_answering = engine.is_answering(settings.engine);
  std::string text = fmt::format("{:<20} {:<8} {}\n", "COMPONENT", "THERE", "IMAGE");
  boost::json::array array;
  for (const auto& [component, reference] : images) {
    bool is_there = false;
    if (is_answering) {
      RN_TRY(is_there, engine.has_image(settings.engine, reference));
    }
    text += fmt::format("{:<20} {:<8} {}\n", component, !is_answering ? "?" : is_there ? "yes" : "no", reference);
    array.push_back(boost::json::object{
        {"component", component},
        {"image", reference},
        {"there", is_answering ? boost::json::value(is_there) : boost::json::value()}});
  }
  invocation.print(text, boost::json::serialize(boost::json::object{{"cluster", settings.name},
                                                                    {"engine", settings.engine.kind},
                                                                    {"images", std::move(array)}}) +
                             "\n");
  return {};
}

}  // namespace

Command images_command() {
  return {.word = "images",
          .subword = "",
          .summary = "List the images that a cluster's own parts are made of.",
          .examples = "rusternetes-ctl images prod\nrusternetes-ctl images prod --output json",
          .flags = {},
          .run = run_images};
}

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
