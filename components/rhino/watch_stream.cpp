#include "rhino/watch_stream.h"

#include <algorithm>
#include <random>

#include "rhino/convert.h"

namespace rusternetes::rhino {

using namespace etcdserverpb;

namespace {

// Of events that wait to be sent: beyond the first the store keeps them, below the second it is asked again.
constexpr std::size_t most_queued_bytes = 8 << 20, low_queued_bytes = 1 << 20;
// What etcd adds to the size of a request before it cuts messages.
constexpr std::size_t overhead_bytes = 512 << 10;
constexpr std::size_t most_queued_answers = 4096;
constexpr std::int64_t invalid_id = -1;

std::size_t bytes_of(const storage::KeyValue& kv) {
  return kv.key.size() + (kv.value ? kv.value->size() : 0) + 32;
}

std::size_t bytes_of(const storage::WatchBatch& batch) {
  std::size_t bytes = 64;
  for (const auto& event : batch.events)
    bytes += bytes_of(event.kv) + (event.previous ? bytes_of(*event.previous) : 0);
  return bytes;
}

}  // namespace

WatchStream::WatchStream(Member& member, Streams& streams, WorkerThread& pump)
    : StreamReactor(streams), member_(member), pump_(pump) {
  ++member_.counters.watch_streams;
}

void WatchStream::start() {
  arm_progress();
  read_next();
}

void WatchStream::OnCancel() {
  finish({grpc::StatusCode::CANCELLED, "etcdserver: watch canceled"});
}

void WatchStream::on_done() {
  {
    std::lock_guard lock(mutex_);
    progress_alarm_.reset();
  }
  drop_watches();
  --member_.counters.watch_streams;
}

void WatchStream::drop_watches() {
  std::map<std::int64_t, std::shared_ptr<Entry>> dropped;
  {
    std::lock_guard lock(mutex_);
    dropped.swap(watches_);
  }
  for (const auto& [_, entry] : dropped)
    if (entry->watch) --member_.counters.watchers;
}

void WatchStream::OnReadDone(bool ok) {
  if (!ok) return;  // the client has said all it will; if it is gone, OnCancel says so
  switch (request_.request_union_case()) {
    case Request::kCreateRequest: create(request_.create_request()); break;
    case Request::kCancelRequest: cancel(request_.cancel_request().watch_id()); break;
    case Request::kProgressRequest: progress(); break;
    default: break;
  }
  read_next();
}

void WatchStream::read_next() {
  std::lock_guard lock(mutex_);
  is_read_due_ = queue_.size() > most_queued_answers;
  if (!is_finished_ && !is_read_due_) StartRead(&request_);
}

std::unique_ptr<WatchResponse> WatchStream::make_response(std::int64_t id, storage::Revision revision) const {
  auto response = std::make_unique<Response>();
  member_.fill(*response->mutable_header(), revision);
  response->set_watch_id(id);
  return response;
}

void WatchStream::create(const WatchCreateRequest& request) {
  const storage::Revision now = member_.store().current_revision();
  auto refuse = [&](const char* reason) {
    auto response = make_response(invalid_id, now);
    response->set_created(true);
    response->set_canceled(true);
    response->set_cancel_reason(reason);
    queue(std::move(response));
  };
  if (request.start_revision() < 0) return refuse("etcdserver: mvcc: required revision has been compacted");
  storage::WatchRequest wanted;
  wanted.key = request.key().empty() ? std::string(1, '\0') : request.key();
  wanted.range_end = request.range_end();
  const bool is_from_key = wanted.range_end == std::string_view("\0", 1);
  if (!wanted.range_end.empty() && !is_from_key && wanted.key >= wanted.range_end)
    return refuse("mvcc: watcher range is empty");
  // What the header says is what the watch has seen: a client goes on from there.
  wanted.start_revision = request.start_revision() ? request.start_revision() : now + 1;
  wanted.previous = request.prev_kv();

  auto entry = std::make_shared<Entry>();
  for (const auto filter : request.filters())
    (filter == WatchCreateRequest::NOPUT ? entry->drops_puts : entry->drops_removals) = true;
  entry->is_fragmented = request.fragment();
  entry->wants_progress = request.progress_notify();
  std::int64_t id = request.watch_id();
  bool is_new = true;
  {
    std::lock_guard lock(mutex_);
    if (id == 0) {
      while (watches_.contains(next_id_)) ++next_id_;
      id = next_id_++;
    }
    is_new = watches_.emplace(id, entry).second;
  }
  if (!is_new) return refuse("mvcc: duplicate watch ID provided on the WatchStream");
  auto created = make_response(id, now);
  created->set_created(true);
  queue(std::move(created));
  auto watch = member_.store().watch(
      std::move(wanted),
      [this, id](std::shared_ptr<const storage::WatchBatch> batch) { return accept(id, std::move(batch)); });
  if (!watch) {
    auto failed = std::make_shared<storage::WatchBatch>();
    failed->error = watch.error();
    failed->compact_revision = member_.store().compact_revision();
    accept(id, failed);
    return;
  }
  ++member_.counters.watchers;
  {
    std::lock_guard lock(mutex_);
    entry->watch = std::move(*watch);
  }
  resume_full();
}

void WatchStream::cancel(std::int64_t id) {
  std::shared_ptr<storage::Watch> dropped;
  {
    std::lock_guard lock(mutex_);
    auto it = watches_.find(id);
    if (it == watches_.end()) return;
    dropped = std::move(it->second->watch);
    watches_.erase(it);
  }
  if (dropped) --member_.counters.watchers;
  dropped.reset();
  auto response = make_response(id, member_.store().current_revision());
  response->set_canceled(true);
  queue(std::move(response));
}

// An answer only if everybody on the stream is in step; a client asks again.
void WatchStream::progress() {
  std::vector<std::shared_ptr<storage::Watch>> held;
  std::vector<const storage::Watch*> watches;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [_, entry] : watches_) {
      if (!entry->watch) continue;
      held.push_back(entry->watch);
      watches.push_back(entry->watch.get());
    }
  }
  if (auto revision = member_.store().synced_revision(watches)) queue(make_response(invalid_id, *revision));
}

