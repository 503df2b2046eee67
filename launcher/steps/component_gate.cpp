#include "launcher/steps/component_gate.h"

#include <fmt/format.h>

#include <optional>
#include <thread>

#include "launcher/component_health.h"
#include "launcher/failure.h"
#include "launcher/readiness.h"
#include "launcher/steps/component_containers.h"

namespace rusternetes::launcher {
namespace {

using std::chrono::milliseconds;

// From one look to the next.
constexpr milliseconds pause{50};
// How long one that nobody can ask has to live.
constexpr milliseconds least_life{1000};
// One that was started this often while it was waited for will not stay.
constexpr int hopeless_starts = 5;

// One component, looked at until it is well.
class Gate {
 public:
  Gate(StepContext& context, const Member& member, SystemTime previous_start)
      : context_(context), member_(member), previous_start_(previous_start) {}

  // True once it is well; else `problem` says why not.
  Result<bool> look() {
    is_running_ = false;
    RN_TRY(const auto all, component_containers(context_));
    const Liveness found = only(all);
    const ComponentContainer* one = find_component(found, member_.key);
    problem_ = one == nullptr       ? "has no container"
               : !one->is_running   ? end_of(*one)
               : is_as_before(*one) ? "has not been started anew"
                                    : "";
    if (one != nullptr) RN_CHECK(count(*one));
    is_running_ = one != nullptr && one->is_running;
    if (!problem_.empty()) return false;
    problem_ = ask(found);
    return problem_.empty();
  }
  const std::string& problem() const { return problem_; }
  bool is_running() const { return is_running_; }

 private:
  bool is_as_before(const ComponentContainer& one) const {
    return previous_start_ != SystemTime{} && one.started_at <= previous_start_;
  }

  Liveness only(const std::vector<ComponentContainer>& all) const {
    Liveness out;
    for (const ComponentContainer& one : all)
      if (one.key == member_.key) out.components.push_back(one);
    return out;
  }

  Result<> count(const ComponentContainer& one) {
    if (starts_ == 0 || one.started_at != seen_) {
      ++starts_;
      seen_ = one.started_at;
      since_ = context_.environment.clock.steady_now();
    }
    if (starts_ <= hopeless_starts) return {};
    return failure(
        "ComponentEnded",
        fmt::format("{} keeps ending (exit code {}): see `rusternetes-ctl logs {} --component {} --tail 50`",
                    member_.key, one.exit_code, context_.settings.name, member_.key));
  }

  // By what the engine says, or, where the clock was set back since, by what was seen.
  bool has_lived() const {
    const Clock& clock = context_.environment.clock;
    return clock.now() - seen_ >= least_life || clock.steady_now() - since_ >= least_life;
  }

  // Why it is not well; empty if it is.
  std::string ask(const Liveness& found) {
    bool is_asked = false;
    for (const ComponentHealth& health : ask_components(context_, found)) {
      if (health.key != member_.key) continue;
      if (!health.is_healthy) return health.message;
      is_asked = health.is_asked;
    }
    if (member_.component == "kubelet") return node_problem(context_, found, member_.node);
    // Another proxy may answer at the address, which both share while one takes the other's place.
    if (member_.component == "api-proxy") is_asked = false;
    return is_asked || has_lived() ? "" : "has just been started";
  }

  StepContext& context_;
  const Member& member_;
  SystemTime previous_start_;
  SystemTime seen_;
  SteadyTime since_;
  int starts_ = 0;
  bool is_running_ = false;
  std::string problem_;
};

}  // namespace

Result<> wait_for_component(StepContext& context, const Member& member, milliseconds timeout,
                            SystemTime previous_start) {
  const Clock& clock = context.environment.clock;
  const SteadyTime deadline = clock.steady_now() + timeout;
  Gate gate(context, member, previous_start);
  for (;;) {
    RN_TRY(const bool is_well, gate.look());
    if (is_well) return {};
    if (context.progress != nullptr)
      context.progress->detail(fmt::format("waiting for {}: {}", member.key, gate.problem()));
    if (context.environment.is_interrupted())
      return failure("Interrupted", fmt::format("interrupted while waiting for {}", member.key));
    if (clock.steady_now() >= deadline) break;
    std::this_thread::sleep_for(pause);
  }
  return failure(
      gate.is_running() ? "NotReady" : "ComponentEnded",
      fmt::format("{} {}, {} s after it was started: see `rusternetes-ctl logs {} --component {} --tail 50`",
                  member.key, gate.problem(),
                  std::chrono::duration_cast<std::chrono::seconds>(timeout).count(), context.settings.name,
                  member.key));
}

}  // namespace rusternetes::launcher
