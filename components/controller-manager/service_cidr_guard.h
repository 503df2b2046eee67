#pragma once
// What makes a ServiceCIDR's addresses safe to give out, where the process knows: an address is given out
// once its ServiceCIDR is ready, and it becomes so when whoever keeps the rules and routes of the node has
// them.

#include <vector>

#include "apimachinery/cidr.h"
#include "base/task.h"

namespace rusternetes::controller_manager {

class ServiceCidrGuard {
 public:
  virtual ~ServiceCidrGuard() = default;
  // Success: no packet to the blocks leaves untranslated, and the node's host reaches them. Repeats without
  // harm. On the controllers' thread, which it must not block.
  virtual Task<Result<void>> stand(std::vector<apimachinery::Cidr> blocks) = 0;
  // `all` are the blocks of every ServiceCIDR that there is: what stands for others goes.
  virtual Task<Result<void>> retain(std::vector<apimachinery::Cidr> all) = 0;
};

}  // namespace rusternetes::controller_manager
