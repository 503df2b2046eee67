#include "rhino/services.h"

#include <grpcpp/server_builder.h>

#include <algorithm>

#include "rhino/auth_service.h"
#include "rhino/cluster_service.h"
#include "rhino/kv_service.h"
#include "rhino/lease_service.h"
#include "rhino/maintenance_service.h"
#include "rhino/watch_service.h"

namespace rusternetes::rhino {

struct Services::Impl {
  explicit Impl(std::unique_ptr<Member> m) : member(std::move(m)) {}
  std::unique_ptr<Member> member;
  Streams streams;
  KvService kv{*member};
  WatchService watch{*member, streams};
  LeaseService lease{*member, streams};
  MaintenanceService maintenance{*member, streams};
  ClusterService cluster{*member};
  AuthService auth{*member};
};

Services::Services(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Services::~Services() = default;

Result<std::unique_ptr<Services>> Services::make(storage::sqlite::SqliteStore& store,
                                                 ServicesOptions options) {
  RN_TRY(auto member, Member::open(store, std::move(options)));
  return std::unique_ptr<Services>(new Services(std::make_unique<Impl>(std::move(member))));
}

void Services::add_to(grpc::ServerBuilder& builder) {
  builder.RegisterService(&impl_->kv)
      .RegisterService(&impl_->watch)
      .RegisterService(&impl_->lease)
      .RegisterService(&impl_->maintenance)
      .RegisterService(&impl_->cluster)
      .RegisterService(&impl_->auth);
}

void Services::stop() { impl_->streams.stop(); }

Services::Health Services::health(const std::vector<std::string>& excluded_alarms) const {
  for (const auto& [_, type] : impl_->member->alarms()) {
    const std::string name = etcdserverpb::AlarmType_Name(type);
    if (std::find(excluded_alarms.begin(), excluded_alarms.end(), name) == excluded_alarms.end())
      return {false, "ALARM " + name};
  }
  return {};
}

Services::Counters Services::counters() const {
  const auto& from = impl_->member->counters;
  Counters out;
  out.watch_streams = from.watch_streams;
  out.watchers = from.watchers;
  out.ranges = from.ranges;
  out.puts = from.puts;
  out.deletes = from.deletes;
  out.txns = from.txns;
  out.compactions = from.compactions;
  out.events = from.events;
  out.leases_granted = from.leases_granted;
  out.leases_revoked = from.leases_revoked;
  return out;
}

std::uint64_t Services::cluster_id() const { return impl_->member->cluster_id(); }
std::uint64_t Services::member_id() const { return impl_->member->member_id(); }

}  // namespace rusternetes::rhino
