#pragma once
// One call for all who wait for its answer; who comes while one is under way shares the next, since that one
// may have been answered already.

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/status.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

class SharedCall {
 public:
  using Done = std::function<void(Result<Revision>)>;
  // `call` calls back once, on whatever thread.
  explicit SharedCall(std::function<void(Done)> call) : call_(std::move(call)) {}

  void ask(Done done) {
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(done));
      if (std::exchange(is_under_way_, true)) return;
    }
    next();
  }

 private:
  void next() {
    auto waiting = std::make_shared<std::vector<Done>>();
    {
      std::lock_guard lock(mutex_);
      waiting->swap(waiting_);
      if (waiting->empty()) {
        is_under_way_ = false;
        return;
      }
    }
    call_([this, waiting](Result<Revision> answer) {
      for (auto& done : *waiting) done(answer);
      next();
    });
  }

  const std::function<void(Done)> call_;
  std::mutex mutex_;
  bool is_under_way_ = false;
  std::vector<Done> waiting_;
};

}  // namespace rusternetes::storage::etcd
