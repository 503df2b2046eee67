// The images of the real components in real engines: made, loaded, run, replaced.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "base/task.h"
#include "engine/engine.h"
#include "launcher/components/engine.h"
#include "launcher/images/plan.h"
#include "launcher/images/reference.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::images;
namespace fs = std::filesystem;

namespace {

class NoHooks final : public Hooks {
 public:
  void point(std::string_view) override {}
};

struct Folder {
  fs::path path;
  Folder() {
    std::string name = "/tmp/images-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
};

template <class T>
T must(Result<T> result, std::string_view what) {
  INFO(what << ": " << (result ? "" : result.error().message));
  REQUIRE(result.has_value());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct World {
  EngineChoice choice;
  NoHooks hooks;
  EngineApi api{[](const char*) { return std::optional<std::string>(); }, hooks};
  asio::io_context context{1};
  std::unique_ptr<engine::Engine> engine;
  Folder folder;

  World(const std::string& kind, const std::string& socket) : choice{kind, socket, ""} {
    engine = must(run(engine::Engine::connect(context.get_executor(), socket, {})), "connect");
  }
  ~World() {
    if (!engine) return;
    const auto all = run(engine->list_images());
    for (const auto& image : all ? *all : std::vector<engine::ImageSummary>())
      if (image.labels.count(label_component) != 0) (void)run(engine->remove_image(image.id, true));
    engine.reset();
    context.restart();
    context.poll();
  }

  template <class T>
  Result<T> run(Task<Result<T>> task) {
    std::optional<Result<T>> result;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr thrown, Result<T> value) {
      if (thrown) std::rethrow_exception(thrown);
      result.emplace(std::move(value));
    });
    context.restart();
    while (!result) context.run_one();
    return *std::move(result);
  }

  std::vector<std::string> missing(const Plan& plan) {
    std::vector<std::string> out;
    for (const Image& image : plan.images())
      if (!must(api.has_image(choice, image.reference), image.reference)) out.push_back(image.reference);
    return out;
  }
  void load(const Plan& plan, const std::vector<std::string>& references) {
    const fs::path archive = folder.path / "images.tar";
    must(plan.write_file(references, archive), "write the archive");
    const auto begin = std::chrono::steady_clock::now();
    const auto names = must(api.load_archive(choice, archive, [](std::uint64_t, std::uint64_t) {}), "load");
    std::cout << fmt::format(
        "{}: loaded {} MB in {} ms\n", choice.kind, fs::file_size(archive) / 1000000,
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin)
            .count());
    CHECK(names.size() == references.size());
  }
  // With --help and no network: the exit code.
  int help(const std::string& reference) {
    engine::ContainerSpec spec;
    spec.name = "images-test-help";
    spec.image = reference;
    spec.args = {"--help"};
    const std::string id = must(run(engine->create_container(spec)), "create " + reference);
    must(run(engine->start_container(id)), "start " + reference);
    const int code = must(run(engine->wait_container(id)), "wait for " + reference);
    must(run(engine->remove_container(id, true)), "remove");
    return code;
  }
};

std::vector<std::pair<std::string, std::string>> engines() {
  std::vector<std::pair<std::string, std::string>> out;
  const char* list = std::getenv("RUSTERNETES_TEST_ENGINES");
  std::istringstream words(list == nullptr ? "" : list);
  for (std::string word; words >> word;)
    out.emplace_back(word.substr(0, word.find(':')), word.substr(word.find(':') + 1));
  if (out.empty()) std::cout << "SKIPPED: RUSTERNETES_TEST_ENGINES names no engine\n";
  return out;
}

// Those that this build has.
std::vector<std::string> built_components() {
  std::vector<std::string> out;
  for (const std::string& name : component_names())
    if (name != "etcd" && fs::exists(fs::path(RUSTERNETES_BINARY_DIR) / name)) out.push_back(name);
  REQUIRE(out.size() >= 8);
  return out;
}

// Debian's, or the one that tests/etcd compares with (scripts/peers).
fs::path etcd_program() {
  const char* peers = std::getenv("PEERS");
  const fs::path folder =
      peers == nullptr ? fs::path(RUSTERNETES_SOURCE_DIR) / "build/peers" : fs::path(peers);
  for (const fs::path& path : {fs::path("/usr/bin/etcd"), folder / "etcd-3.4"})
    if (fs::exists(path)) return path;
  return "/usr/bin/etcd";
}

}  // namespace

