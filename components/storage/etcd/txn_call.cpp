#include "storage/etcd/txn_call.h"

#include <algorithm>

#include "storage/etcd/convert.h"

namespace rusternetes::storage::etcd {

namespace pb = etcdserverpb;
using std::chrono::milliseconds;
using std::chrono::system_clock;

namespace {

// How long a refused repetition waits for the answer of an attempt that is still under way.
constexpr milliseconds last_answers{100};

Revision mod_revision_of(const pb::RangeResponse& response) {
  return response.kvs_size() == 0 ? 0 : response.kvs(0).mod_revision();
}

// If the transaction is refused it reads the key it makes, and the fence.
void add_fence(pb::TxnRequest& message) {
  auto& compare = *message.add_compare();
  compare.set_key(write_fence_key);
  compare.set_target(pb::Compare::MOD);
  compare.set_result(pb::Compare::EQUAL);
  message.add_failure()->mutable_request_range()->set_key(message.success(0).request_put().key());
  message.add_failure()->mutable_request_range()->set_key(write_fence_key);
}

void drop_values(TxnRequest& request) {
  for (auto* operations : {&request.success, &request.failure})
    for (auto& operation : *operations)
      if (auto* put = std::get_if<PutRequest>(&operation)) put->value = nullptr;
}

}  // namespace

void TxnCall::begin(Host host, TxnRequest request, Done done) {
  auto call = std::make_shared<TxnCall>(host, std::move(request), std::move(done));
  if (host.pending.add(call.get()))
    call->send();
  else
    call->done_(Status{503, "Closed", "the store is closing"});
}

TxnCall::TxnCall(Host host, TxnRequest request, Done done)
    : host_(host),
      repeat_(repeat_of(request)),
      kept_(std::move(request)),
      done_(std::move(done)),
      begun_at_(host.revision.load()),
      deadline_(system_clock::now() + host.options.read_timeout) {
  to_proto(kept_, message_);
  drop_values(kept_);
  if (repeat_.is_recognizable) add_fence(message_);
}

void TxnCall::cancel() {
  std::lock_guard lock(mutex_);
  for (auto& attempt : attempts_)
    if (attempt->state == Attempt::State::in_flight) attempt->context.TryCancel();
  if (alarm_) alarm_->Cancel();
}

void TxnCall::send() {
  Attempt* attempt = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (is_done_) return;
    std::erase_if(attempts_, [](const auto& one) { return one->state == Attempt::State::unsent; });
    attempt = attempts_.emplace_back(std::make_unique<Attempt>()).get();
    attempt->endpoint = host_.endpoints.current();
    attempt->request = message_;
    if (repeat_.is_recognizable) {
      attempt->fence = host_.fence.load();
      attempt->request.mutable_compare()->rbegin()->set_mod_revision(attempt->fence);
    }
    prepare(attempt->context);
    const auto attempt_end = system_clock::now() + host_.options.attempt_timeout;
    attempt->context.set_deadline(repeat_.is_safe ? deadline_ : std::min(deadline_, attempt_end));
    if (host_.pending.is_closing()) attempt->context.TryCancel();
    const auto sent = static_cast<int>(std::min<std::size_t>(attempts_.size(), 4));
    if (repeat_.is_safe) set_alarm(Wait::patience, host_.options.patience * sent);
  }
  // It stays until its callback has come.
  attempt->endpoint->kv->async()->Txn(
      &attempt->context, &attempt->request, &attempt->response,
      [self = shared_from_this(), attempt](const grpc::Status& status) { self->ended(*attempt, status); });
}

void TxnCall::ended(Attempt& attempt, const grpc::Status& status) {
  Next next;
  {
    std::lock_guard lock(mutex_);
    attempt.state = Attempt::State::lost;
    if (!is_done_) next = after(attempt, status);
  }
  run(std::move(next));
}

TxnCall::Next TxnCall::after(Attempt& attempt, const grpc::Status& status) {
  if (status.ok()) {
    if (!attempt.response.succeeded()) return after_refusal(attempt);
    return finish(from_proto(kept_, attempt.response, attempt.response.header().revision()));
  }
  last_error_ = to_status(status);
  if (!is_server_failing(status) || host_.pending.is_closing()) return finish(last_error_);
  host_.endpoints.failed(attempt.endpoint);
  if (is_surely_unsent(status)) {
    attempt.state = Attempt::State::unsent;
    const auto delay = retry_delay(failures_++, host_.endpoints.size());
    if (system_clock::now() + delay >= deadline_) return finish_open();
    set_alarm(Wait::retry, delay);
    return {};
  }
  if (!repeat_.is_safe || system_clock::now() >= deadline_) return finish_open();
  const bool is_refused =
      std::ranges::any_of(attempts_, [](const auto& one) { return one->state == Attempt::State::refused; });
  if (is_refused && !is_any_in_flight()) return finish_open();
  return raise();
}

TxnCall::Next TxnCall::raise() { return std::exchange(is_raising_, true) ? Next{} : Next{Next::What::raise}; }

