#include "storage/etcd/etcd_store.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/log.h"
#include "storage/blocking.h"
#include "storage/etcd/convert.h"
#include "storage/etcd/fence.h"
#include "storage/etcd/keep_alive.h"
#include "storage/etcd/txn_call.h"

namespace rusternetes::storage::etcd {

namespace pb = etcdserverpb;

namespace {

// A read whose answer but for its header does not matter.
constexpr const char* any_key = "compact_rev_key";

// "3.5.21": 3, 5, 21.
std::array<int, 3> version_of(std::string_view text) {
  std::array<int, 3> out{};
  for (auto& part : out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
    if (error != std::errc{}) break;
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
  }
  return out;
}

// Before these, an answer to a progress request could overtake events (etcd issue 15220).
bool answers_progress(std::string_view version) {
  const auto v = version_of(version);
  if (v < std::array{3, 5, 0}) return v >= std::array{3, 4, 31};
  return v >= std::array{3, 5, 13};
}

}  // namespace

// `stub` and `method` say what is called.
template <class Stub, class Async, class Request, class Response, class Ended>
void EtcdStore::call(Kind kind, Request request, std::unique_ptr<Stub> Endpoint::*stub,
                     Method<Async, Request, Response> method, Ended ended) {
  auto start = [stub, method](Endpoint& endpoint, grpc::ClientContext* context, const Request* asked,
                              Response* answer, std::function<void(grpc::Status)> done) {
    ((endpoint.*stub)->async()->*method)(context, asked, answer, std::move(done));
  };
  Call<Request, Response>::begin(*endpoints_, pending_, options_, kind, std::move(request), std::move(start),
                                 std::move(ended));
}

// Ends its session, and forgets it.
class EtcdStore::EtcdWatch final : public Watch {
 public:
  EtcdWatch(EtcdStore& store, std::shared_ptr<WatchSession> session)
      : store_(store), session_(std::move(session)) {}
  ~EtcdWatch() override {
    session_->close();
    std::lock_guard lock(store_.sessions_mutex_);
    store_.sessions_.erase(session_);
  }
  void request_progress() override { session_->request_progress(); }
  void resume() override { session_->resume(); }

 private:
  EtcdStore& store_;
  std::shared_ptr<WatchSession> session_;
};

Result<std::unique_ptr<EtcdStore>> EtcdStore::open(EtcdOptions options) {
  std::unique_ptr<EtcdStore> store(new EtcdStore(std::move(options)));
  RN_TRY(store->endpoints_, Endpoints::make(store->options_));
  RN_CHECK(store->connect());
  store->learn_versions();
  return store;
}

EtcdStore::~EtcdStore() { pending_.close(); }

Result<void> EtcdStore::connect() {
  const auto end = std::chrono::steady_clock::now() + options_.start_timeout;
  for (;;) {
    auto answer = range({.key = any_key, .count_only = true});
    if (answer) return {};
    if (std::chrono::steady_clock::now() >= end || !answer.error().is("InternalError"))
      return internal_error(fmt::format("no etcd server answers ({}): {}", fmt::join(options_.servers, ", "),
                                        answer.error().message));
    log::warn("etcd", "no server answers yet: {}", answer.error().message);
  }
}

void EtcdStore::learn_versions() {
  bool all_answer = true;
  for (std::size_t i = 0; i < endpoints_->size(); ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
    pb::StatusResponse response;
    const auto status = endpoints_->at(i)->maintenance->Status(&context, {}, &response);
    all_answer &= status.ok() && answers_progress(response.version());
  }
  has_progress_requests_ = all_answer;
}

std::string EtcdStore::server_version() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options_.attempt_timeout);
  pb::StatusResponse response;
  return endpoints_->current()->maintenance->Status(&context, {}, &response).ok() ? response.version() : "";
}

void EtcdStore::observe(Revision revision) {
  Revision known = revision_.load();
  while (known < revision && !revision_.compare_exchange_weak(known, revision)) {
  }
}

void EtcdStore::observe_compacted(Revision revision) {
  Revision known = compact_revision_.load();
  while (known < revision && !compact_revision_.compare_exchange_weak(known, revision)) {
  }
}

Result<RangeResponse> EtcdStore::range(const RangeRequest& request) {
  return blocking_call<RangeResponse>([&](auto done) { range(request, std::move(done)); });
}

void EtcdStore::range(RangeRequest request, RangeCallback done) {
  range(Kind::read, std::move(request), std::move(done));
}

void EtcdStore::range(Kind kind, RangeRequest request, RangeCallback done) {
  pb::RangeRequest message;
  to_proto(request, message);
  auto ended = [this, has_values = !request.keys_only, done = std::move(done)](const grpc::Status& status,
                                                                               pb::RangeResponse& answer) {
    if (!status.ok()) return done(to_status(status));
    observe(answer.header().revision());
    done(from_proto(answer, has_values));
  };
  call(kind, std::move(message), &Endpoint::kv, &pb::KV::Stub::async::Range, std::move(ended));
}

void EtcdStore::newest_revision(std::function<void(Result<Revision>)> done) { newest_.ask(std::move(done)); }

void EtcdStore::read_newest(std::function<void(Result<Revision>)> done) {
  range(Kind::quick, {.key = any_key, .count_only = true},
        [this, done = std::move(done)](Result<RangeResponse> answer) {
          if (!answer) return done(answer.error());
          expect(answer->revision);
          done(answer->revision);
        });
}

// A watch of a member that does not get there is to move on, too.
void EtcdStore::write_fence(std::function<void(Result<Revision>)> done) {
  FenceCall::begin(*endpoints_, pending_, options_, [this, done = std::move(done)](Result<Revision> answer) {
    if (answer) {
      observe(*answer);
      expect(*answer);
    }
    done(std::move(answer));
  });
}

