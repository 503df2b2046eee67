#include "api-server/allocation_repair.h"

#include <fmt/format.h>

#include "api-server/storage_codec.h"
#include "api-server/store_call.h"
#include "api-server/strategy/service_addresses.h"
#include "apimachinery/edit.h"
#include "apimachinery/time.h"
#include "base/log.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using storage::Compare;
using storage::TxnRequest;

namespace {

constexpr const char* log_name = "allocation-repair";
constexpr std::string_view networking = "networking.k8s.io";
// When the store could not be asked; what changes meanwhile starts a look at once.
constexpr std::chrono::seconds retry{10};

// The key is as it was seen; null: there was none.
void expect(TxnRequest& request, std::string key, const EntryPtr& seen) {
  Compare compare;
  compare.key = std::move(key);
  compare.number = seen ? seen->revision : 0;
  request.compares.push_back(std::move(compare));
}

Snapshot snapshot_of(const Cacher& cacher, std::string_view group, std::string_view resource) {
  const auto cache = cacher.find(group, resource);
  return cache ? cache->snapshot() : Snapshot{};
}

}  // namespace

AllocationRepair::AllocationRepair(Cacher& cacher, std::unique_ptr<client::ApiClient> client,
                                   const Clock& clock, AllocationRepairOptions options)
    : cacher_(cacher),
      client_(std::move(client)),
      clock_(clock),
      options_(options),
      address_events_(*client_, "ipallocator-repair-controller", {}, clock),
      port_events_(*client_, "portallocator-repair-controller", {}, clock),
      wake_(std::make_shared<AsyncEvent>(client_->executor())),
      tasks_(client_->executor()) {}

void AllocationRepair::start() {
  address_events_.start(tasks_);
  port_events_.start(tasks_);
  tasks_.spawn(log_name, run());
}

Task<> AllocationRepair::stop() { co_await tasks_.stop(); }

std::int64_t AllocationRepair::now_us() const { return to_microseconds(clock_.now()); }

void AllocationRepair::watch() {
  const auto wake = [event = wake_, executor = client_->executor()] {
    asio::post(executor, [event] { event->set(); });
  };
  for (const auto& [group, resource] : {std::pair<std::string_view, std::string_view>{"", "services"},
                                        {networking, "ipaddresses"},
                                        {networking, "servicecidrs"}})
    if (auto cache = cacher_.find(group, resource)) {
      const auto place = cache->snapshot_and_place().second;
      auto subscription = std::make_unique<ResourceCache::Subscription>(*cache, wake);
      watched_.push_back({resource, std::move(cache), place, std::move(subscription)});
    }
}

bool AllocationRepair::has_work() {
  constexpr std::size_t at_a_time = 1000;
  bool out = false;
  for (auto& each : watched_)
    for (std::vector<CacheEvent> events(1); !events.empty();) {
      events.clear();
      if (!each.cache->events_after(each.place, at_a_time, events)) {  // more than are kept
        each.place = each.cache->snapshot_and_place().second;
        out = true;
      }
      for (const auto& event : events)
        out = out || concerns_addresses(each.resource, event.before, event.now,
                                        event.type == CacheEvent::Type::removed);
    }
  return out;
}

Task<> AllocationRepair::run() {
  watch();
  auto round = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= round) {
      round = now + options_.interval;
      told_.clear();
      auto ports = co_await repair_ports();
      if (!ports) log::warn(log_name, "node ports: {}", ports.error().message);
    }
    auto addresses = co_await repair_addresses();
    if (!addresses) log::warn(log_name, "addresses: {}", addresses.error().message);
    auto until = round;
    if (!addresses) until = std::min<SteadyTime>(until, now + retry);
    if (look_again_us_ != 0)
      until = std::min<SteadyTime>(
          until, now + std::chrono::microseconds(std::max<std::int64_t>(0, look_again_us_ - now_us())));
    for (bool is_due = false; !is_due;) {
      const bool is_woken = co_await wake_->wait_until(until);
      co_await sleep_for(options_.settle);
      is_due = has_work() || !is_woken || std::chrono::steady_clock::now() >= until;
    }
  }
}

void AllocationRepair::tell(client::EventRecorder& recorder, const RepairReport& report) {
  if (report.reason.empty() || !told_.insert(report.about->key + " " + report.message).second) return;
  log::warn(log_name, "{}: {}", report.about->key, report.message);
  if (report.is_about_service)
    recorder.warning(report.about->document, "v1", "Service", report.reason, report.message);
  else
    recorder.warning(report.about->document, "networking.k8s.io/v1", "IPAddress", report.reason,
                     report.message);
}

