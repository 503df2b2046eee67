// Plans and archives of images, from programs that a test may change.
#include <sys/stat.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/images/plan.h"
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::images;
namespace json = boost::json;

namespace {

// A folder of programs: two that need libraries, one static, and an etcd beside it.
struct Build {
  Folder folder;
  Sources sources;
  Build() {
    const std::string own = read_file("/proc/self/exe");
    fs::create_directories(folder.path / "bin");
    write_file(folder.path / "bin/api-server", own + "1");  // the loader does not mind
    write_file(folder.path / "bin/dns", own + "2");
    write_file(folder.path / "bin/rhino", static_program());
    write_file(folder.path / "etcd", static_program());
    sources = {folder.path / "bin", folder.path / "etcd", "0.1.0", folder.path / "cache.json"};
  }
  Plan plan(const std::vector<std::string>& components) const {
    return Plan::make(sources, components).value();
  }
};

const std::vector<std::string> three = {"api-server", "dns", "etcd"};

std::vector<std::string> references(const Plan& plan) {
  std::vector<std::string> out;
  for (const Image& image : plan.images()) out.push_back(image.reference);
  return out;
}

std::string archive_of(const Plan& plan, const std::vector<std::string>& wanted,
                       std::size_t* largest = nullptr) {
  std::string out;
  const auto written = plan.write(wanted, [&](std::string_view piece) {
    if (largest != nullptr) *largest = std::max(*largest, piece.size());
    out += piece;
    return Result<>();
  });
  INFO((written ? "" : written.error().message));
  REQUIRE(written);
  return out;
}

// etcd is the host's, whatever release we are.
std::string version_of(const std::string& component) { return component == "etcd" ? "host" : "0.1.0"; }

}  // namespace

TEST_CASE("the same programs make the same images, wherever they are and whichever are asked for") {
  const Build build, other;
  const Plan plan = build.plan(three);
  REQUIRE(plan.images().size() == 3);
  CHECK(references(plan) == references(other.plan(three)));
  CHECK(archive_of(plan, references(plan)) == archive_of(other.plan(three), references(plan)));
  CHECK(build.plan({"dns"}).images()[0].id == plan.find("dns")->id);
  CHECK(plan.find("rhino") == nullptr);
  for (const Image& image : plan.images()) {
    CHECK(image.reference ==
          "localhost/rusternetes/" + image.component + ":" + version_of(image.component) + "-" +
              image.content.substr(7, 12));
    CHECK(image.id != image.content);
    CHECK(image.bytes > 1000);
  }
}

TEST_CASE("a changed program has a new image, and the others keep theirs") {
  const Build build;
  const auto before = references(build.plan(three));
  SECTION("one of ours") {
    write_file(build.folder.path / "bin/dns", read_file("/proc/self/exe") + "3");
    const auto after = references(build.plan(three));
    CHECK(after[0] == before[0]);
    CHECK(after[1] != before[1]);
    CHECK(after[2] == before[2]);
  }
  SECTION("one of the same size, put in the old one's place") {
    write_file(build.folder.path / "new", read_file("/proc/self/exe") + "4");
    fs::last_write_time(build.folder.path / "new", fs::last_write_time(build.folder.path / "bin/dns"));
    fs::rename(build.folder.path / "new", build.folder.path / "bin/dns");
    CHECK(references(build.plan(three))[1] != before[1]);
  }
  SECTION("etcd, even when it brings libraries") {
    write_file(build.folder.path / "etcd", read_file("/proc/self/exe"));
    const auto after = references(build.plan(three));
    CHECK(after[0] == before[0]);
    CHECK(after[1] == before[1]);
    CHECK(after[2] != before[2]);
  }
  SECTION("another version is another name of the same content") {
    Sources sources = build.sources;
    sources.version = "0.2.0";
    const Plan plan = Plan::make(sources, three).value();
    for (const Image& image : plan.images())
      CHECK((image.reference != build.plan(three).find(image.component)->reference) == (image.component != "etcd"));
    CHECK(plan.images()[0].content == build.plan(three).images()[0].content);
  }
}

