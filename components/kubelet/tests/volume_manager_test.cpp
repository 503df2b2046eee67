// A Pod's volumes on disk, prepared again and again.

#include "kubelet/volumes/volume_manager.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "fake_api.h"
#include "kubelet/volumes/mounts.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
namespace fs = std::filesystem;

namespace {

constexpr gid_t kGroup = 4321;
constexpr uid_t kNobody = 65534;

struct Scene {
  Scene() {
    REQUIRE(remove_tree(folder.string()));
    fs::create_directories(folder);
    fs::permissions(folder, fs::perms::all);
    options.root_dir = folder.string();
  }
  ~Scene() { CHECK(remove_tree(folder.string())); }
  Result<void> prepare(const Document& pod) {
    std::optional<Result<void>> out;
    run_blocking(thread.executor(), prepared(pod, out));
    return *std::move(out);
  }
  Task<> prepared(Document pod, std::optional<Result<void>>& out) { out = co_await volumes.prepare(pod, {}); }
  Result<std::vector<engine::Mount>> mounts(const Document& pod) {
    std::optional<Result<std::vector<engine::Mount>>> out;
    run_blocking(thread.executor(), mounted(pod, out));
    return *std::move(out);
  }
  Task<> mounted(Document pod, std::optional<Result<std::vector<engine::Mount>>>& out) { out = co_await volumes.mounts(pod, {false, 0}, {}); }
  // The thread that works on files becomes somebody else, or root again.
  void act_as(uid_t user) { run_blocking(thread.executor(), become(user)); }
  Task<> become(uid_t user) {
    auto work = [user] { return ::syscall(SYS_setresuid, -1, user, -1); };
    CHECK(co_await worker.run(work) == 0);
  }

  fs::path folder = fs::temp_directory_path() / ("kubelet-volume-manager-test-" + std::to_string(::getpid()));
  KubeletOptions options;
  EventThread thread{"volumes-test"};
  WorkerThread worker{"volumes-files"};
  FakeApi api{thread.executor()};
  Objects objects{api, Clock::system()};
  VolumeManager volumes{api, objects, options, worker};
};

struct stat stat_of(const fs::path& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info;
}

Document pod_with_empty_dir(const std::string& source) {
  return make_pod(R"({"securityContext":{"fsGroup":4321},"volumes":[{"name":"v","emptyDir":)" + source + R"(}],
      "containers":[{"name":"a","image":"busybox","volumeMounts":[{"name":"v","mountPath":"/v"}]}]})");
}

bool is_root() {
  if (::geteuid() == 0) return true;
  WARN("SKIPPED: needs root to mount and to give files away");
  return false;
}

}  // namespace

TEST_CASE("what a Pod made of its emptyDir is not undone by the next look at its volumes (needs root)") {
  if (!is_root()) return;
  Scene scene;
  const std::string source = GENERATE("{\"medium\":\"Memory\"}", "{}");
  const auto pod = pod_with_empty_dir(source);
  REQUIRE(scene.prepare(pod));
  const auto path = scene.folder / "pods/u1/volumes/kubernetes.io~empty-dir/v";
  CHECK((stat_of(path).st_mode & 07777) == 02777);
  CHECK(stat_of(path).st_gid == kGroup);
  CHECK(mounts_below(path.string()).size() == (source == "{}" ? 0 : 1));
  std::ofstream(path / "own") << "x";
  REQUIRE(::chown((path / "own").c_str(), 7, 8) == 0);
  REQUIRE(::chmod((path / "own").c_str(), 0600) == 0);
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  REQUIRE(scene.prepare(pod));
  CHECK((stat_of(path).st_mode & 07777) == 0700);
  CHECK((stat_of(path / "own").st_mode & 07777) == 0600);
  CHECK(stat_of(path / "own").st_gid == 8);
}

TEST_CASE("an emptyDir whose making was cut off does not count as made (needs root)") {
  if (!is_root()) return;
  Scene scene;
  const auto pod = pod_with_empty_dir("{}");
  const auto path = scene.folder / "pods/u1/volumes/kubernetes.io~empty-dir/v";
  scene.act_as(kNobody);  // who can make folders here, but not give them to a group
  CHECK_FALSE(scene.prepare(pod));
  CHECK_FALSE(fs::exists(path));
  scene.act_as(0);
  REQUIRE(scene.prepare(pod));
  CHECK((stat_of(path).st_mode & 07777) == 02777);
  CHECK(stat_of(path).st_gid == kGroup);
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(path.parent_path())) ++entries;
  CHECK(entries == 1);
}

TEST_CASE("a subPath may lead through the links of a volume's data (needs root)") {
  if (!is_root()) return;
  Scene scene;
  scene.api.put("configmaps", R"({"metadata":{"name":"cm","namespace":"default"},"data":{"key":"value"}})");
  const auto with = [](const std::string& sub_path) {
    return make_pod(R"({"volumes":[{"name":"v","configMap":{"name":"cm"}}],"containers":[{"name":"a","image":"busybox",
        "volumeMounts":[{"name":"v","mountPath":"/v","subPath":")" + sub_path + R"("}]}]})");
  };
  REQUIRE(scene.prepare(with("..data/key")));
  const auto mounts = scene.mounts(with("..data/key"));
  REQUIRE(mounts);
  std::ifstream in((*mounts)[0].host_path);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "value");
  CHECK_FALSE(scene.mounts(with("../key")));
  CHECK_FALSE(scene.mounts(with("/etc")));
}
