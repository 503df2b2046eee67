#include "controller-manager/endpoints_subsets.h"

#include <algorithm>
#include <cmath>

#include "apimachinery/edit.h"
#include "controller-manager/endpoint_slice_order.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::EndpointAddress;
using core_v1::EndpointPort;
using core_v1::EndpointSubset;

namespace {

bool is_less(const Value& x, const Value& y) {
  const EndpointAddress a(&x), b(&y);
  if (const int order = a.ip().compare(b.ip()); order != 0) return order < 0;
  if (!b.has_targetRef()) return false;
  return !a.has_targetRef() || a.targetRef().uid() < b.targetRef().uid();
}

// A reference to memory that others own.
Value shared(const Value& value) {
  Value out = value;
  out.growable = 0;
  return out;
}

std::size_t count_of(const Value& subset, int field) {
  const Value* list = subset.get(field);
  return list ? list->size : 0;
}

}  // namespace

std::size_t SubsetPacker::place_of(const Value& address) {
  const EndpointAddress view(&address);
  std::string key(view.ip());
  (key += '\n') += view.targetRef().uid();
  const auto [it, is_new] = places_.try_emplace(std::move(key), addresses_.size());
  if (is_new) addresses_.push_back(shared(address));
  return it->second;
}

SubsetPacker::Port& SubsetPacker::port_of(const Value* port) {
  const bool is_none = !port || EndpointPort(port).port() <= 0;
  const auto [it, is_new] = ports_.try_emplace(port ? order_text(EndpointPort(port)) : std::string());
  if (is_new) it->second = {port ? shared(*port) : Value{}, is_none, {}};
  return it->second;
}

void SubsetPacker::add(const Value& address, const Value* port, bool is_ready) {
  const std::size_t place = place_of(address);
  Port& entry = port_of(port);
  if (entry.states.size() <= place) entry.states.resize(addresses_.size(), State::absent);
  State& state = entry.states[place];
  if (state != State::not_ready) state = is_ready ? State::ready : State::not_ready;
}

void SubsetPacker::add(const EndpointSubset& subset) {
  auto add_all = [&](const Value* port) {
    for (const auto address : subset.addresses()) add(*address.value(), port, true);
    for (const auto address : subset.notReadyAddresses()) add(*address.value(), port, false);
  };
  if (subset.ports().empty()) add_all(nullptr);
  for (const auto port : subset.ports()) add_all(port.value());
}

Value SubsetPacker::subset_of(const std::vector<State>& states, const std::vector<std::size_t>& order,
                              std::vector<Value> ports) {
  Value subset = Value::empty(ValueKind::structure);
  auto put = [&](int field, State wanted) {
    for (const std::size_t place : order)
      if (states[place] == wanted)
        append(arena_, ensure(arena_, subset, field, ValueKind::list), addresses_[place]);
  };
  put(EndpointSubset::f_addresses, State::ready);
  put(EndpointSubset::f_notReadyAddresses, State::not_ready);
  sort_by_hash<EndpointPort>(ports);
  for (const Value& port : ports)
    append(arena_, ensure(arena_, subset, EndpointSubset::f_ports, ValueKind::list), port);
  return subset;
}

std::vector<Value> SubsetPacker::pack() {
  std::vector<std::size_t> order(addresses_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [this](std::size_t a, std::size_t b) { return is_less(addresses_[a], addresses_[b]); });
  std::map<std::vector<State>, std::vector<Value>> groups;  // ports with the same addresses
  for (auto& [key, port] : ports_) {
    port.states.resize(addresses_.size(), State::absent);
    auto& group = groups[port.states];
    if (!port.is_none) group.push_back(port.value);
  }
  std::vector<Value> subsets;
  for (auto& [states, ports] : groups) subsets.push_back(subset_of(states, order, std::move(ports)));
  sort_by_hash<EndpointSubset>(subsets);
  return subsets;
}

std::vector<Value> repack_subsets(Arena& arena, const ListView<EndpointSubset>& subsets) {
  SubsetPacker packer(arena);
  for (const auto subset : subsets) packer.add(subset);
  return packer.pack();
}

bool truncate_subsets(Arena& arena, std::vector<Value>& subsets, std::size_t capacity) {
  std::size_t ready = 0, not_ready = 0;
  for (const Value& subset : subsets) {
    ready += count_of(subset, EndpointSubset::f_addresses);
    not_ready += count_of(subset, EndpointSubset::f_notReadyAddresses);
  }
  if (ready + not_ready <= capacity) return false;
  const bool only_ready = ready > capacity;
  const int field = only_ready ? EndpointSubset::f_addresses : EndpointSubset::f_notReadyAddresses;
  const std::size_t most = only_ready ? capacity : capacity - ready, total = only_ready ? ready : not_ready;
  std::size_t left = most;
  for (Value& subset : subsets) {
    const std::size_t count = count_of(subset, field);
    const double share = static_cast<double>(count) / static_cast<double>(total) * static_cast<double>(most);
    const std::size_t kept = std::min({static_cast<std::size_t>(std::ceil(share)), left, count});
    left -= kept;
    if (only_ready) erase_field(subset, EndpointSubset::f_notReadyAddresses);
    if (kept == count) continue;
    Value list = Value::empty(ValueKind::list);
    for (std::size_t i = 0; i < kept; ++i) append(arena, list, subset.get(field)->items[i]);
    if (kept == 0)
      erase_field(subset, field);
    else
      assign(*subset.get(field), list);
  }
  return true;
}

}  // namespace rusternetes::controller_manager
