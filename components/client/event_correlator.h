#pragma once
// Which Events are worth writing, and how (client-go's EventCorrelator, whose numbers these are): the same
// event again is counted, many that differ in their message only become one, and an object that has too many
// is not listened to. Sans I/O: a function of what was seen and `now`.

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"

namespace rusternetes::client {

struct RecordedEvent {
  std::string type, reason, message, field_path, api_version, kind, name_space, name, uid, resource_version;
  std::int64_t at_us = 0;
};

class EventCorrelator {
 public:
  struct Limits {
    std::size_t entries = 4096;       // of each memory; what was not used for longest is forgotten
    std::size_t similar_events = 10;  // so many messages within the interval, and they are combined
    std::chrono::seconds similar_interval{600};
    double burst = 25;                 // an object's events at once,
    std::chrono::seconds refill{300};  // and then one in so long
  };
  EventCorrelator() : EventCorrelator(Limits{}) {}
  explicit EventCorrelator(Limits limits) : limits_(limits) {}

  struct Decision {
    std::string message;  // perhaps "(combined from similar events): ..."
    std::string key;      // for written()
    // Of the Event that is there already; empty: it is to be created.
    std::string name;
    int count = 1;
    std::int64_t first_us = 0;
  };
  // Nothing: it is dropped.
  std::optional<Decision> decide(const RecordedEvent& event, SteadyTime now);
  // The Event `name` has been written, so that the next one like it counts there.
  void written(const Decision& decision, std::string name);

 private:
  // Entries in the order of their last use.
  template <class T>
  struct Memory {
    std::list<std::pair<std::string, T>> order;
    std::map<std::string, typename std::list<std::pair<std::string, T>>::iterator> places;
    T& at(const std::string& key, std::size_t limit);
  };
  struct Similar {
    std::set<std::string> messages;
    SteadyTime last{};
  };
  struct Seen {
    std::string name;
    int count = 0;
    std::int64_t first_us = 0;
  };
  struct Bucket {
    bool is_new = true;
    double tokens = 0;
    SteadyTime filled{};
  };
  bool is_allowed(const std::string& object, SteadyTime now);
  Limits limits_;
  Memory<Similar> similar_;
  Memory<Seen> seen_;
  Memory<Bucket> buckets_;
};

}  // namespace rusternetes::client
