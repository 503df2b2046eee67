#include "controller-manager/endpoint_slice_packing.h"

#include <algorithm>
#include <unordered_map>

#include "controller-manager/endpoint_slice_endpoints.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using discovery_v1::Endpoint;
using discovery_v1::EndpointSlice;
using Fate = WorkingSlice::Fate;

namespace {

// The desired endpoints that have no slice yet, in their order.
class Unplaced {
 public:
  explicit Unplaced(const std::vector<Value>& desired) : desired_(desired), left_(0) {
    places_.reserve(desired.size());
    is_taken_.resize(desired.size());
    for (std::size_t i = 0; i < desired.size(); ++i) {
      if (places_.try_emplace(endpoint_key(Endpoint(&desired[i])), i).second)
        ++left_;
      else
        is_taken_[i] = true;  // the same once more
    }
  }
  std::size_t size() const { return left_; }
  // The desired form of an endpoint; null when it is not wanted, or is placed already.
  const Value* take(const Endpoint& like) {
    const auto it = places_.find(endpoint_key(like));
    if (it == places_.end() || is_taken_[it->second]) return nullptr;
    return take_at(it->second);
  }
  const Value* take_next() {
    while (is_taken_[next_]) ++next_;
    return take_at(next_);
  }

 private:
  const Value* take_at(std::size_t i) {
    is_taken_[i] = true;
    --left_;
    return &desired_[i];
  }
  const std::vector<Value>& desired_;
  std::unordered_map<std::string, std::size_t> places_;
  std::vector<bool> is_taken_;
  std::size_t left_, next_ = 0;
};

// What of a slice is still wanted stays in it.
void keep_wanted(WorkingSlice& slice, Unplaced& unplaced, const Value& labels) {
  std::vector<Value> kept;
  bool has_changed = false;
  for (const Value& endpoint : slice.endpoints) {
    const Value* wanted = unplaced.take(Endpoint(&endpoint));
    if (!wanted) continue;
    kept.push_back(*wanted);
    has_changed |= !is_same_endpoint(Endpoint(wanted), Endpoint(&endpoint));
  }
  const Value* has_labels = metadata_of(slice.origin).labels().value();
  if (has_changed || kept.size() != slice.endpoints.size()) {
    slice.fate = kept.empty() ? Fate::remove : Fate::update;
    slice.endpoints = std::move(kept);
  } else if (!has_labels || !std::equal(has_labels->items, has_labels->items + 2 * has_labels->size,
                                        labels.items, labels.items + 2 * labels.size,
                                        [](const Value& a, const Value& b) { return a.str() == b.str(); })) {
    slice.fate = Fate::update;
    slice.endpoints = std::move(kept);
  }
}

void fill(WorkingSlice& slice, Unplaced& unplaced, std::size_t limit) {
  while (unplaced.size() > 0 && slice.endpoints.size() < limit)
    slice.endpoints.push_back(*unplaced.take_next());
}

// The unchanged slice that has room for `count` and least of it left then; null when none has.
WorkingSlice* best_to_fill(std::vector<WorkingSlice>& slices, std::size_t count, std::size_t limit) {
  WorkingSlice* best = nullptr;
  for (auto& slice : slices)
    if (slice.fate == Fate::unchanged && slice.endpoints.size() + count <= limit &&
        (!best || slice.endpoints.size() > best->endpoints.size()))
      best = &slice;
  return best;
}

}  // namespace

WorkingSlice WorkingSlice::existing(Document slice) {
  WorkingSlice out;
  for (const auto endpoint : EndpointSlice(&slice.root()).endpoints()) {
    Value value = *endpoint.value();
    value.growable = 0;  // the document's own memory
    out.endpoints.push_back(value);
  }
  out.origin = std::move(slice);
  return out;
}

void pack_endpoints(std::vector<WorkingSlice>& slices, const std::vector<Value>& desired,
                    const std::vector<Value>& ports, const Value& labels, std::size_t limit) {
  Unplaced unplaced(desired);
  for (auto& slice : slices) keep_wanted(slice, unplaced, labels);

  std::vector<WorkingSlice*> updated;  // the fullest first, so that others may become empty in time
  for (auto& slice : slices)
    if (slice.fate == Fate::update) updated.push_back(&slice);
  std::stable_sort(updated.begin(), updated.end(), [](const WorkingSlice* a, const WorkingSlice* b) {
    return a->endpoints.size() > b->endpoints.size();
  });
  for (WorkingSlice* slice : updated) fill(*slice, unplaced, limit);

  while (unplaced.size() > 0) {
    // One that is filled to the brim is no better than a new one.
    WorkingSlice* room = unplaced.size() < limit ? best_to_fill(slices, unplaced.size(), limit) : nullptr;
    if (room)
      room->fate = Fate::update;
    else
      room = &slices.emplace_back(WorkingSlice::fresh(ports));
    fill(*room, unplaced, limit);
  }
}

}  // namespace rusternetes::controller_manager
