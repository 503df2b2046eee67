#include "client/event_correlator.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using client::EventCorrelator;
using client::RecordedEvent;

namespace {

RecordedEvent pulled(std::string message, std::string pod = "web", std::int64_t at_us = 1'000'000) {
  RecordedEvent event;
  event.type = "Normal";
  event.reason = "Pulled";
  event.message = std::move(message);
  event.kind = "Pod";
  event.name_space = "default";
  event.name = pod;
  event.uid = "uid-" + pod;
  event.at_us = at_us;
  return event;
}

}  // namespace

TEST_CASE("the same event counts on one Event, another one does not") {
  EventCorrelator correlator;
  SteadyTime now{};
  auto first = correlator.decide(pulled("a"), now);
  REQUIRE(first);
  CHECK(first->name.empty());
  CHECK(first->count == 1);
  correlator.written(*first, "web.1");
  auto again = correlator.decide(pulled("a", "web", 9'000'000), now);
  REQUIRE(again);
  CHECK(again->name == "web.1");
  CHECK(again->count == 2);
  CHECK(again->first_us == 1'000'000);
  CHECK(correlator.decide(pulled("b"), now)->name.empty());
  CHECK(correlator.decide(pulled("a", "other"), now)->name.empty());
  auto warning = pulled("a");
  warning.type = "Warning";
  CHECK(correlator.decide(warning, now)->name.empty());
}

TEST_CASE("an event that could not be written does not count") {
  EventCorrelator correlator;
  REQUIRE(correlator.decide(pulled("a"), {}));
  CHECK(correlator.decide(pulled("a"), {})->count == 1);
}

TEST_CASE("from the tenth message of a kind within ten minutes on they are combined into one Event") {
  EventCorrelator::Limits limits;
  limits.burst = 1000;
  EventCorrelator correlator(limits);
  SteadyTime now{};
  for (int i = 0; i < 9; ++i) {
    auto decision = correlator.decide(pulled("message " + std::to_string(i)), now);
    CHECK(decision->message == "message " + std::to_string(i));
    correlator.written(*decision, "web." + std::to_string(i));
  }
  auto tenth = correlator.decide(pulled("message 9"), now);
  CHECK(tenth->message == "(combined from similar events): message 9");
  CHECK(tenth->name.empty());
  correlator.written(*tenth, "web.combined");
  auto eleventh = correlator.decide(pulled("message 10"), now);
  CHECK(eleventh->message == "(combined from similar events): message 10");
  CHECK(eleventh->name == "web.combined");
  CHECK(eleventh->count == 2);
  now += std::chrono::seconds(601);
  CHECK(correlator.decide(pulled("message 11"), now)->message == "message 11");
}

TEST_CASE("an object may have 25 events at once and then one every five minutes; others are not touched") {
  EventCorrelator correlator;
  SteadyTime now{};
  for (int i = 0; i < 25; ++i) CHECK(correlator.decide(pulled("same"), now));
  CHECK_FALSE(correlator.decide(pulled("same"), now));
  CHECK(correlator.decide(pulled("same", "other"), now));
  now += std::chrono::seconds(299);
  CHECK_FALSE(correlator.decide(pulled("same"), now));
  now += std::chrono::seconds(2);
  CHECK(correlator.decide(pulled("same"), now));
  CHECK_FALSE(correlator.decide(pulled("same"), now));
}

TEST_CASE("what was not used for longest is forgotten first") {
  EventCorrelator::Limits limits;
  limits.entries = 2;
  EventCorrelator correlator(limits);
  for (const char* pod : {"a", "b"}) correlator.written(*correlator.decide(pulled("m", pod), {}), pod);
  CHECK(correlator.decide(pulled("m", "a"), {})->count == 2);  // used again
  correlator.written(*correlator.decide(pulled("m", "c"), {}), "c");
  CHECK(correlator.decide(pulled("m", "a"), {})->count == 2);
  CHECK(correlator.decide(pulled("m", "b"), {})->count == 1);
}
