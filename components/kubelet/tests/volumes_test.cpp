#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "kubelet/volumes/atomic_writer.h"
#include "kubelet/volumes/mounts.h"
#include "kubelet/volumes/volume_manager.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("kubelet-volumes-test-" + std::to_string(::getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  std::string str() const { return path.string(); }
};

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

unsigned mode_of(const fs::path& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

core_v1::ConfigMap config_map(const Document& object) { return core_v1::ConfigMap(&object.root()); }

}  // namespace

TEST_CASE("files appear through links, all of one version") {
  Folder folder;
  REQUIRE(*write_atomically(folder.str(), {{"a", {"1", 0644, {}}}, {"dir/b", {"2", 0600, {}}}}));
  CHECK(text_of(folder.path / "a") == "1");
  CHECK(text_of(folder.path / "dir/b") == "2");
  CHECK(mode_of(folder.path / "dir/b") == 0600);
  CHECK(fs::read_symlink(folder.path / "a") == "..data/a");
  CHECK(fs::read_symlink(folder.path / "dir") == "..data/dir");
}

TEST_CASE("nothing is touched when nothing changed") {
  Folder folder;
  const Payload payload{{"a", {"1", 0644, {}}}};
  REQUIRE(*write_atomically(folder.str(), payload));
  const auto version = fs::read_symlink(folder.path / "..data");
  CHECK_FALSE(*write_atomically(folder.str(), payload));
  CHECK(fs::read_symlink(folder.path / "..data") == version);
}

TEST_CASE("an update replaces the data at once and removes what is gone") {
  Folder folder;
  REQUIRE(*write_atomically(folder.str(), {{"a", {"1", 0644, {}}}, {"old", {"x", 0644, {}}}}));
  const auto before = fs::read_symlink(folder.path / "..data");
  REQUIRE(*write_atomically(folder.str(), {{"a", {"2", 0640, {}}}, {"new", {"y", 0644, {}}}}));
  CHECK(text_of(folder.path / "a") == "2");
  CHECK(mode_of(folder.path / "a") == 0640);
  CHECK(text_of(folder.path / "new") == "y");
  CHECK_FALSE(fs::exists(fs::symlink_status(folder.path / "old")));
  CHECK_FALSE(fs::exists(folder.path / before));
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path)) ++entries;
  CHECK(entries == 4);  // a, new, ..data and its version
}

TEST_CASE("remains of an interrupted write do no harm") {
  Folder folder;
  REQUIRE(*write_atomically(folder.str(), {{"a", {"1", 0644, {}}}}));
  fs::create_directories(folder.path / "..12345");
  fs::create_symlink("..12345", folder.path / "..data_tmp");
  REQUIRE(*write_atomically(folder.str(), {{"a", {"2", 0644, {}}}}));
  CHECK(text_of(folder.path / "a") == "2");
  CHECK_FALSE(fs::exists(folder.path / "..12345"));
}

TEST_CASE("a volume's path stays below it") {
  CHECK(check_volume_path("a/b"));
  CHECK(check_volume_path("a..b/c"));
  for (const char* bad : {"", "/a", "../a", "a/../b", "..a"}) CHECK_FALSE(check_volume_path(bad));
}

TEST_CASE("a subPath may name anything below its volume, but no way up and no absolute path") {
  for (const char* good : {"a/b", "..data/key", "..a", "a/..b", "a//b/", "."}) CHECK(check_sub_path(good));
  for (const char* bad : {"/a", "..", "../a", "a/..", "a/../b"}) CHECK_FALSE(check_sub_path(bad));
}

