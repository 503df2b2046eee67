#include "launcher/containers/compose.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "certs/kubeconfig.h"
#include "launcher/containers/topology.h"

namespace rusternetes::launcher {

extern const std::string_view compose_network, compose_rhino, compose_etcd, compose_api_server,
    compose_controller_manager, compose_scheduler, compose_dns, compose_host_agent, compose_api_proxy,
    compose_node, compose_kube_proxy, compose_kubelet;

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

std::string_view template_of(std::string_view component) {
  static const std::map<std::string_view, const std::string_view*> all{
      {"rhino", &compose_rhino},
      {"etcd", &compose_etcd},
      {"api-server", &compose_api_server},
      {"controller-manager", &compose_controller_manager},
      {"scheduler", &compose_scheduler},
      {"dns", &compose_dns},
      {"host-agent", &compose_host_agent},
      {"api-proxy", &compose_api_proxy},
      {"node", &compose_node},
      {"kube-proxy", &compose_kube_proxy},
      {"kubelet", &compose_kubelet}};
  const auto found = all.find(component);
  RN_ASSERT(found != all.end(), "a component without a template");
  return *found->second;
}

// A YAML double-quoted scalar. Compose replaces $VARIABLE in every value; $$ is a dollar.
std::string yaml_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '$') escaped += '$';
    escaped += c;
  }
  return boost::json::serialize(boost::json::string(escaped));
}

std::string labels(const ClusterSettings& settings, std::string_view component, std::string_view key,
                   std::string_view step) {
  std::string text = fmt::format("{{{}: {}", cluster_label, yaml_text(settings.name));
  if (!component.empty())
    text += fmt::format(", {}: {}, {}: {}", component_label, component, key_label, key);
  return text + fmt::format(", {}: {}}}", step_label, step);
}

// Elements of a command, a line each.
std::string elements(std::string_view flag, const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += fmt::format("      - --{}={}\n", flag, value);
  return out;
}

std::string initial_cluster(const ClusterSettings& settings) {
  std::vector<std::string> parts;
  for (const Member& one : members_of(settings, "etcd"))
    parts.push_back(fmt::format("{}=https://{}:2380", one.key, one.address));
  return joined(parts);
}

std::string without_scheme(std::string url) { return url.substr(std::string_view("https://").size()); }

Values common_values(const ClusterSettings& s) {
  std::vector<std::string> servers;
  for (const std::string& url : api_server_urls(s)) servers.push_back(without_scheme(url));
  // The libpod API has a field of its own for the bridge's name; a label tells it (manifest.h).
  const bool has_driver_option = s.engine.kind == "docker";
  return {
      {"cluster", s.name},
      {"network", yaml_text(container_name(s, "network"))},
      {"driver_options",
       has_driver_option
           ? fmt::format("    driver_opts:\n      com.docker.network.bridge.name: {}\n", s.bridge)
           : ""},
      {"subnet", s.network_cidr},
      {"gateway", gateway_of(s)},
      {"pod_cidr", joined(s.pod_cidrs)},
      {"service_cidr", joined(s.service_cidrs)},
      {"store_urls", joined(store_urls(s))},
      {"initial_cluster", initial_cluster(s)},
      {"leader_elect", s.is_highly_available ? "true" : "false"},
      {"published", elements("publish", s.published_ports)},
      {"listen_address", without_scheme(s.server())},
      {"servers", elements("server", servers)},
      {"network_policy", s.has_network_policy ? "true" : "false"},
      {"policy_kubeconfig",
       s.has_network_policy
           ? elements("network-policy-kubeconfig", {"/etc/kubernetes/network-policy.conf"})
           : ""},
      {"dns_address", dns_service_address(s)},
      {"engine", s.engine.kind},
      {"runtime_endpoint", yaml_text("--container-runtime-endpoint=unix://" + s.engine.socket)},
  };
}

}  // namespace

std::string render_manifest(const ClusterSettings& s, const ClusterPaths& paths,
                            const ImageReferences& images) {
  Values values = common_values(s);
  Values network = values;
  network.emplace_back("labels", s.engine.kind == "docker"
                                     ? labels(s, "", "", "make-network")
                                     : fmt::format("{{{}: {}, {}: {}, {}: make-network}}", cluster_label,
                                                   yaml_text(s.name), bridge_label, s.bridge, step_label));
  std::string text = certs::fill_template(compose_network, network);
  for (const Member& one : members_of(s)) {
    const auto image = images.find(one.component);
    RN_ASSERT(image != images.end(), "a component without an image");
    Values own = values;
    const std::string number = one.key.substr(one.key.rfind('-') + 1);
    std::string address = one.address;
    for (const NodeSettings& node : s.nodes)
      if (node.name == one.node) address = node.address;
    const auto root = paths.node(one.node);
    own.insert(own.end(),
               {{"key", one.key},
                {"image", yaml_text(image->second)},
                {"container", yaml_text(container_name(s, one.key))},
                {"address", address},
                {"folder", yaml_text(paths.component(one.key).string())},
                {"data", yaml_text((paths.data() / one.key).string())},
                {"labels", labels(s, one.component, one.key, "start-containers")},
                {"node", one.node},
                {"node_container", container_name(s, one.node)},
                {"kube_proxy", "kube-proxy-" + number},
                {"root_dir", yaml_text("--root-dir=" + root.string())},
                {"pod_log_dir", yaml_text("--pod-log-dir=" + (root / "pod-logs").string())}});
    text += certs::fill_template(template_of(one.component), own);
  }
  return text;
}

}  // namespace rusternetes::launcher
