// How PodNetwork waits for the rule that keeps invariant 14 within the node.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "kubelet/node/pod_network.h"
#include "network/nft_events.h"
#include "network/service_drop.h"

namespace rusternetes::kubelet {

namespace {

// Who loads a table changes several things at a time.
constexpr std::chrono::milliseconds kSettle{20}, kRetry{1'000};

}  // namespace

Task<> PodNetwork::wait_for_service_drop() {
  while (!missing_drop_.empty()) {
    auto heard = co_await hear_of_service_drop(service_ranges_);
    if (heard) break;
    log::warn("kubelet", "changes of the node's rules are not heard of: {}", heard.error().message);
    co_await sleep_for(kRetry);
  }
}

// An error is one of listening. Listens before it looks, so that nothing is missed.
Task<Result<void>> PodNetwork::hear_of_service_drop(std::vector<network::IpPrefix> ranges) {
  auto node = node_;
  const std::string cluster = options_.cluster;
  auto events = co_await worker_->run([node] { return network::NftEvents::open(*node); });
  if (!events) co_return events.error();
  asio::posix::stream_descriptor readable(co_await asio::this_coro::executor, events->fd());
  struct Release {  // the descriptor is the events'
    asio::posix::stream_descriptor& readable;
    ~Release() { readable.release(); }
  } release{readable};
  for (bool is_first = true;; is_first = false) {
    auto stands = co_await worker_->run(
        [node, cluster, ranges] { return network::check_service_drop(*node, cluster, ranges); });
    if (stands) break;
    missing_drop_ = fmt::format("the drop rule of the service ranges {} does not stand: {}",
                                fmt::join(options_.service_ranges, ","), stands.error().message);
    if (is_first) log::info("kubelet", "no Pod is begun yet: {}", missing_drop_);
    co_await readable.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    events->drain();
    co_await sleep_for(kSettle);
    events->drain();
  }
  missing_drop_.clear();
  co_return Result<void>{};
}

}  // namespace rusternetes::kubelet