void WatchStream::arm_progress() {
  static thread_local std::mt19937 random{std::random_device{}()};
  // Up to a tenth more, so that streams that began together do not all send together.
  const auto interval =
      std::chrono::duration_cast<std::chrono::microseconds>(member_.options().progress_notify_interval);
  const auto jitter = interval * static_cast<int>(random() % 1000) / 10'000;
  const auto due = std::chrono::system_clock::now() + interval + jitter;
  std::weak_ptr<Stream> weak = weak_from_this();
  progress_alarm_ = std::make_unique<grpc::Alarm>();
  progress_alarm_->Set(due, [this, weak](bool is_due) {
    const auto self = weak.lock();
    if (!is_due || !self) return;
    send_due_progress();
    std::lock_guard lock(mutex_);
    if (!is_finished_) arm_progress();
  });
}

void WatchStream::send_due_progress() {
  std::vector<std::pair<std::int64_t, std::shared_ptr<storage::Watch>>> due;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : watches_) {
      if (!entry->wants_progress || !entry->watch) continue;
      if (std::exchange(entry->is_progress_due, true)) due.emplace_back(id, entry->watch);
    }
  }
  for (const auto& [id, watch] : due)
    if (auto revision = member_.store().synced_revision({watch.get()})) queue(make_response(id, *revision));
}

// On a thread of the store's.
bool WatchStream::accept(std::int64_t id, std::shared_ptr<const storage::WatchBatch> batch) {
  if (batch->is_error()) {
    auto response = std::make_unique<Response>();
    member_.fill(*response->mutable_header());
    response->mutable_header()->set_revision(0);
    response->set_watch_id(id);
    response->set_canceled(true);
    if (batch->error.is(storage::reason_compacted))
      response->set_compact_revision(batch->compact_revision);
    else
      response->set_cancel_reason("etcdserver: " + batch->error.message);
    queue(std::move(response));
    return true;
  }
  const std::size_t bytes = bytes_of(*batch);
  std::lock_guard lock(mutex_);
  if (is_finished_) return true;
  if (queued_bytes_ > 0 && queued_bytes_ + bytes > most_queued_bytes) {
    full_.push_back(id);
    return false;
  }
  queued_bytes_ += bytes;
  queue_.emplace_back(Events{id, std::move(batch), bytes});
  schedule_locked();
  return true;
}

