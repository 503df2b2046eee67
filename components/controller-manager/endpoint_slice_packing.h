#pragma once
// How endpoints are put into slices so that as few slices as possible change: what is there stays where it
// is, and what comes goes first where something changes anyway.

#include <memory>
#include <string>
#include <vector>

#include "apimachinery/value.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

// kube-controller-manager's --max-endpoints-per-slice.
inline constexpr std::size_t endpoints_per_slice = 100;

// A slice while it is decided what becomes of it.
struct WorkingSlice {
  // taken: a new slice takes its place and its name.
  enum class Fate { unchanged, update, create, remove, taken };
  Document origin;                             // empty: a new one
  std::vector<apimachinery::Value> endpoints;  // as they will be
  Fate fate = Fate::unchanged;
  std::vector<apimachinery::Value> ports = {};  // of a new one
  std::string takes_over = {};                  // of a new one: the name of the slice whose place it takes

  // With the endpoints that it has.
  static WorkingSlice existing(Document slice);
  static WorkingSlice fresh(std::vector<apimachinery::Value> ports) {
    return {{}, {}, Fate::create, std::move(ports)};
  }
};

// `slices` are those there are of one address type and port group, unchanged as yet; new ones are added at
// the end. A slice whose labels are no more `labels` is updated.
void pack_endpoints(std::vector<WorkingSlice>& slices, const std::vector<apimachinery::Value>& desired,
                    const std::vector<apimachinery::Value>& ports, const apimachinery::Value& labels,
                    std::size_t limit = endpoints_per_slice);

}  // namespace rusternetes::controller_manager
