// Steps that make the PKI and the kubeconfigs of the cluster's folder.
#include <fmt/format.h>

#include <set>

#include "certs/file.h"
#include "certs/kubeconfig.h"
#include "certs/pki.h"
#include "launcher/containers/topology.h"
#include "launcher/steps/steps.h"
#include "launcher/steps/store_places.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

// The folder is new in `create`, and whole in `start`, where only what is about to expire is made again: undo
// of both leaves the files, which go with the folder.
class MakeCertificates final : public Step {
 public:
  explicit MakeCertificates(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "make-certificates"; }
  std::string describe() const override { return "Make certificates"; }
  Result<> apply() override {
    RN_TRY(const certs::PkiOptions options, pki_options(context_->settings));
    RN_TRY([[maybe_unused]] auto written,
           certs::ensure_cluster_pki(context_->paths.pki(), options, context_->environment.clock.now()));
    return {};
  }

 private:
  Context context_;
};

// Done twice when it was cut off: a leaf that is new already is made once more.
class RotateCertificates final : public Step {
 public:
  explicit RotateCertificates(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "rotate-certificates"; }
  std::string describe() const override { return "Issue every certificate anew, with a new key"; }
  Result<> apply() override {
    RN_TRY(const certs::PkiOptions options, pki_options(context_->settings));
    const SystemTime now = context_->environment.clock.now();
    // What was cut off, or is missing, first: a leaf is rotated only where all is whole.
    RN_TRY([[maybe_unused]] auto written, certs::ensure_cluster_pki(context_->paths.pki(), options, now));
    RN_TRY(const auto leaves, certs::cluster_leaves(options));
    for (const certs::PkiLeaf& leaf : leaves)
      RN_CHECK(context_->call("rotate " + leaf.file, [&] {
        return certs::rotate_leaf(context_->paths.pki(), options, leaf.file, now);
      }));
    return {};
  }

 private:
  Context context_;
};

class WriteKubeconfigs final : public Step {
 public:
  explicit WriteKubeconfigs(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "write-kubeconfigs"; }
  std::string describe() const override { return "Write kubeconfigs"; }
  Result<> apply() override {
    const ClusterPaths& p = context_->paths;
    const std::string own_context = context_->settings.context();
    RN_CHECK(write(p.kubeconfig(), "admin", own_context, own_context));
    RN_CHECK(write(p.super_admin(), "super-admin", "kubernetes-super-admin", own_context + "-super-admin"));
    if (context_->settings.has_containers()) return {};  // components have folders of their own
    // The names that kubeadm gives the components' files.
    RN_CHECK(write(p.root / "controller-manager.conf", "controller-manager", "system:kube-controller-manager",
                   "system:kube-controller-manager@" + own_context));
    RN_CHECK(write(p.root / "scheduler.conf", "scheduler", "system:kube-scheduler",
                   "system:kube-scheduler@" + own_context));
    const std::string node = "system:node:" + context_->settings.node_name;
    return write(p.root / "kubelet.conf", "kubelet-client", node, node + "@" + own_context);
  }

 private:
  Result<> write(const fs::path& path, const char* leaf, const std::string& user,
                 const std::string& context_name) {
    certs::KubeconfigRequest request{.cluster = context_->settings.context(),
                                     .user = user,
                                     .context = context_name,
                                     .server = context_->settings.server()};
    RN_TRY(request.client, certs::read_pair(context_->paths.pki(), leaf));
    RN_TRY(request.authority_pem, certs::read_text(context_->paths.pki() / "ca.crt"));
    const std::string text = certs::render_kubeconfig(request);
    if (const auto old = certs::read_text(path); old && *old == text) return {};
    return certs::write_atomically(path, text, certs::private_mode);
  }
  Context context_;
};

}  // namespace

Result<certs::PkiOptions> pki_options(const ClusterSettings& settings) {
  if (settings.has_containers()) return container_pki(settings);
  certs::PkiOptions options;
  RN_TRY(options.algorithm, certs::parse_key_algorithm(settings.key_algorithm));
  options.node_name = settings.node_name;
  options.node_addresses = settings.node_addresses;
  // The api-server also listens on the node's address; Pods reach it there when the host's firewall is in the
  // way.
  options.api_server_names = settings.node_addresses;
  options.api_server_names.insert(options.api_server_names.end(), settings.host_addresses.begin(),
                                  settings.host_addresses.end());
  options.api_server_names.push_back(settings.bind_address);
  options.service_cidr = joined(settings.service_cidrs);
  return options;
}

Result<> remove_other_leaves(StepContext& context, const ClusterSettings& settings,
                             const ClusterSettings& kept) {
  std::set<std::string> needed;
  RN_TRY(const certs::PkiOptions kept_options, container_pki(kept));
  RN_TRY(const auto kept_leaves, certs::cluster_leaves(kept_options));
  for (const certs::PkiLeaf& leaf : kept_leaves) needed.insert(leaf.file);
  RN_TRY(const certs::PkiOptions options, container_pki(settings));
  RN_TRY(const auto leaves, certs::cluster_leaves(options));
  for (const certs::PkiLeaf& leaf : leaves)
    if (!needed.contains(leaf.file))
      for (const char* suffix : {".crt", ".key"})
        RN_CHECK(remove_tree(context.paths.pki() / (leaf.file + suffix)));
  return {};
}

StepPtr make_certificates(Context context) { return std::make_unique<MakeCertificates>(std::move(context)); }
StepPtr rotate_certificates(Context context) {
  return std::make_unique<RotateCertificates>(std::move(context));
}
StepPtr write_kubeconfigs(Context context) { return std::make_unique<WriteKubeconfigs>(std::move(context)); }

}  // namespace rusternetes::launcher
