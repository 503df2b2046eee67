#include "client/leader_elector.h"

#include "apimachinery/api/coordination_v1.h"
#include "scripted_api.h"

using namespace rusternetes;
using namespace rusternetes::client::testing;
using apimachinery::coordination_v1::Lease;
using client::Document;
using client::LeaderElector;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A server that keeps one Lease, and on whose every call the clock moves: so requests take their time,
// without anybody who waits for it. The write counts when it arrives, before that time has passed.
struct Election {
  asio::io_context context{1};
  ManualClock clock;
  ScriptedApi api{context.get_executor()};
  TaskGroup tasks{context.get_executor()};
  Document lease;
  int gets = 0, writes = 0;
  SteadyTime written_at{};
  std::function<std::chrono::nanoseconds(std::string verb)> takes = [](const std::string&) {
    return seconds(0);
  };
  bool is_reachable = true;
  std::unique_ptr<LeaderElector> elector;
  bool has_led = false, is_leading = false, has_returned = false;

  Election() {
    api.on_object = [this](std::string verb, Document object) { return answer(verb, object); };
  }
  ~Election() { stop_tasks(context, tasks); }

  Result<Document> answer(const std::string& verb, const Document& object) {
    const bool is_get = verb.starts_with("get");
    is_get ? ++gets : ++writes;
    const SteadyTime arrived = clock.steady_now();
    clock.advance(takes(is_get ? "get" : "write"));
    if (!is_reachable) return Status{503, "ConnectionRefused", "refused"};
    if (is_get) {
      if (!lease) return apimachinery::not_found({"coordination.k8s.io", "leases"}, "l");
      return lease;
    }
    written_at = arrived;
    client::ObjectBuilder builder(object);
    auto& metadata = apimachinery::ensure(builder.arena(), builder.root(), Lease::f_metadata);
    apimachinery::set_string(builder.arena(), metadata, apimachinery::meta_v1::ObjectMeta::f_resourceVersion,
                             std::to_string(writes));
    lease = builder.freeze();
    return lease;
  }

  Task<> lead() {
    struct Mark {
      bool& flag;
      explicit Mark(bool& f) : flag(f) { flag = true; }
      ~Mark() { flag = false; }
    } mark{is_leading};
    has_led = true;
    AsyncEvent never(context.get_executor());
    co_await never.wait();
  }
  Task<> run() {
    co_await elector->run([this] { return lead(); });
    has_returned = true;
  }
  void start(LeaderElector::Options options) {
    options.lease_name = "l";
    options.identity = "me";
    options.clock = &clock;
    elector = std::make_unique<LeaderElector>(api, options);
    tasks.spawn("elector", run());
  }
};

LeaderElector::Options usual() {
  LeaderElector::Options out;          // 15 s and 10 s of the manual clock
  out.retry_period = milliseconds(2);  // of the real one
  return out;
}

}  // namespace

TEST_CASE("leadership counts from when a renewal was begun, not from when its answer came") {
  Election election;
  election.start(usual());
  run_loop(election.context, [&] { return election.is_leading; });
  // The next renewal is written at once and answered after 9 s; then nothing more is heard.
  election.takes = [&](const std::string& verb) { return verb == "write" ? seconds(9) : seconds(0); };
  const int writes = election.writes, gets = election.gets;
  run_loop(election.context, [&] { return election.writes > writes; });
  election.is_reachable = false;
  election.takes = [](const std::string&) { return seconds(2); };
  run_loop(election.context, [&] { return election.has_returned; });
  CHECK_FALSE(election.is_leading);
  CHECK(election.gets == gets + 2);  // one more try at 9 s, which ends at 11 s: too late for another
  CHECK(election.clock.steady_now() - election.written_at < seconds(15));
}

TEST_CASE("the time that the first answer took counts, too") {
  Election election;
  election.takes = [&](const std::string& verb) { return verb == "write" ? seconds(11) : seconds(0); };
  election.start(usual());
  run_loop(election.context, [&] { return election.has_returned; });
  CHECK(election.writes == 1);  // it was too late for a renewal
}

TEST_CASE("who cannot renew stops when the deadline is over, however long the retry period is") {
  Election election;
  LeaderElector::Options options;
  options.lease_duration = hours(3);
  options.renew_deadline = hours(2);
  options.retry_period = hours(1);
  election.takes = [&](const std::string& verb) -> std::chrono::nanoseconds {
    return verb == "write" ? hours(2) - milliseconds(20) : milliseconds(0);
  };
  election.start(options);
  run_loop(election.context, [&] { return election.is_leading; });
  election.is_reachable = false;
  election.takes = [](const std::string&) { return milliseconds(20); };
  run_loop(election.context, [&] { return election.has_returned; });  // fails after 10 s of the real clock
  CHECK_FALSE(election.is_leading);
}

TEST_CASE("a lease never says less than the time that its holder may believe in") {
  Election election;
  LeaderElector::Options options = usual();
  options.lease_duration = milliseconds(1500);
  options.renew_deadline = milliseconds(1400);
  election.start(options);
  run_loop(election.context, [&] { return election.is_leading; });
  CHECK(Lease(&election.lease.root()).spec().leaseDurationSeconds() == 2);
}
