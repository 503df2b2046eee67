#pragma once
// Published ports by way of a socket: connections to a loopback address of the host, and those of the
// cluster's own Pods, which the host's rules leave alone (published_ports.h). Its sockets also keep others
// from taking the ports.

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "network/published_ports.h"

namespace rusternetes::network {

// One thread's, which starts, changes and stops it.
class PortForwarder {
 public:
  // Listens in the namespace of the thread that calls start(). The first node address that answers is used.
  PortForwarder(std::vector<std::string> node_addresses, std::vector<PublishedPort> ports);
  ~PortForwarder();  // stop()
  // A port that somebody else has is logged and tried again until it is free.
  void start();
  void stop();
  // For connections that come from now on; without any they are refused. Those that are there stay.
  void set_node_addresses(std::vector<std::string> node_addresses);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rusternetes::network
