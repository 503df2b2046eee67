#include "host-agent/host_agent.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/guarded.h"
#include "network/nft_events.h"
#include "network/route_events.h"

namespace rusternetes::host_agent {

using client::Document;
using namespace apimachinery;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kPart = "host-agent";
// Between looks when nothing was heard of; what does not stand is tried again sooner.
constexpr milliseconds kLongestPause{30'000}, kShortestPause{1'000};
// Others change many things at a time. On a busy host a look is not worth more than this of them.
constexpr milliseconds kSettle{100}, kBusyPause{500};

// A service range that a user adds, whose addresses nobody gives out before it has the condition.
bool is_to_be_confirmed(const Document& document, const HostKeeper::Report& report,
                        const HostAgentOptions& options) {
  const auto ranges = added_ranges(document);
  const networking_v1::ServiceCIDR cidr(&document.root());
  for (const auto condition : cidr.status().conditions())
    if (condition.type() == options.service_cidr_condition && condition.status() == "True") return false;
  return !std::ranges::all_of(ranges, [&](const AddedRange& one) { return contains(options.service_ranges, one.range); }) &&
         std::ranges::all_of(ranges, [&](const AddedRange& one) { return contains(report.guarded, one.range); });
}

std::vector<std::string> texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> out;
  for (const auto& address : addresses) out.push_back(address.to_string());
  return out;
}

}  // namespace

NodeState node_state(const Document& document) {
  const core_v1::Node node(&document.root());
  NodeState out;
  out.name = std::string(node.metadata().name());
  for (const auto each : node.status().addresses())
    if (const auto address = IpAddress::parse(each.address()); address && each.type() == "InternalIP")
      out.addresses.push_back(*address);
  for (const auto text : node.spec().podCIDRs())
    if (const auto range = IpPrefix::parse(text)) out.pod_cidrs.push_back(*range);
  if (node.metadata().has_deletionTimestamp()) return out;
  for (const auto each : node.status().conditions())
    if (each.type() == "Ready" && each.status() == "True") out.is_ready = true;
  return out;
}

std::vector<AddedRange> added_ranges(const Document& document) {
  const networking_v1::ServiceCIDR cidr(&document.root());
  std::vector<AddedRange> out;
  for (const auto text : cidr.spec().cidrs())
    if (const auto range = IpPrefix::parse(text))
      out.push_back({std::string(cidr.metadata().name()), *range});
  return out;
}

HostAgent::HostAgent(std::unique_ptr<client::ApiClient> client, network::NetworkNamespace host,
                     HostAgentOptions options, HostKeeper keeper)
    : client_(std::move(client)),
      host_(std::move(host)),
      options_(std::move(options)),
      nodes_(*client_, {"", "v1", "nodes"}),
      service_cidrs_(*client_, {"networking.k8s.io", "v1", "servicecidrs"}),
      events_(*client_, kPart),
      keeper_(std::move(keeper)),
      forwarder_({}, options_.published),
      worker_(kPart, 16),
      wake_(client_->executor()),
      tasks_(client_->executor()) {
  nodes_.add_handler({[this](const Document& before, const Document& now) {
    // Most of what a Node says is of no interest here.
    if (before && now && node_state(before) == node_state(now)) return;
    wake_.set();
  }});
  service_cidrs_.add_handler({[this](const Document&, const Document&) { wake_.set(); }});
}
HostAgent::~HostAgent() = default;

void HostAgent::start() {
  if (!options_.published.empty()) forwarder_.start();
  events_.start(tasks_);
  for (auto* each : {&nodes_, &service_cidrs_}) {
    each->start(tasks_);
    tasks_.spawn("host-agent mirror", heard(*each));
  }
  tasks_.spawn("host-agent", run());
  tasks_.spawn("host-agent rules", watch_kernel<network::NftEvents>());
  tasks_.spawn("host-agent routes", watch_kernel<network::RouteEvents>());
}

Task<> HostAgent::stop() {
  co_await tasks_.stop();
  forwarder_.stop();
}

// An empty list is news, too.
Task<> HostAgent::heard(client::Informer& mirror) {
  co_await mirror.wait_for_sync();
  wake_.set();
}

ClusterState HostAgent::state() const {
  ClusterState out;
  if (nodes_.has_synced()) {
    out.nodes.emplace();
    for (const auto& document : nodes_.list()) out.nodes->push_back(node_state(document));
  }
  if (service_cidrs_.has_synced()) {
    out.ranges.emplace();
    for (const auto& document : service_cidrs_.list())
      for (auto& range : added_ranges(document)) out.ranges->push_back(std::move(range));
  }
  return out;
}

