#pragma once
// One changing command at a time in a home. The lock is an flock on a file, so a killed holder gives it up.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"

namespace rusternetes::state {

class HomeLock {
 public:
  // Nothing when another process holds it.
  static Result<std::optional<HomeLock>> try_acquire(const std::filesystem::path& path);
  // Waits for it; `on_wait` is called once, with what the holder wrote about itself, if there is one.
  static Result<HomeLock> acquire(const std::filesystem::path& path,
                                  const std::function<void(const std::string& holder)>& on_wait);
  ~HomeLock();
  HomeLock(HomeLock&& other) noexcept;
  HomeLock& operator=(HomeLock&& other) noexcept;

  // Removes the file while it is held: the home is about to go. Waiters notice and make a new one.
  void remove_file();

 private:
  HomeLock(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  void release();
  int fd_ = -1;
  std::filesystem::path path_;
};

}  // namespace rusternetes::state
