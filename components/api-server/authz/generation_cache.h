#pragma once
// Something immutable that is derived from the objects of a few resources, and derived again when one of them
// has changed. Any thread may ask; only one derives at a time, and the others wait for it, so that nobody
// decides upon rules older than the caches.

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "api-server/authorizer.h"

namespace rusternetes::api_server {

struct ResourceName {
  std::string_view group, resource;
};

template <class T, std::size_t N>
class GenerationCache {
 public:
  GenerationCache(const ObjectSource& source, std::array<ResourceName, N> resources)
      : source_(source), resources_(resources) {}

  // `derive(previous)` gives a std::shared_ptr<const T>; `previous` is null at first.
  template <class Derive>
  std::shared_ptr<const T> get(Derive&& derive) const {
    {
      std::lock_guard lock(mutex_);
      if (derived_ && generations_ == current()) return derived_;
    }
    std::lock_guard deriving(derive_mutex_);
    // Read before the objects are: a change in between makes the next caller derive again.
    const Generations now = current();
    std::shared_ptr<const T> previous;
    {
      std::lock_guard lock(mutex_);
      if (derived_ && generations_ == now) return derived_;
      previous = derived_;
    }
    std::shared_ptr<const T> fresh = derive(std::move(previous));
    std::lock_guard lock(mutex_);
    generations_ = now;
    derived_ = fresh;
    return fresh;
  }

 private:
  using Generations = std::array<std::uint64_t, N>;
  Generations current() const {
    Generations out{};
    for (std::size_t i = 0; i < N; ++i)
      out[i] = source_.generation(resources_[i].group, resources_[i].resource);
    return out;
  }

  const ObjectSource& source_;
  const std::array<ResourceName, N> resources_;
  mutable std::mutex derive_mutex_;
  mutable std::mutex mutex_;  // guards the rest; held for a moment only
  mutable Generations generations_{};
  mutable std::shared_ptr<const T> derived_;
};

}  // namespace rusternetes::api_server
