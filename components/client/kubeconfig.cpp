#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "apimachinery/base64.h"
#include "client/remote_client.h"

namespace rusternetes::client {
namespace {

Result<std::string> read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return internal_error(fmt::format("cannot read {}", path.string()));
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// `name-data` inline in base64, or `name` as a path relative to the kubeconfig.
Result<std::string> material(const YAML::Node& node, const std::string& name,
                             const std::filesystem::path& folder) {
  if (const auto data = node[name + "-data"]) return apimachinery::base64_decode(data.as<std::string>());
  if (const auto file = node[name]) return read_whole(folder / file.as<std::string>());
  return std::string{};
}

YAML::Node named(const YAML::Node& list, const std::string& name, const char* content) {
  for (const auto& item : list)
    if (item["name"].as<std::string>("") == name) return item[content];
  return {};
}

// The other servers of the cluster; kubectl knows but one, and leaves extensions alone.
std::vector<std::string> further_servers(const YAML::Node& cluster) {
  std::vector<std::string> out;
  const YAML::Node extension = named(cluster["extensions"], servers_extension, "extension");
  if (!extension.IsDefined() || !extension.IsMap()) return out;
  for (const auto& server : extension["servers"]) out.push_back(server.as<std::string>());
  return out;
}

}  // namespace

Result<RemoteOptions> read_kubeconfig(const std::string& path) {
  RN_TRY(const std::string text, read_whole(path));
  try {
    const YAML::Node root = YAML::Load(text);
    const auto folder = std::filesystem::path(path).parent_path();
    const YAML::Node context =
        named(root["contexts"], root["current-context"].as<std::string>(""), "context");
    if (!context.IsDefined() || context.IsNull())
      return internal_error(fmt::format("{}: the current context is not there", path));
    const YAML::Node cluster = named(root["clusters"], context["cluster"].as<std::string>(""), "cluster");
    const YAML::Node user = named(root["users"], context["user"].as<std::string>(""), "user");
    if (!cluster.IsDefined() || !cluster["server"])
      return internal_error(fmt::format("{}: the context's cluster is not there", path));
    RemoteOptions options;
    options.servers = {cluster["server"].as<std::string>()};
    for (auto& server : further_servers(cluster)) options.servers.push_back(std::move(server));
    RN_TRY(options.tls.ca_pem, material(cluster, "certificate-authority", folder));
    options.tls.insecure_skip_verify = cluster["insecure-skip-tls-verify"].as<bool>(false);
    options.tls.server_name = cluster["tls-server-name"].as<std::string>("");
    if (user.IsDefined() && user.IsMap()) {
      RN_TRY(options.tls.certificate_chain_pem, material(user, "client-certificate", folder));
      RN_TRY(options.tls.private_key_pem, material(user, "client-key", folder));
      if (const auto token = user["token"])
        options.bearer_token = [t = token.as<std::string>()] { return t; };
      if (const auto file = user["tokenFile"])
        options.bearer_token = [f = (folder / file.as<std::string>()).string()] {
          auto token = read_whole(f);
          return token ? token->substr(0, token->find_last_not_of(" \n\r\t") + 1) : std::string{};
        };
    }
    return options;
  } catch (const YAML::Exception& error) {
    return internal_error(fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace rusternetes::client
