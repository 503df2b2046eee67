#include "storage/etcd/watch_session.h"

#include <algorithm>

#include "base/log.h"
#include "storage/etcd/convert.h"
#include "storage/etcd/watch_stream.h"

namespace rusternetes::storage::etcd {
namespace {

constexpr auto progress_retry = std::chrono::milliseconds(100);

// `then` is not called after the alarm was cancelled or destroyed.
void set_alarm(std::unique_ptr<grpc::Alarm>& alarm, std::chrono::milliseconds delay,
               std::weak_ptr<WatchSession> session, void (*then)(WatchSession&)) {
  alarm = std::make_unique<grpc::Alarm>();
  alarm->Set(std::chrono::system_clock::now() + delay, [session = std::move(session), then](bool is_due) {
    if (!is_due) return;
    if (auto kept = session.lock()) then(*kept);
  });
}

}  // namespace

WatchSession::WatchSession(SessionHost& host, WatchRequest request, Store::WatchCallback callback)
    : host_(host),
      request_(std::move(request)),
      callback_(std::move(callback)),
      delivered_(request_.start_revision - 1) {}

bool WatchSession::watches_everything() const {
  return request_.key == std::string_view("\0", 1) && request_.range_end == std::string_view("\0", 1);
}

void WatchSession::start() { connect(); }

void WatchSession::connect() {
  std::shared_ptr<WatchStream> stream;
  Revision start = 0;
  {
    std::lock_guard lock(mutex_);
    if (is_closed_) return;
    stream = stream_ = std::make_shared<WatchStream>(shared_from_this(), host_.endpoints().current());
    start = delivered_ + 1;
  }
  stream->begin(request_, start);
}

void WatchSession::connect_later() {
  std::lock_guard lock(mutex_);
  if (is_closed_) return;
  set_alarm(connect_alarm_, retry_delay(failures_++, host_.endpoints().size()), weak_from_this(),
            [](WatchSession& self) { self.connect(); });
}

void WatchSession::close() {
  std::shared_ptr<WatchStream> stream;
  std::lock_guard delivery(delivery_mutex_);  // no callback runs now, and none will
  {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
    stream = std::move(stream_);
    connect_alarm_.reset();
    stale_alarm_.reset();
    progress_alarm_.reset();
    refused_ = nullptr;
  }
  if (stream) stream->cancel();
  callback_ = nullptr;
}

void WatchSession::on_response(const std::shared_ptr<WatchStream>& stream,
                               etcdserverpb::WatchResponse& response) {
  {
    std::lock_guard lock(mutex_);
    if (is_closed_ || stream != stream_) return;
    if (!response.created() && !response.canceled()) failures_ = 0;
  }
  host_.observe(response.header().revision());
  if (response.canceled()) {
    if (response.compact_revision() > 0 || response.cancel_reason().find("compacted") != std::string::npos) {
      host_.observe_compacted(response.compact_revision());
      return fail({410, reason_compacted, "required revision has been compacted"},
                  response.compact_revision());
    }
    log::warn("etcd", "{} ended a watch: {}", stream->endpoint()->name, response.cancel_reason());
    stream->cancel();
    return;
  }
  auto batch = std::make_shared<WatchBatch>();
  if (response.events_size() > 0) {
    batch->events.reserve(static_cast<std::size_t>(response.events_size()));
    for (auto& event : *response.mutable_events()) batch->events.push_back(from_proto(event));
    batch->revision = batch->events.back().kv.mod_revision;  // the header's may be of events still to come
  } else if (!response.created()) {
    batch->revision = response.header().revision();  // progress
  }
  if (batch->revision == 0 || deliver(std::move(batch))) stream->read_on();
}

bool WatchSession::deliver(std::shared_ptr<const WatchBatch> batch) {
  std::lock_guard delivery(delivery_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (is_closed_) return false;
    is_progress_wanted_ = false;
    // Nothing new, as after a progress request that crossed with events.
    if (batch->events.empty() && batch->revision < delivered_) return true;
  }
  const bool is_taken = callback_(batch);
  std::lock_guard lock(mutex_);
  if (is_taken && batch->revision > delivered_) moves_ = 0;
  if (is_taken)
    delivered_ = std::max(delivered_, batch->revision);
  else if (!batch->events.empty())
    refused_ = std::move(batch);
  return refused_ == nullptr;
}

void WatchSession::resume() {
  std::shared_ptr<const WatchBatch> batch;
  {
    std::lock_guard lock(mutex_);
    batch = std::exchange(refused_, nullptr);
  }
  if (!batch || !deliver(batch)) return;
  std::shared_ptr<WatchStream> stream;
  {
    std::lock_guard lock(mutex_);
    stream = stream_;
  }
  if (stream) stream->read_on();
}

void WatchSession::fail(Status error, Revision compact_revision) {
  auto batch = std::make_shared<WatchBatch>();
  batch->error = std::move(error);
  batch->compact_revision = compact_revision;
  {
    std::lock_guard delivery(delivery_mutex_);
    bool is_closed = false;
    {
      std::lock_guard lock(mutex_);
      is_closed = is_closed_;
    }
    if (!is_closed) callback_(batch);
  }
  std::shared_ptr<WatchStream> stream;
  {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
    stream = std::move(stream_);
  }
  if (stream) stream->cancel();
}

void WatchSession::on_end(const std::shared_ptr<WatchStream>& stream, const grpc::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (is_closed_ || stream != stream_) return;
    stream_ = nullptr;
    // It comes again on the next stream.
    refused_ = nullptr;
  }
  host_.endpoints().failed(stream->endpoint());
  log::debug("etcd", "a watch of {} broke: {}", stream->endpoint()->name, status.error_message());
  connect_later();
}

