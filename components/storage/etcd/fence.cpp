#include "storage/etcd/fence.h"

#include <algorithm>

#include "storage/etcd/repeat.h"

namespace rusternetes::storage::etcd {

using std::chrono::milliseconds;
using std::chrono::system_clock;

namespace {

// A member that has no leader yet loses what it is given: how long until it is given it again.
constexpr milliseconds interval{250};
// One that has a leader answers sooner.
constexpr milliseconds attempt_timeout{2'000};

}  // namespace

void FenceCall::begin(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, Done done) {
  auto call = std::make_shared<FenceCall>(endpoints, pending, options, std::move(done));
  if (pending.add(call.get()))
    call->ask_all();
  else
    call->done_(Status{503, "Closed", "the store is closing"});
}

FenceCall::FenceCall(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, Done done)
    : endpoints_(endpoints),
      pending_(pending),
      done_(std::move(done)),
      deadline_(system_clock::now() + options.read_timeout) {
  request_.set_key(write_fence_key);
}

void FenceCall::cancel() {
  std::lock_guard lock(mutex_);
  for (auto& attempt : attempts_)
    if (attempt->is_in_flight) attempt->context.TryCancel();
  if (alarm_) alarm_->Cancel();
}

void FenceCall::ask_all() {
  std::vector<Attempt*> fresh;
  {
    std::lock_guard lock(mutex_);
    if (is_done_) return;
    std::erase_if(attempts_, [](const auto& one) { return !one->is_in_flight; });
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      auto& attempt = *attempts_.emplace_back(std::make_unique<Attempt>());
      attempt.endpoint = endpoints_.at(i);
      prepare(attempt.context);
      attempt.context.set_deadline(std::min(deadline_, system_clock::now() + attempt_timeout));
      if (pending_.is_closing()) attempt.context.TryCancel();
      fresh.push_back(&attempt);
    }
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(system_clock::now() + interval, [self = shared_from_this()](bool) { self->on_alarm(); });
    if (pending_.is_closing()) alarm_->Cancel();
  }
  // Each stays until its callback has come, and the endpoint with it.
  for (Attempt* attempt : fresh)
    attempt->endpoint->kv->async()->Put(
        &attempt->context, &request_, &attempt->response,
        [self = shared_from_this(), attempt](const grpc::Status& status) { self->ended(*attempt, status); });
}

void FenceCall::ended(Attempt& attempt, const grpc::Status& status) {
  std::unique_lock lock(mutex_);
  attempt.is_in_flight = false;
  if (is_done_) return retire(std::move(lock));
  if (status.ok()) {
    endpoints_.prefer(attempt.endpoint);
    return finish(std::move(lock), attempt.response.header().revision());
  }
  last_error_ = to_status(status);
  if (!is_server_failing(status)) return finish(std::move(lock), last_error_);
}

void FenceCall::on_alarm() {
  std::unique_lock lock(mutex_);
  if (is_done_) return;
  if (pending_.is_closing() || system_clock::now() >= deadline_) return finish(std::move(lock), last_error_);
  lock.unlock();
  ask_all();
}

void FenceCall::finish(std::unique_lock<std::mutex> lock, Result<Revision> result) {
  is_done_ = true;
  for (auto& attempt : attempts_)
    if (attempt->is_in_flight) attempt->context.TryCancel();
  if (alarm_) alarm_->Cancel();
  lock.unlock();
  std::exchange(done_, nullptr)(std::move(result));
  lock.lock();
  has_told_ = true;
  retire(std::move(lock));
}

// Once it has told, and nothing is under way, nothing of the store's is used any more.
void FenceCall::retire(std::unique_lock<std::mutex> lock) {
  if (!has_told_ || is_any_in_flight() || std::exchange(is_removed_, true)) return;
  // On this thread of gRPC's nobody may be the last to hold a channel.
  attempts_.clear();
  alarm_.reset();
  lock.unlock();
  pending_.remove(this);
}

bool FenceCall::is_any_in_flight() const {
  return std::ranges::any_of(attempts_, [](const auto& one) { return one->is_in_flight; });
}

}  // namespace rusternetes::storage::etcd
