#include "rusternetes/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "apimachinery/cidr.h"
#include "apimachinery/names.h"

namespace rusternetes {

Result<void> complete(ProcessOptions& options) {
  auto bad = [](std::string text) { return Status{400, "BadRequest", std::move(text)}; };
  std::error_code error;
  options.data_dir = std::filesystem::absolute(options.data_dir, error).lexically_normal();
  if (error) return bad(fmt::format("--data-dir: {}", error.message()));
  if (options.node_name.empty()) {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    options.node_name = name;
    for (char& c : options.node_name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (const auto problems = apimachinery::is_dns1123_subdomain(options.node_name); !problems.empty())
    return bad(fmt::format("--node-name {}: {}", options.node_name, problems[0]));
  if (options.node_network != "own" && options.node_network != "host")
    return bad(fmt::format("--node-network {}: it is own or host", options.node_network));
  if (!options.engine.empty() && options.engine != "podman" && options.engine != "docker")
    return bad(fmt::format("--engine {}: it is podman or docker", options.engine));
  for (const auto* range : {&options.pod_cidr, &options.service_cluster_ip_range}) {
    std::string_view rest = *range;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      if (auto parsed = apimachinery::Cidr::parse(rest.substr(0, comma)); !parsed) return bad(fmt::format("{}: {}", rest.substr(0, comma), parsed.error().message));
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
  }
  if (!options.tls && options.bind_address != "127.0.0.1" && options.bind_address != "::1" && options.bind_address != "localhost")
    return bad("--tls=false serves plain HTTP, which is for loopback only: leave --bind-address at 127.0.0.1");
  if (options.root_dir.empty()) options.root_dir = options.data_dir + "/kubelet";
  return {};
}

}  // namespace rusternetes
