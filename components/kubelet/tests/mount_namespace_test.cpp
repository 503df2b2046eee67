#include "kubelet/mount_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

using namespace rusternetes;

namespace {

// In a child, since one cannot come back. Its exit code.
template <class Work>
int in_child(Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(work());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("in another mount namespace, files have the names that they have there") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: needs root");
    return;
  }
  const std::string outside = fmt::format("/proc/{}/ns/mnt", ::getpid());
  const int code = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/mnt", "tmpfs", 0, nullptr) != 0)
      return 10;
    const int file = ::open("/mnt/only-here", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0 || !std::filesystem::exists("/mnt/only-here")) return 11;
    ::close(file);
    if (!kubelet::enter_mount_namespace(outside)) return 12;
    if (std::filesystem::exists("/mnt/only-here")) return 13;
    return kubelet::enter_mount_namespace(outside) ? 0 : 14;  // in it already
  });
  CHECK(code == 0);
}

TEST_CASE("a mount namespace that cannot be entered is named") {
  const auto none = kubelet::enter_mount_namespace("/proc/1/ns/none");
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("/proc/1/ns/none") != std::string::npos);
  CHECK_FALSE(kubelet::enter_mount_namespace("/proc/self/ns/net"));  // of another kind
}
