#pragma once
// NetworkPort on components/network.

#include "launcher/ports/network_port.h"

namespace rusternetes::launcher {

class LinuxNetwork final : public NetworkPort {
 public:
  Result<std::vector<std::string>> host_ranges() override;
  std::string bridge_name(const std::string& cluster) override;
  Result<bool> has_traces(const std::string& cluster) override;
  Result<> load_drop_rules(const NodeNetwork& network) override;
  Result<> check_drop_rules(const NodeNetwork& network) override;
  Result<std::vector<std::string>> missing_host_rules(const NodeNetwork& network) override;
  Result<std::string> describe(const std::string& cluster) override;
  Result<> link_node(const NodeNetwork& network) override;
  Result<> unlink_node(const NodeNetwork& network) override;
  Result<> remove_all(const std::string& cluster) override;
};

}  // namespace rusternetes::launcher
