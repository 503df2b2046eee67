#include "launcher/doctor/probes.h"

#include <fmt/format.h>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace rusternetes::launcher::doctor {
namespace {

struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::optional<Findings>> results;
  std::size_t open = 0;
};

Findings unknown(const std::string& what, std::string reason) {
  return {{.level = Level::unknown, .what = what, .finding = std::move(reason)}};
}

Findings examined(const Probe& probe) {
  try {
    return probe.examine();
  } catch (const std::exception& error) {
    return unknown(probe.what, error.what());
  }
}

}  // namespace

Findings run_probes(std::vector<Probe> probes, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto board = std::make_shared<Board>();
  board->results.resize(probes.size());
  board->open = probes.size();
  const auto post = [](Board& to, std::size_t at, Findings found) {
    const std::lock_guard lock(to.mutex);
    to.results[at] = std::move(found);
    --to.open;
    to.changed.notify_all();
  };
  for (std::size_t i = 0; i < probes.size(); ++i) {
    try {
      // Detached: a thread in a call of the kernel that hangs can be neither ended nor waited for.
      std::thread([board, post, i, probe = probes[i]] { post(*board, i, examined(probe)); }).detach();
    } catch (const std::system_error& error) {
      post(*board, i, unknown(probes[i].what, fmt::format("no thread can be started: {}", error.what())));
    }
  }
  std::unique_lock lock(board->mutex);
  board->changed.wait_until(lock, deadline, [&] { return board->open == 0; });
  Findings out;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const Findings found = board->results[i].value_or(
        unknown(probes[i].what, fmt::format("not known within {} ms", limit.count())));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

}  // namespace rusternetes::launcher::doctor
