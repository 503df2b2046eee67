#pragma once
// Addresses and ports in the canonical form of Endpoints: as few subsets as say it, each address once in
// each, all in Kubernetes' order (pkg/api/v1/endpoints).

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "apimachinery/api/core_v1.h"

namespace rusternetes::controller_manager {

class SubsetPacker {
 public:
  // `arena` and what the values point into outlive what pack() gives.
  explicit SubsetPacker(apimachinery::Arena& arena) : arena_(arena) {}
  // An EndpointAddress and an EndpointPort; without a port (null) the address is kept all the same. An
  // address that is not ready once for a port is not ready for it.
  void add(const apimachinery::Value& address, const apimachinery::Value* port, bool is_ready);
  void add(const apimachinery::core_v1::EndpointSubset& subset);
  // EndpointSubset values.
  std::vector<apimachinery::Value> pack();

 private:
  enum class State : std::uint8_t { absent, ready, not_ready };
  struct Port {
    apimachinery::Value value;
    bool is_none;
    std::vector<State> states;  // by address
  };
  std::size_t place_of(const apimachinery::Value& address);
  Port& port_of(const apimachinery::Value* port);
  apimachinery::Value subset_of(const std::vector<State>& states, const std::vector<std::size_t>& order,
                                std::vector<apimachinery::Value> ports);

  apimachinery::Arena& arena_;
  std::vector<apimachinery::Value> addresses_;
  std::unordered_map<std::string, std::size_t> places_;  // by address and uid of the target
  std::map<std::string, Port> ports_;
};

std::vector<apimachinery::Value> repack_subsets(
    apimachinery::Arena& arena, const apimachinery::ListView<apimachinery::core_v1::EndpointSubset>& subsets);

// Endpoints hold no more addresses; others are left out, not ready ones first, from all subsets in
// proportion. True when there were too many.
inline constexpr std::size_t endpoints_capacity = 1000;
bool truncate_subsets(apimachinery::Arena& arena, std::vector<apimachinery::Value>& subsets,
                      std::size_t capacity = endpoints_capacity);

}  // namespace rusternetes::controller_manager