TxnCall::Next TxnCall::after_refusal(Attempt& attempt) {
  attempt.state = Attempt::State::refused;
  auto& response = attempt.response;
  Refusal refusal;
  Revision found_at = 0;
  if (repeat_.is_recognizable && response.responses_size() >= 2) {
    const int first = response.responses_size() - 2;
    const auto& made = response.responses(first).response_range();
    refusal.fence_sent = attempt.fence;
    refusal.fence_seen = mod_revision_of(response.responses(first + 1).response_range());
    host_.fence = refusal.fence_seen;
    if (made.kvs_size() > 0) {
      const auto& kv = made.kvs(0);
      const bool is_ours = kv.value() == message_.success(0).request_put().value();
      refusal.found = Refusal::Found{is_ours, kv.create_revision()};
      found_at = kv.mod_revision();
    }
    response.mutable_responses()->DeleteSubrange(first, 2);
  }
  switch (judge(repeat_, refusal, others_than(attempt), begun_at_)) {
    case Verdict::refused:
      return finish(from_proto(kept_, response, response.header().revision()));
    case Verdict::happened:
      return finish(made_up(found_at));
    case Verdict::again:
      return system_clock::now() < deadline_ ? Next{Next::What::send} : finish_open();
    case Verdict::wait:
      set_alarm(Wait::last_answers, last_answers);
      return {};
    case Verdict::unknown:
      break;
  }
  return finish_open();
}

void TxnCall::on_alarm(std::uint64_t number) {
  Next next;
  {
    std::lock_guard lock(mutex_);
    if (is_done_ || number != alarm_number_) return;
    if (host_.pending.is_closing()) {
      // What is under way was cancelled and ends by itself.
      if (!is_any_in_flight() && !is_raising_) next = finish(Status{503, "Closed", "the store is closing"});
    } else {
      switch (waits_for_) {
        case Wait::retry:
          next.what = Next::What::send;
          break;
        case Wait::patience:
          next = raise();
          break;
        case Wait::last_answers:
          next = finish_open();
          break;
      }
    }
  }
  run(std::move(next));
}

void TxnCall::on_raised(Result<Revision> fence) {
  Next next;
  {
    std::lock_guard lock(mutex_);
    is_raising_ = false;
    if (is_done_) {
      // The answer came meanwhile.
    } else if (fence) {
      host_.fence = *fence;
      next = system_clock::now() < deadline_ ? Next{Next::What::send} : finish_open();
    } else if (!is_any_in_flight()) {
      next = finish_open();
    }
  }
  run(std::move(next));
}

void TxnCall::run(Next next) {
  if (next.what == Next::What::send) {
    send();
  } else if (next.what == Next::What::raise) {
    host_.raise_fence.ask(
        [self = shared_from_this()](Result<Revision> fence) { self->on_raised(std::move(fence)); });
  } else if (next.what == Next::What::finish) {
    std::exchange(done_, nullptr)(std::move(next.result));
    std::lock_guard lock(mutex_);
    has_told_ = true;
  }
  retire();
}

// Once it has told, and no attempt is under way, nothing of the host is used any more.
void TxnCall::retire() {
  {
    std::lock_guard lock(mutex_);
    if (!has_told_ || is_raising_ || is_any_in_flight() || std::exchange(is_removed_, true)) return;
    // On this thread of gRPC's nobody may be the last to hold a channel.
    attempts_.clear();
    alarm_.reset();
  }
  host_.pending.remove(this);
}

TxnCall::Next TxnCall::finish(Result<TxnResponse> result) {
  is_done_ = true;
  for (auto& attempt : attempts_)
    if (attempt->state == Attempt::State::in_flight) attempt->context.TryCancel();
  if (alarm_) alarm_->Cancel();
  return {Next::What::finish, std::move(result)};
}

TxnCall::Next TxnCall::finish_open() { return finish(last_error_); }

Others TxnCall::others_than(const Attempt& attempt) const {
  Others out = Others::none;
  for (const auto& one : attempts_) {
    if (one.get() == &attempt) continue;
    if (one->state == Attempt::State::in_flight) return Others::in_flight;
    if (one->state == Attempt::State::lost) out = Others::lost;
  }
  return out;
}

bool TxnCall::is_any_in_flight() const {
  return std::ranges::any_of(attempts_,
                             [](const auto& one) { return one->state == Attempt::State::in_flight; });
}

void TxnCall::set_alarm(Wait wait, milliseconds delay) {
  waits_for_ = wait;
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(system_clock::now() + delay,
              [self = shared_from_this(), number = ++alarm_number_](bool) { self->on_alarm(number); });
  if (host_.pending.is_closing()) alarm_->Cancel();
}

// What the attempt that happened would have answered.
TxnResponse TxnCall::made_up(Revision revision) const {
  TxnResponse out{revision, true, {}};
  for (const auto& operation : kept_.success) {
    if (std::holds_alternative<PutRequest>(operation))
      out.responses.emplace_back(PutResponse{revision, std::nullopt});
    else
      out.responses.emplace_back(DeleteResponse{revision, 0, {}});
  }
  return out;
}

}  // namespace rusternetes::storage::etcd
