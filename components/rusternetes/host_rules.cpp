#include "rusternetes/host_rules.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include <optional>

#include "base/log.h"
#include "base/task.h"
#include "network/docker_accepts.h"
#include "network/nft_events.h"

namespace rusternetes {

namespace {
// Docker changes many rules at a time, and looking takes some milliseconds.
constexpr std::chrono::milliseconds kSettle{100};
}  // namespace

struct HostRules::Impl {
  Impl(const network::NetworkNamespace& h, std::string c) : host(h), cluster(std::move(c)) {}
  network::NetworkNamespace host;
  std::string cluster;
  std::unique_ptr<EventThread> thread;  // blocks in libnftables, and has nothing else to do
  std::unique_ptr<TaskGroup> tasks;
  std::optional<network::NftEvents> events;
  std::optional<asio::posix::stream_descriptor> readable;

  void look();
  Task<> watch();
  Task<> begin();
  Task<> end();
};

HostRules::HostRules(const network::NetworkNamespace& host, std::string cluster) : impl_(std::make_unique<Impl>(host, std::move(cluster))) {}
HostRules::~HostRules() { stop(); }

void HostRules::Impl::look() {
  const auto added = network::ensure_docker_accepts(host, cluster);
  if (!added)
    log::warn("rusternetes", "Docker's DOCKER-USER chain does not let the cluster's packets pass: {}", added.error().message);
  else if (*added)
    log::info("rusternetes", "accepts for the cluster's links are in Docker's DOCKER-USER chain");
}

Task<> HostRules::Impl::watch() {
  for (;;) {
    co_await readable->async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (!events->drain()) continue;
    co_await sleep_for(kSettle);
    events->drain();
    look();
  }
}

Task<> HostRules::Impl::begin() {
  tasks = std::make_unique<TaskGroup>(thread->executor());
  readable.emplace(thread->executor(), events->fd());
  tasks->spawn("host rules", watch());
  co_return;
}

Task<> HostRules::Impl::end() {
  co_await tasks->stop();
  readable->release();  // the descriptor is the events'
  readable.reset();
  tasks.reset();
}

Result<void> HostRules::start() {
  Impl& i = *impl_;
  RN_TRY(auto events, network::NftEvents::open(i.host));
  i.events.emplace(std::move(events));
  i.look();
  i.thread = std::make_unique<EventThread>("host-rules");
  run_blocking(i.thread->executor(), i.begin());
  return {};
}

void HostRules::stop() {
  Impl& i = *impl_;
  if (!i.thread) return;
  run_blocking(i.thread->executor(), i.end());
  i.thread->stop();
  i.thread.reset();
  i.events.reset();
}

}  // namespace rusternetes
