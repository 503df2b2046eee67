#include "controller-manager/node_ranges.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/cidr.h"

namespace rusternetes::controller_manager {

using apimachinery::AddressBits;
using apimachinery::Cidr;

namespace {

std::vector<Cidr> parsed(const std::vector<std::string>& ranges) {
  std::vector<Cidr> out;
  for (const auto& text : ranges)
    if (auto one = Cidr::parse(text)) out.push_back(one->masked());
  return out;
}

bool overlaps(const Cidr& range, const std::vector<Cidr>& others) {
  return std::any_of(others.begin(), others.end(), [&](const Cidr& other) {
    return other.contains(range.address()) || range.contains(other.address());
  });
}

}  // namespace

Result<std::string> free_node_range(const std::string& cluster, int mask_size,
                                    const std::vector<std::string>& taken) {
  RN_TRY(const Cidr all, Cidr::parse(cluster));
  const auto network = all.masked();
  if (mask_size < network.prefix_length() || mask_size > network.address().bit_length())
    return internal_error(fmt::format("a node range of /{} does not fit into {}", mask_size, cluster));
  const std::vector<Cidr> used = parsed(taken);
  const AddressBits step = AddressBits{1} << (network.address().bit_length() - mask_size);
  const AddressBits count = AddressBits{1} << (mask_size - network.prefix_length());
  for (AddressBits i = 0; i < count; ++i) {
    const Cidr candidate(network.address().plus(i * step), mask_size);
    if (!overlaps(candidate, used)) return candidate.to_string();
  }
  return internal_error(fmt::format("every range of /{} in {} is given out", mask_size, cluster));
}

bool is_free_range(const std::string& range, const std::vector<std::string>& taken) {
  const auto one = Cidr::parse(range);
  return one && !overlaps(one->masked(), parsed(taken));
}

}  // namespace rusternetes::controller_manager