Task<> HostAgent::run() {
  for (;;) {
    std::exception_ptr error;
    try {
      co_await look();
    } catch (...) {
      error = std::current_exception();
    }
    if (error) {
      const Status why = client::caught(error, tasks_);
      log::error(kPart, "a look at the host failed: {}", why.message);
      ++failures_;
    }
    const auto pause = failures_ == 0
                           ? kLongestPause
                           : std::min(kLongestPause, kShortestPause * (1 << std::min(failures_ - 1, 5)));
    (void)co_await wake_.wait_until(steady_clock::now() + pause);
  }
}

Task<> HostAgent::look() {
  auto work = [this, state = state()] { return keeper_.keep(state); };
  report_ = co_await worker_.run(std::move(work));
  ++looks_;
  if (report_.forward_to != forward_to_) {
    forward_to_ = report_.forward_to;
    forwarder_.set_node_addresses(texts(forward_to_));
  }
  tell();
  const bool is_confirmed = co_await confirm_ranges();
  failures_ = report_.is_whole() && is_confirmed ? 0 : failures_ + 1;
}

// False: one could not be written, and is tried again.
Task<bool> HostAgent::confirm_ranges() {
  if (options_.service_cidr_condition.empty() || !service_cidrs_.has_synced()) co_return true;
  bool is_whole = true;
  const auto all = service_cidrs_.list();
  for (const Document& cidr : all) {
    if (!is_to_be_confirmed(cidr, report_, options_)) continue;
    std::string body = fmt::format(
        R"({{"metadata":{{"uid":"{}"}},"status":{{"conditions":[{{"type":"{}","status":"True","reason":"Dropped","message":"The host drops what is not translated","lastTransitionTime":"{}"}}]}}}})",
        client::uid_of(cidr), options_.service_cidr_condition,
        format_time(to_microseconds(std::chrono::system_clock::now())));
    const std::string name(client::name_of(cidr));
    auto written = co_await client_->patch({"networking.k8s.io", "v1", "servicecidrs"}, "", name, "status",
                                           client::PatchType::strategic, std::move(body), {kPart});
    if (written || written.error().is("NotFound")) continue;
    log::warn(kPart, "ServiceCIDR {}: its condition {} cannot be written: {}", name,
              options_.service_cidr_condition, written.error().message);
    is_whole = false;
  }
  co_return is_whole;
}

void HostAgent::tell() {
  if (report_.bridge != told_bridge_ || looks_ == 1) {
    if (report_.bridge.empty())
      log::info(kPart, "no link has the gateway's address {} yet: the cluster's bridge is waited for",
                fmt::join(texts(options_.gateways), " or "));
    else
      log::info(kPart, "the cluster's bridge is {}", report_.bridge);
    told_bridge_ = report_.bridge;
  }
  for (const auto& what : report_.changed)
    log::info(kPart, "{}: {}", looks_ == 1 ? "in place" : "brought up to date", what);
  if (report_.entries != told_entries_) {
    log::info(
        kPart, "services and published ports lead to {}",
        report_.entries.empty() ? "no node" : fmt::format("{}", fmt::join(texts(report_.entries), ", ")));
    told_entries_ = report_.entries;
  }
  const std::set<Problem> failures(report_.failures.begin(), report_.failures.end());
  for (const auto& each : failures)
    if (!told_failures_.contains(each)) log::warn(kPart, "missing: {}: {}", each.object, each.message);
  told_failures_ = failures;
  tell_problems({"Node", "v1", "HostRouteRefused"}, nodes_, report_.nodes, told_nodes_);
  tell_problems({"ServiceCIDR", "networking.k8s.io/v1", "ServiceRangeRefused"}, service_cidrs_,
                report_.ranges, told_ranges_);
}

// Where who looks at the object sees it.
void HostAgent::tell_problems(const Kind& kind, const client::Informer& mirror,
                              const std::vector<Problem>& problems, std::set<Problem>& told) {
  std::set<Problem> now;
  for (const auto& each : problems) {
    if (!now.insert(each).second || told.contains(each)) continue;
    log::warn(kPart, "{} {}: {}", kind.name, each.object, each.message);
    if (const Document object = mirror.get(each.object))
      events_.warning(object, kind.api_version, kind.name, kind.reason, each.message);
  }
  told = std::move(now);
}

// What is not heard of is looked for each half minute.
template <class Events>
Task<> HostAgent::watch_kernel() {
  auto events = Events::open(host_);
  if (!events) {
    log::warn(kPart, "changes of the host are not heard of: {}", events.error().message);
    co_return;
  }
  asio::posix::stream_descriptor readable(client_->executor(), events->fd());
  struct Release {  // the descriptor is the events'
    asio::posix::stream_descriptor& readable;
    ~Release() { readable.release(); }
  } release{readable};
  for (;;) {
    co_await readable.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (!events->drain()) continue;
    co_await sleep_for(steady_clock::now() < busy_until_ ? kBusyPause : kSettle);
    events->drain();
    busy_until_ = steady_clock::now() + kBusyPause;
    wake_.set();
  }
}

}  // namespace rusternetes::host_agent
