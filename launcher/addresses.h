#pragma once
// Which addresses and ports a new cluster gets: what the user asked for if nobody else has it, else free
// ones.

#include <string>

#include "launcher/session.h"

namespace rusternetes::launcher {

struct AddressRequest {
  std::string pod_cidr;                      // "A[,B]", one a family; empty: a free IPv4 block
  std::string service_cidr;                  // of the same families
  std::uint16_t api_port = 0;                // 0: a free one
  std::vector<std::string> published_ports;  // "HOST:NODEPORT"
  std::string network_cidr;                  // of a cluster of containers: an IPv4 /24; empty: a free one
  std::size_t nodes = 1;                     // of such a cluster
  std::string like = {};                     // a range whose family free ones are of
};

// Fills the address fields of `settings`. AddressConflict names the cluster or route in the way; BadRequest,
// PoolExhausted.
Result<> choose_addresses(Session& session, const AddressRequest& request, ClusterSettings& settings);

// "HOST:NODEPORT" each, beside those that `settings` has. BadRequest; AddressConflict.
Result<> add_published_ports(Session& session, const std::vector<std::string>& texts, ClusterSettings& settings);

}  // namespace rusternetes::launcher
