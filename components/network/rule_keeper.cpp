#include "network/rule_keeper.h"

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>

#include "base/log.h"
#include "base/task.h"
#include "network/nft_events.h"

namespace rusternetes::network {

namespace {

using Time = std::chrono::steady_clock::time_point;
// Between looks when nothing was heard of; what could not be put back is tried again sooner.
constexpr std::chrono::milliseconds kLongestPause{30'000}, kShortestPause{1'000};

// An error, also of one that was thrown: one rule's trouble keeps no other from standing.
Result<bool> mend(const RuleKeeper::Rule& rule) {
  try {
    return rule.mend();
  } catch (const std::exception& e) {
    return Status{500, "InternalError", e.what()};
  }
}

}  // namespace

struct RuleKeeper::Impl {
  NetworkNamespace where;
  std::string name;
  std::chrono::milliseconds settle;
  std::vector<Rule> rules;
  std::unique_ptr<EventThread> thread;  // blocks in libnftables, and has nothing else to do
  std::unique_ptr<TaskGroup> tasks;
  std::optional<NftEvents> events;
  std::optional<asio::posix::stream_descriptor> readable;
  std::unique_ptr<AsyncEvent> changed;
  int failures = 0;  // looks in a row

  void look();
  Time next_look() const;
  Task<> watch();
  Task<> keep();
  Task<> begin();
  Task<> end();
};

RuleKeeper::RuleKeeper(const NetworkNamespace& where, std::string thread_name, std::chrono::milliseconds settle, std::vector<Rule> rules)
    : impl_(new Impl{where, std::move(thread_name), settle, std::move(rules), {}, {}, {}, {}, {}}) {}
RuleKeeper::~RuleKeeper() { stop(); }

void RuleKeeper::Impl::look() {
  bool is_whole = true;
  for (const auto& rule : rules) {
    const auto mended = mend(rule);
    is_whole &= mended.has_value();
    if (!mended)
      log::warn("network", "{} is missing: {}", rule.what, mended.error().message);
    else if (*mended)
      log::info("network", "{} was missing and stands again", rule.what);
  }
  failures = is_whole ? 0 : failures + 1;
}

Time RuleKeeper::Impl::next_look() const {
  const auto pause = failures == 0 ? kLongestPause : std::min(kLongestPause, kShortestPause * (1 << std::min(failures - 1, 5)));
  return std::chrono::steady_clock::now() + pause;
}

Task<> RuleKeeper::Impl::watch() {
  for (;;) {
    co_await readable->async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (!events->drain()) continue;
    co_await sleep_for(settle);
    events->drain();
    changed->set();
  }
}

Task<> RuleKeeper::Impl::keep() {
  for (;;) {
    const Time next = next_look();
    (void)co_await changed->wait_until(next);
    look();
  }
}

Task<> RuleKeeper::Impl::begin() {
  tasks = std::make_unique<TaskGroup>(thread->executor());
  readable.emplace(thread->executor(), events->fd());
  changed = std::make_unique<AsyncEvent>(thread->executor());
  tasks->spawn(name, watch());
  tasks->spawn(name, keep());
  co_return;
}

Task<> RuleKeeper::Impl::end() {
  co_await tasks->stop();
  readable->release();  // the descriptor is the events'
  readable.reset();
  tasks.reset();
  changed.reset();
}

Result<void> RuleKeeper::start() {
  Impl& i = *impl_;
  RN_TRY(auto events, NftEvents::open(i.where));
  i.events.emplace(std::move(events));
  i.look();
  i.thread = std::make_unique<EventThread>(i.name);
  run_blocking(i.thread->executor(), i.begin());
  return {};
}

void RuleKeeper::stop() {
  Impl& i = *impl_;
  if (!i.thread) return;
  run_blocking(i.thread->executor(), i.end());
  i.thread->stop();
  i.thread.reset();
  i.events.reset();
}

}  // namespace rusternetes::network