TEST_CASE("what is not there is said, and so is who is to install it") {
  Build build;
  const auto refused = [&](const char* component) { return Plan::make(build.sources, {component}).error(); };
  CHECK(refused("scheduler").is("BinaryMissing"));
  CHECK(refused("scheduler").message.find("bin/scheduler") != std::string::npos);
  CHECK(refused("teapot").is("BadRequest"));
  CHECK(refused("pause").is("BadRequest"));
  fs::remove(build.folder.path / "etcd");
  CHECK(refused("etcd").is("EtcdMissing"));
  CHECK(refused("etcd").message.find("etcd-server") != std::string::npos);
  CHECK(Plan::make(build.sources, {"dns"}).has_value());  // who does not use it, does not need it
  write_file(build.folder.path / "bin/kubelet", "not a program");
  CHECK(refused("kubelet").is("BinaryMissing"));
}

TEST_CASE("an archive has each layer once, and what the program needs at the paths where it looks for it") {
  const Build build;
  const Plan plan = build.plan(three);
  std::size_t largest = 0;
  const auto outer = entries_of(archive_of(plan, references(plan), &largest));
  CHECK(largest <= 1 << 20);
  const auto manifest = json::parse(outer.at("manifest.json").content);
  REQUIRE(manifest.as_array().size() == 3);
  std::map<std::string, int> layers;
  for (std::size_t i = 0; i < 3; ++i) {
    const json::value& image = manifest.at(i);
    const Image& planned = plan.images()[i];
    CHECK(image.at("RepoTags").at(0).as_string() == planned.reference);
    CHECK(image.at("Config").as_string() == planned.id.substr(7) + ".json");
    const auto config = json::parse(outer.at(std::string(image.at("Config").as_string())).content);
    const auto& settings = config.at("config");
    CHECK(settings.at("Entrypoint").at(0).as_string() == "/usr/local/bin/" + planned.component);
    CHECK(settings.at("Labels").at(label_component).as_string() == planned.component);
    CHECK(settings.at("Labels").at(label_content).as_string() == planned.content);
    CHECK(settings.at("Labels").at(label_version).as_string() ==
          version_of(std::string(settings.at("Labels").at(label_component).as_string())));
    for (const auto& layer : image.at("Layers").as_array()) ++layers[std::string(layer.as_string())];
    const auto own = entries_of(outer.at(std::string(image.at("Layers").at(1).as_string())).content);
    const auto& program = own.at("usr/local/bin/" + planned.component);
    CHECK(program.mode == 0755);
    CHECK(program.content == read_file(planned.component == "etcd"
                                      ? build.sources.etcd
                                      : build.sources.binary_dir / planned.component));
  }
  CHECK(layers.size() ==
        5);  // one a program, the libraries of ours, and the few files that a static etcd has
  CHECK(outer.size() == 5 + 3 + 1);

  const auto shared =
      entries_of(outer.at(std::string(manifest.at(0).at("Layers").at(0).as_string())).content);
  CHECK(shared.at("tmp/").mode == 01777);
  CHECK(shared.at("etc/passwd").content.starts_with("root:x:0:0:"));
  CHECK(shared.at("etc/nsswitch.conf").content.find("hosts: files dns") != std::string::npos);
  const bool has_libc = std::any_of(shared.begin(), shared.end(), [](const auto& entry) {
    return entry.first.ends_with("/libc.so.6") && !entry.first.starts_with("lib/");
  });
  CHECK(has_libc);

  SECTION("only what is asked for is in it") {
    const auto one = entries_of(archive_of(plan, {plan.images()[1].reference}));
    CHECK(one.size() == 2 + 1 + 1);
    CHECK(plan.write({"localhost/other:1"}, [](std::string_view) { return Result<>(); })
              .error()
              .is("BadRequest"));
  }
}

