#include "kubelet/node/network_holder.h"

#include <fmt/format.h>

#include "base/log.h"

namespace rusternetes::kubelet {

namespace {

constexpr auto kMostPause = std::chrono::milliseconds(100);

// What the kernel and the engines take: 63 characters.
std::string hostname_of(std::string name) {
  if (name.size() > 63) name.resize(63);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

}  // namespace

Task<Result<std::string>> NetworkHolder::ensure() {
  co_await free_.wait();
  struct Release {
    AsyncEvent& event;
    ~Release() { event.set(); }
  } release{free_};
  auto id = co_await run();
  if (id) id_ = *id;
  co_return id;
}

Task<Result<std::string>> NetworkHolder::run() {
  engine::HolderConfig config;
  config.netns_path = network_.pinned_path();
  config.hostname = hostname_of(options_.node_name);
  config.cgroup_parent = options_.cgroup_root;
  if (config.netns_path.empty()) co_return internal_error("the node's network namespace is not open yet");
  std::string problem;
  for (const bool is_replacement : {false, true}) {
    config.is_replacement = is_replacement;
    const auto deadline = std::chrono::steady_clock::now() + patience_;
    // Neither the end of setns(2) in another process nor the engine's own discovery can be waited for.
    for (auto pause = std::chrono::milliseconds(1); std::chrono::steady_clock::now() < deadline; pause = std::min(pause * 2, kMostPause)) {
      auto holder = co_await runtime_.run_network_holder(config);
      if (!holder && !holder.error().is("Conflict")) co_return holder.error();
      if (holder) {
        RN_CO_TRY(const bool is_inside, network_.check_node(holder->netns_path));
        if (is_inside) co_return holder->id;
      }
      problem = holder ? fmt::format("container {} is in another network", holder->id.substr(0, 12)) : holder.error().message;
      config.is_replacement = false;
      co_await sleep_for(pause);
    }
    if (!is_replacement) log::warn("kubelet", "the node's network gets another holder: {}", problem);
  }
  co_return internal_error("no container holds the node's network: " + problem);
}

Task<> NetworkHolder::clean() {
  if (!is_needed() || id_.empty()) co_return;
  auto removed = co_await runtime_.remove_network_holders(id_);
  if (!removed) log::debug("kubelet", "an old holder of the node's network stays: {}", removed.error().message);
}

}  // namespace rusternetes::kubelet
