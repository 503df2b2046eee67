#include "storage/etcd/call.h"

namespace rusternetes::storage::etcd {

void prepare(grpc::ClientContext& context) { context.AddMetadata("hasleader", "true"); }

std::chrono::milliseconds retry_delay(int failures, std::size_t servers) {
  const int rounds = failures / static_cast<int>(servers);
  if (rounds == 0 && servers > 1) return std::chrono::milliseconds(0);
  // An election takes a second or two: who waits for its end is not to sleep past it for long.
  return std::chrono::milliseconds(std::min(250, 50 << std::min(rounds, 5)));
}

bool PendingCalls::add(Pending* call) {
  std::lock_guard lock(mutex_);
  if (is_closing_) return false;
  all_.insert(call);
  return true;
}

void PendingCalls::remove(Pending* call) {
  std::lock_guard lock(mutex_);
  all_.erase(call);
  if (all_.empty()) wake_.notify_all();
}

void PendingCalls::close() {
  std::unique_lock lock(mutex_);
  is_closing_ = true;
  for (auto* call : all_) call->cancel();
  wake_.wait(lock, [&] { return all_.empty(); });
}

}  // namespace rusternetes::storage::etcd
