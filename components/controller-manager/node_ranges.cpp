#include "controller-manager/node_ranges.h"

#include <fmt/format.h>

#include "apimachinery/cidr.h"

namespace rusternetes::controller_manager {

using apimachinery::AddressBits;
using apimachinery::Cidr;

Result<std::string> free_node_range(const std::string& cluster, int mask_size, const std::vector<std::string>& taken) {
  RN_TRY(const Cidr all, Cidr::parse(cluster));
  const auto network = all.masked();
  if (mask_size < network.prefix_length() || mask_size > network.address().bit_length())
    return internal_error(fmt::format("a node range of /{} does not fit into {}", mask_size, cluster));
  std::vector<Cidr> used;
  for (const auto& text : taken)
    if (auto one = Cidr::parse(text)) used.push_back(one->masked());
  const AddressBits step = AddressBits{1} << (network.address().bit_length() - mask_size);
  const AddressBits count = AddressBits{1} << (mask_size - network.prefix_length());
  for (AddressBits i = 0; i < count; ++i) {
    const Cidr candidate(network.address().plus(i * step), mask_size);
    bool is_free = true;
    for (const auto& one : used)
      if (one.contains(candidate.address()) || candidate.contains(one.address())) is_free = false;
    if (is_free) return candidate.to_string();
  }
  return internal_error(fmt::format("every range of /{} in {} is given out", mask_size, cluster));
}

}  // namespace rusternetes::controller_manager
