#pragma once
// etcdserverpb.Watch.

#include "rhino/watch_stream.h"

namespace rusternetes::rhino {

class WatchService final : public etcdserverpb::Watch::CallbackService {
 public:
  WatchService(Member& member, Streams& streams) : member_(member), streams_(streams) {}
  grpc::ServerBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>* Watch(
      grpc::CallbackServerContext*) override {
    auto stream = std::make_shared<WatchStream>(member_, streams_, pump_);
    stream->begin();
    return stream.get();
  }

 private:
  Member& member_;
  Streams& streams_;
  WorkerThread pump_{"rhino-watch"};
};

}  // namespace rusternetes::rhino