// A read of the server that is asked now has seen `revision`. If this watch, on another one, does not get
// there, that server is cut off or stands still, which its connection alone would tell only much later.
void WatchSession::expect(Revision revision) {
  std::lock_guard lock(mutex_);
  if (is_closed_ || !watches_everything() || delivered_ >= revision || refused_) return;
  expected_ = std::max(expected_, revision);
  if (std::exchange(is_checking_, true)) return;
  check_later();
}

void WatchSession::check_later() {
  checked_from_ = delivered_;
  // Where there is no other member, and after moves that did not help, it may be the host that is slow.
  const int doublings = std::min(moves_, 4) + (host_.endpoints().size() > 1 ? 0 : 2);
  set_alarm(stale_alarm_, host_.options().stale_watch * (1 << doublings), weak_from_this(),
            [](WatchSession& self) { self.check(); });
}

void WatchSession::check() {
  std::shared_ptr<WatchStream> stale;
  {
    std::lock_guard lock(mutex_);
    is_checking_ = false;
    if (is_closed_ || refused_ || !stream_ || delivered_ >= expected_) return;
    const bool is_asked = stream_->endpoint() == host_.endpoints().current() && host_.endpoints().size() > 1;
    if (delivered_ > checked_from_ || is_asked) {  // it moves, or calls will tell; it may stop yet
      is_checking_ = true;
      return check_later();
    }
    ++moves_;
    stale = std::move(stream_);
  }
  log::warn("etcd", "a watch of {} stands still; it goes on elsewhere", stale->endpoint()->name);
  stale->cancel();
  connect();
}

void WatchSession::request_progress() {
  const bool is_asked = host_.has_progress_requests();
  bool is_ahead = false;
  {
    std::lock_guard lock(mutex_);
    is_progress_wanted_ = is_asked;
    is_ahead = delivered_ < request_.start_revision;
  }
  // Each revision has an event that a watch of everything gets: it need only come as far as the store is now.
  // And etcd says nothing of a watch that starts at a revision still to come.
  if (!is_asked || is_ahead)
    host_.newest([weak = weak_from_this()](Result<Revision> newest) {
      const auto self = weak.lock();
      if (self && newest) self->say_progress(*newest);
    });
  if (is_asked) ask_for_progress();
}

// A server whose watches are not in step leaves the request unanswered.
void WatchSession::ask_for_progress() {
  std::shared_ptr<WatchStream> stream;
  {
    std::lock_guard lock(mutex_);
    if (is_closed_ || !is_progress_wanted_) return;
    stream = stream_;
    set_alarm(progress_alarm_, progress_retry, weak_from_this(),
              [](WatchSession& self) { self.ask_for_progress(); });
  }
  if (stream) stream->request_progress();
}

void WatchSession::say_progress(Revision revision) {
  {
    std::lock_guard lock(mutex_);
    if (is_closed_ || delivered_ < revision) return;  // the events on the way say it
  }
  auto batch = std::make_shared<WatchBatch>();
  batch->revision = revision;
  deliver(std::move(batch));
}

}  // namespace rusternetes::storage::etcd
