#pragma once
// One request to the cluster, over as many attempts as it takes and its deadline allows.

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "storage/etcd/endpoints.h"
#include "storage/etcd/errors.h"

namespace rusternetes::storage::etcd {

// A server that has lost its leader is to say so at once.
void prepare(grpc::ClientContext& context);

// How long the next attempt waits after `failures` of them: not at all while there are servers that were not
// asked yet.
std::chrono::milliseconds retry_delay(int failures, std::size_t servers);

// What is under way, so that a store that closes can end it and wait for it.
class PendingCalls {
 public:
  class Pending {
   public:
    virtual ~Pending() = default;
    virtual void cancel() = 0;  // it still ends by its callback
  };
  bool add(Pending* call);  // false: closing
  void remove(Pending* call);
  bool is_closing() const { return is_closing_; }
  void close();  // cancels, and waits for the end of all

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::set<Pending*> all_;
  std::atomic<bool> is_closing_{false};  // asked under locks that cancel() takes
};

// A write is not repeated once a server may have got it. What is quick may be, and takes a server that is
// well no time: the next one is asked after `patience`, a little more each round.
enum class CallKind { read, quick, write };

template <class Request, class Response>
class Call final : public PendingCalls::Pending,
                   public std::enable_shared_from_this<Call<Request, Response>> {
 public:
  using Start = std::function<void(Endpoint&, grpc::ClientContext*, const Request*, Response*,
                                   std::function<void(grpc::Status)>)>;
  using Done = std::function<void(const grpc::Status&, Response&)>;
  using Kind = CallKind;

  // `done` is called once, on a thread of gRPC's (or on this one if the store is closing).
  static void begin(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, Kind kind,
                    Request request, Start start, Done done) {
    auto call = std::make_shared<Call>(endpoints, pending, options, kind, std::move(request),
                                       std::move(start), std::move(done));
    if (pending.add(call.get()))
      call->attempt();
    else
      call->done_({grpc::StatusCode::UNAVAILABLE, "the store is closing"}, call->response_);
  }

  Call(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, Kind kind, Request request,
       Start start, Done done)
      : endpoints_(endpoints),
        pending_(pending),
        options_(options),
        kind_(kind),
        request_(std::move(request)),
        start_(std::move(start)),
        done_(std::move(done)),
        deadline_(std::chrono::system_clock::now() + options.read_timeout) {}

  void cancel() override {
    std::lock_guard lock(mutex_);
    if (context_) context_->TryCancel();
    if (alarm_) alarm_->Cancel();
  }

 private:
  void attempt() {
    grpc::ClientContext* context = nullptr;
    {
      std::lock_guard lock(mutex_);
      endpoint_ = endpoints_.current();
      context_ = std::make_unique<grpc::ClientContext>();
      prepare(*context_);
      const auto rounds = 1 + failures_ / static_cast<int>(endpoints_.size());
      const auto timeout = kind_ == Kind::quick
                               ? std::min(options_.attempt_timeout, options_.patience * rounds)
                               : options_.attempt_timeout;
      context_->set_deadline(std::min(deadline_, std::chrono::system_clock::now() + timeout));
      if (pending_.is_closing()) context_->TryCancel();
      context = context_.get();
    }
    response_.Clear();
    start_(*endpoint_, context, &request_, &response_,
           [self = this->shared_from_this()](grpc::Status status) { self->ended(std::move(status)); });
  }

  void ended(grpc::Status status) {
    if (is_server_failing(status) && !pending_.is_closing()) {
      endpoints_.failed(endpoint_);
      const auto due = std::chrono::system_clock::now() + retry_delay(failures_++, endpoints_.size());
      if ((kind_ != Kind::write || is_surely_unsent(status)) && due < deadline_) {
        std::lock_guard lock(mutex_);
        // A fresh one each time: it is still in use while its callback runs.
        alarm_ = std::make_unique<grpc::Alarm>();
        alarm_->Set(due, [self = this->shared_from_this()](bool) { self->attempt(); });
        return;
      }
    }
    const auto self = this->shared_from_this();
    done_(status, response_);
    {
      std::lock_guard lock(mutex_);
      alarm_.reset();
      // On this thread of gRPC's nobody may be the last to hold a channel.
      context_.reset();
      endpoint_.reset();
    }
    pending_.remove(this);
  }

  Endpoints& endpoints_;
  PendingCalls& pending_;
  const EtcdOptions& options_;
  Kind kind_;
  Request request_;
  Response response_;
  Start start_;
  Done done_;
  std::chrono::system_clock::time_point deadline_;
  int failures_ = 0;
  std::mutex mutex_;  // guards what cancel() looks at
  std::shared_ptr<Endpoint> endpoint_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace rusternetes::storage::etcd
