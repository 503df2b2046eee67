#include "launcher/containers/component_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "addons/addons.h"
#include "addons/manifest.h"
#include "certs/file.h"
#include "certs/kubeconfig.h"
#include "certs/pki.h"
#include "launcher/containers/topology.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

struct File {
  std::string name, text;
};

// etcd has to be restarted for other authorities, and for nothing else: which of two signs is nothing to it.
std::string in_any_order(const std::string& authorities) {
  std::vector<std::string> blocks = certs::pem_blocks(authorities);
  std::sort(blocks.begin(), blocks.end());
  std::string out;
  for (const std::string& block : blocks) out += block;
  return out;
}

class Writer {
 public:
  Writer(const ClusterSettings& settings, const ClusterPaths& paths) : settings_(settings), paths_(paths) {}

  Result<std::vector<std::string>> run() {
    std::vector<std::string> changed;
    const std::vector<Member> members = members_of(settings_);
    RN_CHECK(certs::make_folder(paths_.components(), 0700));
    for (std::size_t i = 0; i < members.size(); ++i) {
      turn_ = i;
      RN_TRY(const std::vector<File> files, files_of(members[i]));
      RN_TRY(const bool is_new, write(paths_.component(members[i].key), files));
      if (is_new) changed.push_back(members[i].key);
    }
    RN_CHECK(remove_others(members));
    return changed;
  }

 private:
  Result<std::vector<File>> files_of(const Member& one) {
    std::vector<File> files;
    const auto copy = [&](const std::string& from, const std::string& to) -> Result<> {
      RN_TRY(std::string text, certs::read_text(paths_.pki() / from));
      files.push_back({to, std::move(text)});
      return {};
    };
    const auto pair = [&](const std::string& from, const std::string& to) -> Result<> {
      RN_CHECK(copy(from + ".crt", to + ".crt"));
      return copy(from + ".key", to + ".key");
    };
    const auto kubeconfig = [&](const std::string& leaf, const std::string& user) -> Result<> {
      return add_kubeconfig(files, leaf, leaf, user);
    };
    const std::string& what = one.component;
    if (what == "node") return files;
    if (is_store(what)) {
      RN_TRY(const std::string authorities, certs::read_text(paths_.pki() / "etcd/ca.crt"));
      files.push_back({"ca.crt", in_any_order(authorities)});
      RN_CHECK(pair("etcd/server-" + one.leaf, "server"));
      if (what == "etcd") RN_CHECK(pair("etcd/peer-" + one.leaf, "peer"));
      return files;
    }
    RN_CHECK(copy("ca.crt", "ca.crt"));
    if (what == "api-server") {
      RN_CHECK(copy("etcd/ca.crt", "etcd-ca.crt"));
      RN_CHECK(pair("apiserver-" + one.leaf, "apiserver"));
      for (const char* leaf : {"apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"})
        RN_CHECK(pair(leaf, leaf));
      RN_CHECK(copy("front-proxy-ca.crt", "front-proxy-ca.crt"));
      RN_CHECK(copy("sa.key", "sa.key"));
      RN_CHECK(copy("sa.pub", "sa.pub"));
      RN_TRY(std::string addons, addons_text());
      files.push_back({"addons.yaml", std::move(addons)});
    } else if (what == "controller-manager") {
      RN_CHECK(kubeconfig("controller-manager", "system:kube-controller-manager"));
    } else if (what == "scheduler") {
      RN_CHECK(kubeconfig("scheduler", "system:kube-scheduler"));
    } else if (what == "dns") {
      RN_CHECK(kubeconfig("dns", "system:coredns"));
    } else if (what == "host-agent") {
      RN_CHECK(kubeconfig("host-agent", "system:host-agent"));
    } else if (what == "api-proxy") {
      RN_CHECK(pair("api-proxy", "api-proxy"));
    } else if (what == "kube-proxy") {
      RN_CHECK(kubeconfig("kube-proxy", "system:kube-proxy"));
      RN_CHECK(kubeconfig("network-policy", "system:network-policy"));
    } else if (what == "kubelet") {
      RN_CHECK(pair("kubelet-" + one.node, "kubelet"));
      RN_CHECK(add_kubeconfig(files, "kubelet-client-" + one.node, "kubelet", "system:node:" + one.node));
      RN_CHECK(kubeconfig("node-routes", "system:node-routes"));
    } else {
      RN_ASSERT(false, "a component whose files are not known");
    }
    return files;
  }

  // Members begin with different servers, so that not all are with the first one.
  Result<> add_kubeconfig(std::vector<File>& files, const std::string& leaf, const std::string& name,
                          const std::string& user) {
    std::vector<std::string> servers = api_server_urls(settings_);
    std::rotate(servers.begin(), servers.begin() + static_cast<std::ptrdiff_t>(turn_ % servers.size()),
                servers.end());
    certs::KubeconfigRequest request{.cluster = settings_.context(),
                                     .user = user,
                                     .context = user + "@" + settings_.context(),
                                     .server = servers.front(),
                                     .further_servers = {servers.begin() + 1, servers.end()}};
    RN_TRY(request.client, certs::read_pair(paths_.pki(), leaf));
    RN_TRY(request.authority_pem, certs::read_text(paths_.pki() / "ca.crt"));
    files.push_back({name + ".conf", certs::render_kubeconfig(request)});
    return {};
  }

  Result<std::string> addons_text() const {
    addons::DnsOptions options{.service_cluster_ip_range = joined(settings_.service_cidrs)};
    for (const Member& one : members_of(settings_, "dns")) options.server_addresses.push_back(one.address);
    RN_TRY(const auto objects, addons::container_cluster(options));
    return addons::print_manifest(objects);
  }

  // True when something was written that was not so before.
  static Result<bool> write(const fs::path& folder, const std::vector<File>& files) {
    RN_CHECK(certs::make_folder(folder, 0700));
    bool is_new = false;
    for (const File& file : files) {
      const fs::path path = folder / file.name;
      if (const auto old = certs::read_text(path); old && *old == file.text) continue;
      RN_CHECK(certs::write_atomically(path, file.text, certs::private_mode));
      is_new = true;
    }
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (std::none_of(files.begin(), files.end(),
                       [&](const File& file) { return file.name == entry.path().filename(); }))
        fs::remove(entry.path(), error);
    if (error) return internal_error(fmt::format("{}: {}", folder.string(), error.message()));
    return is_new;
  }

  Result<> remove_others(const std::vector<Member>& members) const {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(paths_.components(), error))
      if (std::none_of(members.begin(), members.end(),
                       [&](const Member& one) { return one.key == entry.path().filename(); }))
        fs::remove_all(entry.path(), error);
    if (error) return internal_error(fmt::format("{}: {}", paths_.components().string(), error.message()));
    return {};
  }

  const ClusterSettings& settings_;
  const ClusterPaths& paths_;
  std::size_t turn_ = 0;
};

}  // namespace

Result<std::vector<std::string>> write_component_files(const ClusterSettings& settings,
                                                       const ClusterPaths& paths) {
  return Writer(settings, paths).run();
}

}  // namespace rusternetes::launcher
