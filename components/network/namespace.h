#pragma once
// Network namespaces (network_namespaces(7)). A namespace belongs to a thread, not to a process: one thread
// may enter one alone, what it opens there stays there, and any thread may use it. /proc/net shows the
// process leader's namespace; a thread that has entered another one reads /proc/thread-self/net.

#include <sys/types.h>

#include <compare>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/status.h"

namespace rusternetes::network {

// Equal for two descriptors of one namespace, however they were opened.
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const NamespaceId&) const = default;
};

// An open descriptor of a network namespace, which keeps the namespace alive. Copies share it.
class NetworkNamespace {
 public:
  // `path` is a /proc/PID/ns/net or a bind of one. NotFound: there is none, or its process has ended. Refuses what is no
  // network namespace (BadRequest).
  static Result<NetworkNamespace> open(const std::string& path);
  static Result<NetworkNamespace> of_process(pid_t pid);
  // Of the calling thread.
  static Result<NetworkNamespace> current();
  // A new one with `lo` up. It ends with the last descriptor, process and thread in it.
  static Result<NetworkNamespace> create();

  int fd() const { return *fd_; }
  const NamespaceId& id() const { return id_; }
  const std::string& name() const { return name_; }  // for messages
  bool operator==(const NetworkNamespace& other) const { return id_ == other.id_; }

 private:
  NetworkNamespace() = default;
  std::shared_ptr<const int> fd_;
  NamespaceId id_;
  std::string name_;
};

// Moves the calling thread into a namespace for good: for the prologue of a node's thread.
Result<> enter(const NetworkNamespace& target);

// The calling thread is inside until the end of the scope, on which it must still be the same thread. Failing
// to return ends the process, since whatever came next would act on the wrong network.
class [[nodiscard]] NamespaceScope {
 public:
  static Result<NamespaceScope> enter(const NetworkNamespace& target);
  NamespaceScope(NamespaceScope&& other) noexcept : original_(std::exchange(other.original_, std::nullopt)) {}
  NamespaceScope& operator=(NamespaceScope&&) = delete;
  ~NamespaceScope();

 private:
  explicit NamespaceScope(std::optional<NetworkNamespace> original) : original_(std::move(original)) {}
  std::optional<NetworkNamespace> original_;  // none when the thread was inside already
};

// Runs `work`, which returns a Result, inside `target` on the calling thread.
template <class F, class R = std::invoke_result_t<F>>
R inside(const NetworkNamespace& target, F&& work) {
  RN_TRY([[maybe_unused]] auto scope, NamespaceScope::enter(target));
  return std::forward<F>(work)();
}

// The same on a new thread, for work that starts threads of its own: they inherit the namespace. Waits for
// it, and rethrows what it throws.
template <class F, class R = std::invoke_result_t<F>>
R inside_thread(const NetworkNamespace& target, F&& work) {
  std::optional<R> result;
  std::exception_ptr error;
  std::thread([&] {
    if (auto entered = enter(target); !entered) {
      result.emplace(std::move(entered).error());
      return;
    }
    try {
      result.emplace(std::forward<F>(work)());
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
  return *std::move(result);
}

}  // namespace rusternetes::network
