#include "network/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network/netlink.h"

namespace rusternetes::network {

Result<NetworkNamespace> NetworkNamespace::open(const std::string& path) {
  // O_NONBLOCK: a path that is a fifo must not hang the caller.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    Status status = errno_error(fmt::format("open network namespace {}", path), error);
    if (error == ENOENT || error == ESRCH) status.code = 404, status.reason = "NotFound";
    return status;
  }
  NetworkNamespace result;
  result.fd_ = std::shared_ptr<const int>(new int(fd), [](const int* held) {
    ::close(*held);
    delete held;
  });
  result.name_ = path;
  if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
    return Status{400, "BadRequest", fmt::format("{} is not a network namespace", path)};
  struct stat info {};
  if (fstat(fd, &info) != 0) return errno_error(fmt::format("stat network namespace {}", path), errno);
  result.id_ = {info.st_dev, info.st_ino};
  return result;
}

Result<NetworkNamespace> NetworkNamespace::of_process(pid_t pid) {
  return open(fmt::format("/proc/{}/ns/net", pid));
}

Result<NetworkNamespace> NetworkNamespace::current() { return open("/proc/thread-self/ns/net"); }

Result<NetworkNamespace> NetworkNamespace::create() {
  // On a thread of its own, so that no failure can leave the caller in the new namespace.
  Result<NetworkNamespace> made = internal_error("not run");
  std::thread([&] {
    made = [&]() -> Result<NetworkNamespace> {
      if (unshare(CLONE_NEWNET) != 0) return errno_error("make a network namespace", errno);
      RN_TRY(auto created, current());
      created.name_ = fmt::format("net:[{}]", created.id_.inode);
      RN_TRY(auto netlink, Netlink::open());
      RN_CHECK(netlink.set_up("lo"));
      return created;
    }();
  }).join();
  return made;
}

Result<> enter(const NetworkNamespace& target) {
  if (setns(target.fd(), CLONE_NEWNET) != 0)
    return errno_error(fmt::format("enter network namespace {}", target.name()), errno);
  return {};
}

Result<NamespaceScope> NamespaceScope::enter(const NetworkNamespace& target) {
  RN_TRY(auto original, NetworkNamespace::current());
  if (original == target) return NamespaceScope{std::nullopt};
  RN_CHECK(network::enter(target));
  return NamespaceScope{std::move(original)};
}

NamespaceScope::~NamespaceScope() {
  if (!original_) return;
  const auto returned = network::enter(*original_);
  RN_ASSERT(returned.has_value(), "a thread returns to its own network namespace");
}

}  // namespace rusternetes::network