TEST_CASE("on a real engine, every component runs from its image, and a second look finds nothing to load") {
  for (const auto& [kind, socket] : engines()) {
    INFO(kind);
    World world(kind, socket);
    const auto components = built_components();
    const Sources sources{RUSTERNETES_BINARY_DIR, "/usr/bin/etcd", "0.1.0-test",
                          world.folder.path / "cache.json"};
    const auto begin = std::chrono::steady_clock::now();
    const Plan plan = must(Plan::make(sources, components), "plan");
    const auto planned = std::chrono::steady_clock::now();
    must(Plan::make(sources, components), "plan again");
    const auto again = std::chrono::steady_clock::now();
    std::cout << fmt::format("plan {:.1f} ms, with its cache {:.1f} ms; libraries {:.1f} MB\n",
                             std::chrono::duration<double, std::milli>(planned - begin).count(),
                             std::chrono::duration<double, std::milli>(again - planned).count(),
                             static_cast<double>(plan.shared_bytes()) / 1e6);
    CHECK(world.missing(plan).size() == components.size());
    world.load(plan, world.missing(plan));
    CHECK(world.missing(plan).empty());
    for (const Image& image : plan.images()) {
      INFO(image.component);
      std::cout << fmt::format("{:<20} {:6.1f} MB\n", image.component,
                               static_cast<double>(image.bytes) / 1e6);
      const auto held = must(world.run(world.engine->inspect_image(image.reference)), image.reference);
      CHECK(held.labels.at(label_content) == image.content);
      CHECK(held.id == image.id);
      CHECK(world.help(image.reference) == 0);
    }
    const auto all = must(world.run(world.engine->list_images()), "list");
    CHECK(old_images(all, plan).empty());
  }
}

TEST_CASE("on a real engine, etcd runs from an image of its own") {
  const fs::path etcd = etcd_program();
  if (!fs::exists(etcd)) {
    std::cout << "SKIPPED: no etcd (Debian's etcd-server, or scripts/peers etcd-3.4)\n";
    return;
  }
  for (const auto& [kind, socket] : engines()) {
    INFO(kind);
    World world(kind, socket);
    const Plan plan = must(Plan::make({RUSTERNETES_BINARY_DIR, etcd, "0.1.0-test", {}}, {"etcd"}), "plan");
    const Image& image = plan.images().front();
    world.load(plan, {image.reference});
    CHECK(world.help(image.reference) == 0);
    std::cout << fmt::format("etcd {:.1f} MB\n", static_cast<double>(image.bytes) / 1e6);
  }
}

TEST_CASE("on a real engine, a rebuilt program has a new image, and the old one is found and removed") {
  for (const auto& [kind, socket] : engines()) {
    INFO(kind);
    World world(kind, socket);
    const fs::path bin = world.folder.path / "bin";
    fs::create_directories(bin);
    for (const char* name : {"api-proxy", "dns"})
      fs::copy_file(fs::path(RUSTERNETES_BINARY_DIR) / name, bin / name);
    const Sources sources{bin, "/usr/bin/etcd", "0.1.0-test", world.folder.path / "cache.json"};
    const Plan before = must(Plan::make(sources, {"api-proxy", "dns"}), "plan");
    world.load(before, world.missing(before));

    std::ofstream(bin / "dns", std::ios::app | std::ios::binary) << "rebuilt";
    const Plan after = must(Plan::make(sources, {"api-proxy", "dns"}), "plan");
    const auto missing = world.missing(after);
    CHECK(missing == std::vector<std::string>{after.find("dns")->reference});
    world.load(after, missing);
    CHECK(world.help(after.find("dns")->reference) == 0);

    const auto old = old_images(must(world.run(world.engine->list_images()), "list"), after);
    REQUIRE(old.size() == 1);
    CHECK(old[0].component == "dns");
    CHECK(old[0].references == std::vector<std::string>{before.find("dns")->reference});
    for (const std::string& reference : old[0].references)
      must(world.run(world.engine->remove_image(reference, false)), "remove");
    CHECK(world.missing(after).empty());
    CHECK(world.missing(before) == std::vector<std::string>{before.find("dns")->reference});
    CHECK(old_images(must(world.run(world.engine->list_images()), "list"), after).empty());
  }
}