TEST_CASE("a ConfigMap's keys become files, or those that are asked for") {
  const auto object = client::ObjectBuilder::from_json(core_v1::ConfigMap::schema_type(),
      R"({"metadata":{"name":"cm"},"data":{"a":"1","b":"2"},"binaryData":{"c":"AQI="}})");
  Payload all;
  REQUIRE(add_config_map(all, config_map(object), {}, 0644, false));
  CHECK(all.size() == 3);
  CHECK(all["c"].bytes == std::string("\x01\x02"));
  const auto volume = client::ObjectBuilder::from_json(core_v1::Pod::schema_type(),
      R"({"spec":{"volumes":[{"name":"v","configMap":{"name":"cm","items":[{"key":"a","path":"x/y","mode":256},{"key":"none","path":"z"}]}}]}})");
  const auto items = pod_view(volume).spec().volumes()[0].configMap().items();
  Payload some;
  const auto missing = add_config_map(some, config_map(object), items, 0644, false);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message == "references non-existent config key: none");
  Payload optional;
  REQUIRE(add_config_map(optional, config_map(object), items, 0644, true));
  REQUIRE(optional.size() == 1);
  CHECK(optional["x/y"].mode == 0400);
}

TEST_CASE("an fsGroup's members may read what the owner may") {
  CHECK(mode_for_group(0600) == 0660);
  CHECK(mode_for_group(0400) == 0440);
  CHECK(mode_for_group(0644) == 0664);
}

TEST_CASE("mounts below a folder are found, the deepest first, with spaces in their names") {
  const std::string info =
      "22 1 0:5 / / rw - ext4 /dev/vda rw\n"
      "30 22 0:40 / /root/pods/u1/volumes/a rw - tmpfs tmpfs rw\n"
      "31 30 0:41 / /root/pods/u1/volumes/a/in\\040side rw - tmpfs tmpfs rw\n"
      "32 22 0:42 / /root/pods/u10 rw - tmpfs tmpfs rw\n";
  CHECK(mounts_below(info, "/root/pods/u1") == std::vector<std::string>{"/root/pods/u1/volumes/a/in side", "/root/pods/u1/volumes/a"});
}

TEST_CASE("a hostPath is what its type says, or is made") {
  Folder folder;
  const auto at = [&](const char* name) { return (folder.path / name).string(); };
  CHECK(check_host_path(at("made"), "DirectoryOrCreate"));
  CHECK(fs::is_directory(at("made")));
  CHECK(check_host_path(at("file"), "FileOrCreate"));
  CHECK(fs::is_regular_file(at("file")));
  CHECK(check_host_path(at("file"), "File"));
  const auto wrong = check_host_path(at("file"), "Directory");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message == "hostPath type check failed: " + at("file") + " is not a directory");
  CHECK_FALSE(check_host_path(at("none"), "Socket"));
  CHECK(check_host_path("/dev/null", "CharDevice"));
}

TEST_CASE("tmpfs, subPaths and their removal (needs root)") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: needs root to mount");
    return;
  }
  Folder folder;
  const auto volume = (folder.path / "volume").string(), target = (folder.path / "subpaths/v/0").string();
  REQUIRE(ensure_tmpfs(volume, 1 << 20, 0777));
  REQUIRE(ensure_tmpfs(volume, 1 << 20, 0777));
  CHECK(mounts_below(volume).size() == 1);
  REQUIRE(bind_sub_path(volume, "a/b", target));
  std::ofstream(target + "/file") << "x";
  CHECK(text_of(volume + "/a/b/file") == "x");
  REQUIRE(bind_sub_path(volume, "a/b", target));
  CHECK(mounts_below(target).size() == 1);

  // A link that leads out of the volume is not followed.
  fs::create_symlink("/etc", volume + "/out");
  CHECK_FALSE(bind_sub_path(volume, "out", (folder.path / "subpaths/v/1").string()));
  CHECK_FALSE(bind_sub_path(volume, "out/new", (folder.path / "subpaths/v/2").string()));
  CHECK_FALSE(fs::exists("/etc/new"));

  REQUIRE(remove_tree(folder.str()));
  CHECK(mounts_below(folder.str()).empty());
  CHECK_FALSE(fs::exists(folder.path));
}
