#include "api-server/strategy/service_node_ports.h"

#include <fmt/format.h>

#include "api-server/storage_codec.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::RangeAllocation;

namespace {
// The lower band is left to those who ask for a port by number (KEP 3668).
constexpr std::size_t lower_band = 86;  // min(max(16, 2768 / 32), 128)
constexpr std::size_t count = node_port_count;
}  // namespace

NodePortSet read_node_ports(std::string_view data) {
  NodePortSet ports;
  for (std::size_t i = 0; i < count && i / 8 < data.size(); ++i)
    ports[i] = static_cast<unsigned char>(data[data.size() - 1 - i / 8]) >> (i % 8) & 1;
  return ports;
}

std::shared_ptr<const std::string> range_of_node_ports(const Registry& registry, const NodePortSet& ports) {
  std::string data;
  for (std::size_t byte = (count + 7) / 8; byte-- > 0;) {
    unsigned bits = 0;
    for (std::size_t i = 0; i < 8 && byte * 8 + i < count; ++i) bits |= static_cast<unsigned>(ports[byte * 8 + i]) << i;
    if (!data.empty() || bits != 0) data.push_back(static_cast<char>(bits));
  }
  Arena arena;
  Value object = Value::empty(ValueKind::structure);
  set_string(arena, object, RangeAllocation::f_range, fmt::format("{}-{}", node_port_first, node_port_last));
  set_string(arena, object, RangeAllocation::f_data, data);
  return encode_for_storage(*registry.find_kind("v1", "RangeAllocation"), object);
}

Result<void> NodePorts::load() {
  if (is_loaded_) return {};
  const auto kv = companions_.read(node_port_range_key);
  if (kv) {
    const Kind& kind = *companions_.registry().find_kind("v1", "RangeAllocation");
    RN_TRY(const Value object, decode_from_storage(context_.arena, *kv->value, kind, companions_.registry()));
    taken_ = read_node_ports(RangeAllocation(&object).data());
    revision_ = kv->mod_revision;
  }
  is_loaded_ = true;
  return {};
}

Result<void> NodePorts::claim(std::int64_t port) {
  if (port < node_port_first || port > node_port_last)
    return bad_request(fmt::format("provided port is not in the valid range. The range of valid ports is {}-{}", node_port_first, node_port_last));
  RN_CHECK(load());
  const auto index = static_cast<std::size_t>(port - node_port_first);
  if (taken_[index]) return bad_request("provided port is already allocated");
  taken_[index] = is_changed_ = true;
  return {};
}

Result<std::int64_t> NodePorts::claim_any() {
  RN_CHECK(load());
  std::mt19937 random(std::random_device{}());
  const auto any_of = [&](std::size_t first, std::size_t last) -> std::optional<std::size_t> {
    const std::size_t size = last - first, start = random() % size;
    for (std::size_t i = 0; i < size; ++i)
      if (const std::size_t index = first + (start + i) % size; !taken_[index]) return index;
    return std::nullopt;
  };
  auto index = any_of(lower_band, count);
  if (!index) index = any_of(0, lower_band);
  if (!index) return internal_error("failed to allocate a nodePort: range is full");
  taken_[*index] = is_changed_ = true;
  return static_cast<std::int64_t>(*index) + node_port_first;
}

Result<void> NodePorts::release(std::int64_t port) {
  if (port < node_port_first || port > node_port_last) return {};
  RN_CHECK(load());
  released_[static_cast<std::size_t>(port - node_port_first)] = is_changed_ = true;
  return {};
}

void NodePorts::save() {
  if (!is_changed_ || companions_.is_dry_run()) return;
  taken_ &= ~released_;
  companions_.replace(std::string(node_port_range_key), range_of_node_ports(companions_.registry(), taken_), revision_);
}

}  // namespace rusternetes::api_server