TEST_CASE("a cache that is damaged, of elsewhere or missing changes nothing but the time it takes") {
  const Build build;
  const auto right = references(build.plan(three));
  const std::string cache = read_file(build.sources.cache);
  REQUIRE(cache.size() > 100);
  struct stat info {};
  REQUIRE(::stat(build.sources.cache.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(references(build.plan(three)) == right);
  CHECK(read_file(build.sources.cache) == cache);  // nothing new: not written again

  std::vector<std::string> others = {"", "{}", "[1]", "{\"format\":1}", std::string(3 << 20, ' ')};
  for (std::size_t at = 0; at < cache.size(); at += cache.size() / 20) {
    others.push_back(cache.substr(0, at));
    others.push_back(cache.substr(0, at) + static_cast<char>(cache[at] ^ 1) + cache.substr(at + 1));
  }
  for (const std::string& other : others) {
    INFO(other.substr(0, 300));
    write_file(build.sources.cache, other);
    CHECK(references(build.plan(three)) == right);
  }
  Sources sources = build.sources;
  for (const char* path : {"", "/nonexistent/folder/cache"}) {
    sources.cache = path;
    CHECK(references(Plan::make(sources, three).value()) == right);
  }
}

TEST_CASE("a cache with a wrong digest is believed until the archive is written, and then forgotten") {
  const Build build;
  const auto right = references(build.plan(three));
  json::value document = json::parse(read_file(build.sources.cache));
  json::value& entries = document.as_object()["entries"];
  for (auto& layer : entries.as_object()["layers"].as_object())
    layer.value().as_object()["digest"] = "sha256:" + std::string(64, '0');
  document.as_object()["sum"] = engine::sha256_hex(json::serialize(entries));
  write_file(build.sources.cache, json::serialize(document));
  const Plan wrong = build.plan(three);  // had it read the programs, it would be right
  CHECK(references(wrong) != right);
  const fs::path archive = build.folder.path / "images.tar";
  CHECK(wrong.write_file(references(wrong), archive).error().is("Conflict"));
  CHECK_FALSE(fs::exists(archive));
  CHECK_FALSE(fs::exists(archive.string() + ".partial"));
  CHECK(references(build.plan(three)) == right);
}

TEST_CASE("an archive is a private file, there whole or not at all") {
  const Build build;
  const Plan plan = build.plan(three);
  const fs::path archive = build.folder.path / "images.tar";
  REQUIRE(plan.write_file(references(plan), archive));
  struct stat info {};
  REQUIRE(::stat(archive.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(read_file(archive) == archive_of(plan, references(plan)));
  fs::remove(archive);
  write_file(build.sources.binary_dir / "dns", "another program");
  const auto refused = plan.write_file(references(plan), archive);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("Conflict"));
  CHECK_FALSE(fs::exists(archive));
  CHECK_FALSE(fs::exists(archive.string() + ".partial"));
  CHECK_FALSE(plan.write_file({}, build.folder.path / "no/such/folder"));
}

TEST_CASE("images of other builds are known by their labels") {
  const Build build;
  const Plan plan = build.plan({"api-server", "dns"});
  const auto image = [](std::string id, std::vector<std::string> tags, std::string component,
                        std::string content) {
    engine::ImageSummary out;
    out.id = std::move(id);
    out.repo_tags = std::move(tags);
    out.labels = {{label_component, component}, {label_content, content}, {label_version, "0.0.9"}};
    return out;
  };
  engine::ImageSummary foreign;
  foreign.id = "sha256:f";
  const auto old = old_images({image("sha256:1", {"a:1"}, "dns", plan.find("dns")->content),
                               image("sha256:2", {"a:2", "b:2"}, "dns", "sha256:other"),
                               image("sha256:3", {}, "api-server", "sha256:other"),
                               image("sha256:4", {"c:4"}, "scheduler", "sha256:other"), foreign},
                              plan);
  REQUIRE(old.size() == 2);
  CHECK(old[0].component == "dns");
  CHECK(old[0].version == "0.0.9");
  CHECK(old[0].references == std::vector<std::string>{"a:2", "b:2"});
  CHECK(old[1].references == std::vector<std::string>{"sha256:3"});
}
