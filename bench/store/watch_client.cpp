#include "store/watch_client.h"

#include "store/requests.h"

namespace rusternetes::bench {

using namespace etcdserverpb;

WatchClient::WatchClient(const std::shared_ptr<grpc::Channel>& channel, std::vector<std::string> prefixes,
                         OnEvent on_event)
    : stub_(etcdserverpb::Watch::NewStub(channel)), prefixes_(std::move(prefixes)), on_event_(std::move(on_event)) {}

Result<std::unique_ptr<WatchClient>> WatchClient::open(const std::shared_ptr<grpc::Channel>& channel,
                                                       std::vector<std::string> prefixes, OnEvent on_event) {
  std::unique_ptr<WatchClient> client(new WatchClient(channel, std::move(prefixes), std::move(on_event)));
  client->begin();
  std::unique_lock lock(client->mutex_);
  const bool is_open = client->wake_.wait_for(lock, std::chrono::seconds(60), [&] {
    return client->is_done_ || !client->failure_.empty() || client->created_ == client->prefixes_.size();
  });
  std::string failure = !client->failure_.empty() ? client->failure_ : "the stream has ended";
  if (is_open && client->created_ == client->prefixes_.size()) return client;
  lock.unlock();
  return internal_error(is_open ? "watch: " + failure : "watch: not created within a minute");
}

WatchClient::~WatchClient() {
  context_.TryCancel();
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return is_done_; });
}

std::string WatchClient::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void WatchClient::begin() {
  stub_->async()->Watch(&context_, this);
  AddHold();  // writes come from the end of others, but none must keep it open
  StartRead(&response_);
  write_next();
  StartCall();
}

// As an api-server asks: the value before a change, too.
void WatchClient::write_next() {
  if (written_ == prefixes_.size()) return RemoveHold();
  request_.Clear();
  auto& create = *request_.mutable_create_request();
  create.set_key(prefixes_[written_]);
  create.set_range_end(range_end_of(prefixes_[written_]));
  create.set_prev_kv(true);
  ++written_;
  StartWrite(&request_);
}

void WatchClient::OnWriteDone(bool ok) {
  if (!ok) return RemoveHold();
  write_next();
}

void WatchClient::OnReadDone(bool ok) {
  if (!ok) return;
  for (const auto& event : response_.events()) on_event_(event);
  if (response_.created() || response_.canceled()) {
    std::lock_guard lock(mutex_);
    if (response_.canceled())
      failure_ = "a watch was cancelled: " + response_.cancel_reason();
    else
      ++created_;
    wake_.notify_all();
  }
  StartRead(&response_);
}

void WatchClient::OnDone(const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  is_done_ = true;
  if (failure_.empty() && status.error_code() != grpc::StatusCode::CANCELLED) failure_ = status.error_message();
  wake_.notify_all();
}

}  // namespace rusternetes::bench
