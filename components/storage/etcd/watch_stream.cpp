#include "storage/etcd/watch_stream.h"

#include "storage/etcd/call.h"

namespace rusternetes::storage::etcd {

WatchStream::WatchStream(std::shared_ptr<WatchSession> session, std::shared_ptr<Endpoint> endpoint)
    : session_(std::move(session)), endpoint_(std::move(endpoint)) {
  prepare(*context_);
  progress_.mutable_progress_request();
}

void WatchStream::begin(const WatchRequest& request, Revision start) {
  auto& create = *create_.mutable_create_request();
  create.set_key(request.key);
  create.set_range_end(request.range_end);
  create.set_start_revision(start);
  create.set_prev_kv(request.previous);
  create.set_progress_notify(true);
  if (!session_->host().pending().add(this)) return;
  {
    std::lock_guard lock(mutex_);
    self_ = shared_from_this();
    endpoint_->watch->async()->Watch(context_.get(), this);
    AddHold();
    is_held_ = true;
    StartWrite(&create_);
    StartRead(&response_);
  }
  StartCall();
}

void WatchStream::cancel() {
  std::lock_guard lock(mutex_);
  is_cancelled_ = true;
  // Not before the first write: gRPC would reset a stream that the server has not heard of, and the server,
  // by that, end the whole connection.
  if (is_held_ && !is_writing_) let_go_locked();
}

void WatchStream::read_on() {
  std::lock_guard lock(mutex_);
  if (is_held_) StartRead(&response_);
}

void WatchStream::request_progress() {
  std::lock_guard lock(mutex_);
  is_progress_due_ = true;
  if (is_held_ && !is_writing_) write_locked();
}

void WatchStream::write_locked() {
  is_progress_due_ = false;
  is_writing_ = true;
  StartWrite(&progress_);
}

void WatchStream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  is_writing_ = false;
  if (!is_held_) return;
  if (is_cancelled_)
    let_go_locked();
  else if (ok && is_progress_due_)
    write_locked();
}

void WatchStream::let_go_locked() {
  context_->TryCancel();
  is_held_ = false;
  RemoveHold();
}

void WatchStream::OnReadDone(bool ok) {
  if (ok) return session_->on_response(self_, response_);
  std::lock_guard lock(mutex_);
  if (std::exchange(is_held_, false)) RemoveHold();
}

void WatchStream::OnDone(const grpc::Status& status) {
  const auto self = std::move(self_);
  session_->on_end(self, status);
  auto& pending = session_->host().pending();
  // On this thread of gRPC's nobody may be the last to hold a channel.
  context_.reset();
  endpoint_.reset();
  pending.remove(this);  // the last that is done with the host
}

}  // namespace rusternetes::storage::etcd
