#include "rusternetes/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "apimachinery/cidr.h"
#include "apimachinery/names.h"
#include "network/address.h"
#include "network/published_ports.h"

namespace rusternetes {

using network::IpAddress;
using network::IpPrefix;

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return out;
}

bool is_loopback(const std::string& address) {
  static const IpPrefix v4 = *IpPrefix::parse("127.0.0.0/8"), v6 = *IpPrefix::parse("::1/128");
  const auto parsed = IpAddress::parse(address);
  return parsed && (v4.contains(*parsed) || v6.contains(*parsed));
}

Result<void> complete(ProcessOptions& options) {
  auto bad = [](std::string text) { return Status{400, "BadRequest", std::move(text)}; };
  std::error_code error;
  options.data_dir = std::filesystem::absolute(options.data_dir, error).lexically_normal();
  if (error) return bad(fmt::format("--data-dir: {}", error.message()));
  while (options.data_dir.size() > 1 && options.data_dir.back() == '/') options.data_dir.pop_back();
  if (options.root_dir.empty()) options.root_dir = options.data_dir + "/kubelet";
  if (!options.cluster_name.empty())
    if (const auto problems = apimachinery::is_dns1123_label(options.cluster_name); !problems.empty())
      return bad(fmt::format("--cluster-name {}: {}", options.cluster_name, problems[0]));
  if (!options.node_name.empty())
    if (const auto problems = apimachinery::is_dns1123_subdomain(options.node_name); !problems.empty())
      return bad(fmt::format("--node-name {}: {}", options.node_name, problems[0]));
  if (options.node_network != "own" && options.node_network != "host")
    return bad(fmt::format("--node-network {}: it is own or host", options.node_network));
  if (!options.engine.empty() && options.engine != "podman" && options.engine != "docker")
    return bad(fmt::format("--engine {}: it is podman or docker", options.engine));
  for (const auto& [flag, text] :
       {std::pair{"--pod-cidr", &options.pod_cidr},
        std::pair{"--service-cluster-ip-range", &options.service_cluster_ip_range}})
    for (const auto& range : split_list(*text))
      if (auto parsed = apimachinery::Cidr::parse(range); !parsed)
        return bad(fmt::format("{} {}: {}", flag, range, parsed.error().message));
  for (const auto& [flag, text] : {std::pair{"--node-address", &options.node_address},
                                   std::pair{"--host-address", &options.host_address}})
    for (const auto& address : split_list(*text))
      if (!IpAddress::parse(address)) return bad(fmt::format("{} {}: not an IP address", flag, address));
  for (const auto& port : options.publish)
    if (auto parsed = network::PublishedPort::parse(port); !parsed) return bad(fmt::format("--publish {}", parsed.error().message));
  if (!options.publish.empty() && !options.has_own_node())
    return bad("--publish is for a node with a network of its own: with --node-network host its ports are the host's already");
  if (!IpAddress::parse(options.bind_address))
    return bad(fmt::format("--bind-address {}: not an IP address", options.bind_address));
  if (!options.tls && !is_loopback(options.bind_address))
    return bad(
        fmt::format("--tls=false serves plain HTTP, which is for loopback only: --bind-address {} is none, "
                    "leave it at 127.0.0.1",
                    options.bind_address));
  return {};
}

}  // namespace rusternetes