void EtcdStore::expect(Revision revision) {
  std::lock_guard lock(sessions_mutex_);
  for (const auto& session : sessions_) session->expect(revision);
}

void EtcdStore::txn(TxnRequest request, TxnCallback done) {
  auto ended = [this, done = std::move(done)](Result<TxnResponse> answer) {
    if (answer) observe(answer->revision);
    done(std::move(answer));
  };
  TxnCall::begin({*endpoints_, pending_, options_, raise_fence_, fence_, revision_}, std::move(request),
                 std::move(ended));
}

Result<std::unique_ptr<Watch>> EtcdStore::watch(WatchRequest request, WatchCallback on_batch) {
  if (request.start_revision == 0) {
    RN_TRY(const Revision newest,
           blocking_call<Revision>([&](auto done) { newest_revision(std::move(done)); }));
    request.start_revision = newest + 1;
  }
  auto session = std::make_shared<WatchSession>(static_cast<SessionHost&>(*this), std::move(request),
                                                std::move(on_batch));
  {
    std::lock_guard lock(sessions_mutex_);
    sessions_.insert(session);
  }
  auto watch = std::make_unique<EtcdWatch>(*this, session);
  session->start();
  return std::unique_ptr<Watch>(std::move(watch));
}

void EtcdStore::compact(Revision revision, std::function<void(Result<void>)> done) {
  pb::CompactionRequest message;
  message.set_revision(revision);
  auto ended = [this, revision, done = std::move(done)](const grpc::Status& status,
                                                        pb::CompactionResponse& answer) {
    if (!status.ok()) return done(to_status(status));
    observe(answer.header().revision());
    observe_compacted(revision);
    done(Result<void>{});
  };
  call(Kind::write, std::move(message), &Endpoint::kv, &pb::KV::Stub::async::Compact, std::move(ended));
}

void EtcdStore::lease_grant(LeaseId id, std::int64_t ttl_s, std::function<void(Result<LeaseInfo>)> done) {
  pb::LeaseGrantRequest message;
  message.set_id(id);
  message.set_ttl(ttl_s);
  auto ended = [done = std::move(done)](const grpc::Status& status, pb::LeaseGrantResponse& answer) {
    if (!status.ok()) return done(to_status(status));
    done(LeaseInfo{answer.id(), answer.ttl(), answer.ttl(), {}});
  };
  // Of a number that the server chooses, one too many ends by itself.
  const Kind kind = id == 0 ? Kind::quick : Kind::write;
  call(kind, std::move(message), &Endpoint::lease, &pb::Lease::Stub::async::LeaseGrant, std::move(ended));
}

void EtcdStore::lease_revoke(LeaseId id, std::function<void(Result<void>)> done) {
  pb::LeaseRevokeRequest message;
  message.set_id(id);
  auto ended = [this, done = std::move(done)](const grpc::Status& status, pb::LeaseRevokeResponse& answer) {
    if (!status.ok()) return done(to_status(status));
    observe(answer.header().revision());
    done(Result<void>{});
  };
  call(Kind::write, std::move(message), &Endpoint::lease, &pb::Lease::Stub::async::LeaseRevoke,
       std::move(ended));
}

void EtcdStore::lease_keep_alive(LeaseId id, std::function<void(Result<LeaseInfo>)> done) {
  auto ended = [id, done = std::move(done)](Result<std::int64_t> ttl_s) {
    if (!ttl_s) return done(ttl_s.error());
    if (*ttl_s <= 0) return done(Status{404, "LeaseNotFound", "requested lease not found"});
    done(LeaseInfo{id, *ttl_s, *ttl_s, {}});
  };
  keep_alive_once(*endpoints_, pending_, options_, id, std::move(ended));
}

Result<LeaseInfo> EtcdStore::lease_time_to_live(LeaseId id, bool with_keys) {
  pb::LeaseTimeToLiveRequest message;
  message.set_id(id);
  message.set_keys(with_keys);
  return blocking_call<LeaseInfo>([&](auto done) {
    auto ended = [done](const grpc::Status& status, pb::LeaseTimeToLiveResponse& answer) {
      if (!status.ok()) return done(to_status(status));
      if (answer.ttl() < 0) return done(Status{404, "LeaseNotFound", "requested lease not found"});
      done(LeaseInfo{
          answer.id(), answer.grantedttl(), answer.ttl(), {answer.keys().begin(), answer.keys().end()}});
    };
    call(Kind::read, std::move(message), &Endpoint::lease, &pb::Lease::Stub::async::LeaseTimeToLive,
         std::move(ended));
  });
}

Result<std::vector<LeaseId>> EtcdStore::leases() {
  return blocking_call<std::vector<LeaseId>>([&](auto done) {
    auto ended = [done](const grpc::Status& status, pb::LeaseLeasesResponse& answer) {
      if (!status.ok()) return done(to_status(status));
      std::vector<LeaseId> ids;
      for (const auto& lease : answer.leases()) ids.push_back(lease.id());
      done(std::move(ids));
    };
    call(Kind::read, pb::LeaseLeasesRequest{}, &Endpoint::lease, &pb::Lease::Stub::async::LeaseLeases,
         std::move(ended));
  });
}

std::int64_t EtcdStore::size_bytes() const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options_.attempt_timeout);
  pb::StatusResponse response;
  return endpoints_->current()->maintenance->Status(&context, {}, &response).ok() ? response.dbsize() : 0;
}

}  // namespace rusternetes::storage::etcd
