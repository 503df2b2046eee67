#pragma once
// The servers of one etcd cluster: a channel each, and which of them is asked now. Whoever finds one failing
// says so, and everybody goes on to the next.

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "etcd/rpc.grpc.pb.h"

namespace rusternetes::storage::etcd {

struct EtcdOptions {
  std::vector<std::string> servers;  // http://HOST:PORT, https://HOST:PORT, unix:///PATH
  // PEM; for https. Without an authority the system's are trusted.
  std::string ca_pem, certificate_pem, key_pem;
  // Of one call of one server; then the next is asked.
  std::chrono::milliseconds attempt_timeout{3'000};
  // Of a read with all its attempts, and of a transaction that can be repeated.
  std::chrono::milliseconds read_timeout{10'000};
  // What a server that is well answers at once is then asked of the next one.
  std::chrono::milliseconds patience{400};
  // How long open() waits for a first answer.
  std::chrono::milliseconds start_timeout{20'000};
  // Pings on connections in use; a server takes one each 5 s.
  std::chrono::milliseconds keepalive_time{10'000}, keepalive_timeout{5'000};
  // A watch that has not come so far as a read of another server for so long is begun anew at that one.
  std::chrono::milliseconds stale_watch{300};
};

struct Endpoint {
  std::string name;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
};

class Endpoints {
 public:
  static Result<std::unique_ptr<Endpoints>> make(const EtcdOptions& options);
  std::size_t size() const { return all_.size(); }
  std::shared_ptr<Endpoint> at(std::size_t i) const { return all_[i]; }
  // Whom to ask now. Which one is first is left to chance, so that clients of one kind do not all take the
  // same.
  std::shared_ptr<Endpoint> current() const { return all_[current_.load() % all_.size()]; }
  // It has just answered: it is asked from now on.
  void prefer(const std::shared_ptr<Endpoint>& endpoint);
  // If it is still the current one, the next takes its place.
  void failed(const std::shared_ptr<Endpoint>& endpoint);

 private:
  std::vector<std::shared_ptr<Endpoint>> all_;
  std::atomic<std::size_t> current_{0};
};

}  // namespace rusternetes::storage::etcd
