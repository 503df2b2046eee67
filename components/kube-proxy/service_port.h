#pragma once
// A Service as the proxy sees it: one port of it in one family, with the addresses and policies that concern
// it.

#include <cstdint>
#include <string>
#include <vector>

#include "apimachinery/document.h"
#include "kube-proxy/rules.h"

namespace rusternetes::kube_proxy {

struct ServicePort {
  Family family{};
  std::string name;  // the port's
  std::string path;  // "namespace/name/tcp/port": part of the names of chains
  Protocol protocol{};
  std::uint16_t port = 0;
  std::uint16_t node_port = 0;  // 0: none
  IpAddress cluster_ip;
  std::vector<IpAddress> external_ips;
  std::vector<IpAddress> load_balancer_ips;  // those that arrive here as they are (ipMode VIP)
  bool has_source_ranges = false;            // else everybody may use load_balancer_ips
  std::vector<IpPrefix> source_ranges;       // who may; possibly nobody
  std::int64_t affinity_s = 0;               // 0: none
  bool is_internal_local = false, is_external_local = false;

  bool is_external() const { return node_port != 0 || !external_ips.empty() || !load_balancer_ips.empty(); }
  // External policy Local needs all endpoints, too, for Pods and the node itself.
  bool uses_cluster() const { return !is_internal_local || is_external(); }
  bool uses_local() const { return is_internal_local || (is_external_local && is_external()); }
};

// Of a Service that is_proxied(): its ports in each family in which it has a ClusterIP.
std::vector<ServicePort> service_ports(const apimachinery::Document& service);
// spec.healthCheckNodePort of a LoadBalancer under policy Local; else 0.
std::uint16_t health_check_port(const apimachinery::Document& service);

}  // namespace rusternetes::kube_proxy
