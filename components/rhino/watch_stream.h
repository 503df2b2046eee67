#pragma once
// One stream of etcdserverpb.Watch: many watches, whose events go out in the order in which the store gave
// them. The store's threads only queue what happened; messages are made and sent on the pump's thread. When a
// client does not read, the store is told that there is no room, and serves the rest from disk later.

#include <grpcpp/alarm.h>

#include <deque>
#include <map>
#include <memory>
#include <variant>
#include <vector>

#include "base/worker.h"
#include "etcd/rpc.grpc.pb.h"
#include "rhino/member.h"
#include "rhino/streams.h"

namespace rusternetes::rhino {

class WatchStream final
    : public StreamReactor<grpc::ServerBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>> {
 public:
  WatchStream(Member& member, Streams& streams, WorkerThread& pump);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;

 private:
  using Request = etcdserverpb::WatchRequest;
  using Response = etcdserverpb::WatchResponse;
  struct Entry {
    bool drops_puts = false, drops_removals = false, is_fragmented = false, wants_progress = false;
    bool is_progress_due = true;  // nothing was sent since the last round
    std::shared_ptr<storage::Watch> watch;  // null until the store knows of it
  };
  struct Events {
    std::int64_t id;
    std::shared_ptr<const storage::WatchBatch> batch;
    std::size_t bytes;
  };
  using Item = std::variant<std::unique_ptr<Response>, Events>;

  void start() override;
  void on_finish_locked() override { queue_.clear(); }
  void on_done() override;
  void create(const etcdserverpb::WatchCreateRequest& request);
  void cancel(std::int64_t id);
  void progress();
  bool accept(std::int64_t id, std::shared_ptr<const storage::WatchBatch> batch);
  std::unique_ptr<Response> make_response(std::int64_t id, storage::Revision revision) const;
  void queue(std::unique_ptr<Response> response);
  void schedule_locked();
  void write_next();
  void resume_full();
  void read_next();
  // The next message in `sending_`; false: there is none.
  bool take_next();
  // Leaves no events in `sending_` if nobody wants them; true: there are more than fit one message.
  bool fill_events(Events&& events);
  void split();
  std::size_t fragment_bytes() const;
  void drop_watches();
  void arm_progress();
  void send_due_progress();

  Member& member_;
  WorkerThread& pump_;
  Request request_;

  // Under the mutex. The store's threads take it inside their own: no call of the store's while it is held.
  std::map<std::int64_t, std::shared_ptr<Entry>> watches_;
  std::int64_t next_id_ = 0;
  std::deque<Item> queue_;
  std::size_t queued_bytes_ = 0;
  bool is_writing_ = false;  // or about to
  bool is_read_due_ = false;  // put off: too many answers wait to be sent
  std::vector<std::int64_t> full_;  // watches that the store was told to keep

  // The pump's, while is_writing_:
  std::deque<Response> parts_;  // of a message that was split, still to be sent
  Response sending_;

  std::unique_ptr<grpc::Alarm> progress_alarm_;  // a new one each time
};

}  // namespace rusternetes::rhino
