#include "client/event_correlator.h"

#include <algorithm>

namespace rusternetes::client {

namespace {
// Parts are told apart by a byte that is in none of them.
std::string join(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const auto part : parts) (out += part) += '\0';
  return out;
}
}  // namespace

template <class T>
T& EventCorrelator::Memory<T>::at(const std::string& key, std::size_t limit) {
  if (auto found = places.find(key); found != places.end()) {
    order.splice(order.begin(), order, found->second);
    return found->second->second;
  }
  order.emplace_front(key, T{});
  places[key] = order.begin();
  if (order.size() > limit) {
    places.erase(order.back().first);
    order.pop_back();
  }
  return order.front().second;
}

bool EventCorrelator::is_allowed(const std::string& object, SteadyTime now) {
  Bucket& bucket = buckets_.at(object, limits_.entries);
  if (bucket.is_new) {
    bucket = {false, limits_.burst, now};
  } else {
    const double passed = std::chrono::duration<double>(now - bucket.filled).count();
    bucket.tokens =
        std::min(limits_.burst, bucket.tokens + passed / static_cast<double>(limits_.refill.count()));
    bucket.filled = now;
  }
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

std::optional<EventCorrelator::Decision> EventCorrelator::decide(const RecordedEvent& event, SteadyTime now) {
  const std::string object = join({event.kind, event.name_space, event.name, event.uid, event.api_version});
  const std::string group = object + join({event.type, event.reason});
  Decision decision;
  decision.message = event.message;
  decision.key = group + join({event.field_path, event.message});
  Similar& similar = similar_.at(group, limits_.entries);
  if (now - similar.last > limits_.similar_interval) similar.messages.clear();
  similar.last = now;
  similar.messages.insert(event.message);
  if (similar.messages.size() >= limits_.similar_events) {
    similar.messages.erase(similar.messages.begin());  // stays at the limit
    decision.key = group;
    decision.message = "(combined from similar events): " + event.message;
  }
  if (!is_allowed(object, now)) return std::nullopt;
  const Seen& seen = seen_.at(decision.key, limits_.entries);
  decision.name = seen.name;
  decision.count = seen.count + 1;
  decision.first_us = seen.count ? seen.first_us : event.at_us;
  return decision;
}

void EventCorrelator::written(const Decision& decision, std::string name) {
  seen_.at(decision.key, limits_.entries) = {std::move(name), decision.count, decision.first_us};
}

}  // namespace rusternetes::client
