#pragma once
// One watch of the store on etcd, over as many streams as it takes: when one breaks, or falls behind what
// another server is known to have, the next begins behind the last revision that was delivered.

#include <grpcpp/alarm.h>

#include <memory>
#include <mutex>
#include <optional>

#include "storage/etcd/call.h"
#include "storage/etcd/endpoints.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

// What a session needs of the store.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual Endpoints& endpoints() = 0;
  virtual PendingCalls& pending() = 0;
  virtual const EtcdOptions& options() const = 0;
  virtual void observe(Revision revision) = 0;
  virtual void observe_compacted(Revision revision) = 0;
  // Whether every server that is known answers progress requests as it should.
  virtual bool has_progress_requests() const = 0;
  virtual void newest(std::function<void(Result<Revision>)> done) = 0;
};

class WatchStream;

class WatchSession final : public std::enable_shared_from_this<WatchSession> {
 public:
  // `request.start_revision` is not 0. `host` outlives close().
  WatchSession(SessionHost& host, WatchRequest request, Store::WatchCallback callback);
  void start();
  // No callback runs once this has returned.
  void close();
  void request_progress();
  void resume();
  // Somebody read `revision` from the server that is asked now.
  void expect(Revision revision);

  // For the stream, which is gone before the host is:
  SessionHost& host() { return host_; }
  void on_response(const std::shared_ptr<WatchStream>& stream, etcdserverpb::WatchResponse& response);
  void on_end(const std::shared_ptr<WatchStream>& stream, const grpc::Status& status);

 private:
  void connect();
  void connect_later();
  // Returns whether there is room for more.
  bool deliver(std::shared_ptr<const WatchBatch> batch);
  void fail(Status error, Revision compact_revision);
  bool watches_everything() const;
  void check_later();  // under the lock
  void check();
  void ask_for_progress();
  void say_progress(Revision revision);

  SessionHost& host_;
  const WatchRequest request_;

  std::mutex delivery_mutex_;  // held while the callback runs; taken before mutex_
  Store::WatchCallback callback_;

  std::mutex mutex_;
  Revision delivered_;  // every event up to here has been accepted
  std::shared_ptr<WatchStream> stream_;
  std::shared_ptr<const WatchBatch> refused_;
  bool is_closed_ = false, is_progress_wanted_ = false, is_checking_ = false;
  int failures_ = 0;
  int moves_ = 0;  // to another member, since it got on
  Revision expected_ = 0, checked_from_ = 0;
  // New ones each time, since one may be set from its own callback.
  std::unique_ptr<grpc::Alarm> connect_alarm_, stale_alarm_, progress_alarm_;
};

}  // namespace rusternetes::storage::etcd
