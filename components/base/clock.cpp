#include "base/clock.h"

namespace rusternetes {
namespace {
class HostClock final : public Clock {
 public:
  SystemTime now() const override { return std::chrono::system_clock::now(); }
  SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
};
}  // namespace

const Clock& Clock::system() {
  static const HostClock clock;
  return clock;
}

}  // namespace rusternetes