Task<Result<void>> AllocationRepair::repair_addresses() {
  RN_CO_CHECK(co_await cacher_.wait_for_newest());
  auto look = [services = snapshot_of(cacher_, "", "services"),
               addresses = snapshot_of(cacher_, networking, "ipaddresses"),
               cidrs = snapshot_of(cacher_, networking, "servicecidrs"),
               now = now_us()] { return plan_address_repairs(services, addresses, cidrs, now); };
  AddressPlan plan = co_await worker_.run(std::move(look));
  look_again_us_ = plan.look_again_us;
  for (const auto& report : plan.reports) tell(address_events_, report);
  for (auto& repair : plan.repairs) {
    const RepairReport report = repair.report;
    auto done = co_await mend(std::move(repair));
    if (!done) co_return done.error();
    if (*done) tell(address_events_, report);
    if (!*done)
      look_again_us_ = now_us();  // something has changed since, perhaps what would start no look by itself
  }
  co_return Result<void>{};
}

// False when something was not as it was seen.
Task<Result<bool>> AllocationRepair::mend(AddressRepair repair) {
  const auto registry = cacher_.registry();
  const Kind& kind = *registry->find_kind("networking.k8s.io/v1", "IPAddress");
  const Kind& services = *registry->find_kind("v1", "Service");
  const std::string key = storage_key(kind, "", repair.address.to_string());
  TxnRequest request;
  expect(request, key, repair.held);
  for (const auto& [name, service] : repair.seen) expect(request, storage_prefix(services) + name, service);
  if (repair.action == AddressRepair::Action::remove) {
    storage::DeleteRequest remove;
    remove.key = key;
    request.success.emplace_back(std::move(remove));
  } else {
    Arena arena;
    const meta_v1::ObjectMeta owner = core_v1::Service(&repair.owner->document.root()).metadata();
    Value object = repair.held ? deep_copy(arena, repair.held->document.root())
                               : new_ip_address(arena, repair.address, owner, now_us());
    set_owner(arena, object, repair.address, owner);
    storage::PutRequest put;
    put.key = key;
    put.value = encode_for_storage(kind, object);
    request.success.emplace_back(std::move(put));
  }
  co_return co_await commit(std::move(request));
}

Task<Result<bool>> AllocationRepair::commit(TxnRequest request) {
  auto shared = std::make_shared<TxnRequest>(std::move(request));
  auto start = [this, shared](auto done) { cacher_.store().txn(std::move(*shared), done); };
  auto response = co_await store_call<storage::TxnResponse>(start);
  if (!response) co_return response.error();
  co_return response->succeeded;
}

// Whoever changes a Service's ports changes the range too: as long as the range is as it was read before the
// Services were, they are as they were seen.
Task<Result<void>> AllocationRepair::repair_ports() {
  constexpr int most_attempts = 5;
  const std::string key(node_port_range_key);
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    auto read = [&store = cacher_.store(), &key](auto done) { store.range(storage::RangeRequest{.key = key}, std::move(done)); };
    RN_CO_TRY(const auto range, co_await store_call<storage::RangeResponse>(read));
    RN_CO_CHECK(co_await cacher_.wait_for_newest());
    const auto registry = cacher_.registry();
    NodePortSet stored;
    if (!range.kvs.empty()) {
      Arena arena;
      const Kind& kind = *registry->find_kind("v1", "RangeAllocation");
      RN_CO_TRY(const Value object, decode_from_storage(arena, *range.kvs[0].value, kind, *registry));
      stored = read_node_ports(core_v1::RangeAllocation(&object).data());
    }
    auto look = [stored, leaks = leaks_, services = snapshot_of(cacher_, "", "services")] {
      return plan_port_repairs(stored, services, leaks);
    };
    PortPlan plan = co_await worker_.run(std::move(look));
    bool is_done = plan.ports == stored;
    if (!is_done) {
      TxnRequest request;
      Compare compare;
      compare.key = key;
      compare.number = range.kvs.empty() ? 0 : range.kvs[0].mod_revision;
      request.compares.push_back(std::move(compare));
      storage::PutRequest put;
      put.key = key;
      put.value = range_of_node_ports(*registry, plan.ports);
      request.success.emplace_back(std::move(put));
      RN_CO_TRY(is_done, co_await commit(std::move(request)));
    }
    if (!is_done) continue;
    for (std::size_t bit = 0; bit < node_port_count; ++bit)
      if (stored[bit] && !plan.ports[bit])
        log::warn(log_name, "node port {} was of no Service: it is free again",
                  node_port_first + static_cast<int>(bit));
    leaks_ = std::move(plan.leaks);
    for (const auto& report : plan.reports) tell(port_events_, report);
    co_return Result<void>{};
  }
  co_return Result<void>{};  // busy: the next round
}

}  // namespace rusternetes::api_server
