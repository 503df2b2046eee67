#pragma once
// The addresses of a node's Pod CIDR. Lives in memory; what is in use is learned from the sandboxes' annotations at a start.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apimachinery/cidr.h"
#include "base/status.h"

namespace rusternetes::kubelet {

class IpPool {
 public:
  // One CIDR, or one of each family. Addresses in use stay in use.
  Result<void> set_cidrs(const std::vector<std::string>& cidrs);
  bool has_cidrs() const { return !ranges_.empty(); }

  // One address of each range for the Pod; the same again if it has some. An address is not given out again while others
  // are free, so that a late packet does not meet a new Pod. Fails when a range is used up.
  Result<std::vector<std::string>> allocate(const std::string& pod_uid);
  // What a running sandbox has. Conflicts are told: two Pods with one address must not both run.
  Result<void> adopt(const std::string& pod_uid, const std::vector<std::string>& addresses);
  void release(const std::string& pod_uid);
  std::vector<std::string> addresses_of(const std::string& pod_uid) const;

 private:
  struct Range {
    apimachinery::Cidr cidr;
    std::uint64_t next = 0;
  };
  Result<std::string> take(Range& range);
  std::vector<Range> ranges_;
  std::map<std::string, std::vector<std::string>> by_pod_;
  std::set<std::string> used_;
};

}  // namespace rusternetes::kubelet