void WatchStream::queue(std::unique_ptr<Response> response) {
  std::lock_guard lock(mutex_);
  if (is_finished_) return;
  queue_.emplace_back(std::move(response));
  schedule_locked();
}

void WatchStream::schedule_locked() {
  if (is_writing_) return;
  is_writing_ = true;
  pump_.post([self = std::static_pointer_cast<WatchStream>(shared_from_this())] { self->write_next(); });
}

void WatchStream::OnWriteDone(bool ok) {
  if (!ok) return finish(grpc::Status::OK);
  write_next();
}

void WatchStream::write_next() {
  const bool has_next = take_next();
  {
    std::lock_guard lock(mutex_);
    if (is_finished_) return;
    if (has_next) StartWrite(&sending_);
    if (is_read_due_ && queue_.size() < most_queued_answers / 2) {
      is_read_due_ = false;
      StartRead(&request_);
    }
  }
  resume_full();
}

void WatchStream::resume_full() {
  std::vector<std::shared_ptr<storage::Watch>> resumed;
  {
    std::lock_guard lock(mutex_);
    if (queued_bytes_ >= low_queued_bytes) return;
    std::erase_if(full_, [&](std::int64_t id) {
      const auto it = watches_.find(id);
      if (it == watches_.end()) return true;
      if (!it->second->watch) return false;  // create() comes here once it is there
      resumed.push_back(it->second->watch);
      return true;
    });
  }
  for (const auto& watch : resumed) watch->resume();
}

bool WatchStream::take_next() {
  for (;;) {
    if (!parts_.empty()) {
      sending_ = std::move(parts_.front());
      parts_.pop_front();
      return true;
    }
    Item item;
    {
      std::lock_guard lock(mutex_);
      if (queue_.empty()) {
        is_writing_ = false;
        return false;
      }
      item = std::move(queue_.front());
      queue_.pop_front();
      if (auto* events = std::get_if<Events>(&item)) queued_bytes_ -= events->bytes;
    }
    if (auto* response = std::get_if<std::unique_ptr<Response>>(&item)) {
      sending_ = std::move(**response);
      return true;
    }
    if (fill_events(std::move(std::get<Events>(item)))) split();
    if (sending_.events_size() > 0) return true;
  }
}

std::size_t WatchStream::fragment_bytes() const {
  return member_.options().max_request_bytes + overhead_bytes;
}

bool WatchStream::fill_events(Events&& events) {
  std::shared_ptr<Entry> entry;
  sending_.Clear();
  {
    std::lock_guard lock(mutex_);
    auto it = watches_.find(events.id);
    if (it == watches_.end()) return false;  // cancelled since
    entry = it->second;
    entry->is_progress_due = false;
  }
  member_.fill(*sending_.mutable_header(), events.batch->revision);
  sending_.set_watch_id(events.id);
  sending_.mutable_events()->Reserve(static_cast<int>(events.batch->events.size()));
  for (const auto& event : events.batch->events) {
    if (event.type == storage::Event::Type::put ? entry->drops_puts : entry->drops_removals) continue;
    to_proto(event, *sending_.add_events());
  }
  member_.counters.events += sending_.events_size();
  return entry->is_fragmented && sending_.events_size() > 1 && sending_.ByteSizeLong() >= fragment_bytes();
}

// The message becomes several, each below the size of a request unless one event alone is not.
void WatchStream::split() {
  Response whole;
  whole.Swap(&sending_);
  auto begin_part = [&] {
    Response& part = parts_.emplace_back();
    *part.mutable_header() = whole.header();
    part.set_watch_id(whole.watch_id());
    part.set_fragment(true);
    return part.ByteSizeLong();
  };
  std::size_t size = begin_part();
  for (auto& event : *whole.mutable_events()) {
    const std::size_t bytes = event.ByteSizeLong() + 8;
    if (parts_.back().events_size() > 0 && size + bytes >= fragment_bytes()) size = begin_part();
    size += bytes;
    *parts_.back().add_events() = std::move(event);
  }
  parts_.back().set_fragment(false);
  sending_ = std::move(parts_.front());
  parts_.pop_front();
}

}  // namespace rusternetes::rhino
