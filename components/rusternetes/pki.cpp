#include "rusternetes/pki.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/clock.h"
#include "certs/file.h"
#include "certs/kubeconfig.h"
#include "certs/pki.h"

namespace rusternetes {

Result<ProcessPki> load_pki(const ProcessOptions& options) {
  ProcessPki out;
  out.folder = options.pki_dir.empty() ? options.data_dir + "/pki" : options.pki_dir;
  certs::PkiOptions pki;
  pki.node_name = options.node_name;
  pki.node_addresses = {options.has_own_node() ? options.node_address : options.bind_address, "127.0.0.1"};
  pki.api_server_names = {options.bind_address};
  if (options.has_own_node()) {
    pki.api_server_names.push_back(options.node_address);
    pki.api_server_names.push_back(options.host_address);
  }
  pki.service_cidr = options.service_cluster_ip_range;
  std::erase(pki.api_server_names, "0.0.0.0");
  RN_TRY(const auto written, certs::ensure_cluster_pki(out.folder, pki, Clock::system().now()));
  (void)written;
  const std::filesystem::path folder = out.folder;
  RN_TRY(out.ca_pem, certs::read_text(folder / "ca.crt"));
  RN_TRY(const auto api_server, certs::read_pair(folder, "apiserver"));
  RN_TRY(const auto client, certs::read_pair(folder, "apiserver-kubelet-client"));
  RN_TRY(const auto kubelet, certs::read_pair(folder, "kubelet"));
  out.api_server_certificate_pem = api_server.certificate_pem;
  out.api_server_key_pem = api_server.key_pem;
  out.kubelet_client_certificate_pem = client.certificate_pem;
  out.kubelet_client_key_pem = client.key_pem;
  out.kubelet_certificate_pem = kubelet.certificate_pem;
  out.kubelet_key_pem = kubelet.key_pem;
  RN_TRY(out.service_account_key_pem, certs::read_text(folder / "sa.key"));
  return out;
}

Result<std::string> write_admin_kubeconfig(const ProcessOptions& options, const ProcessPki& pki, std::uint16_t port) {
  RN_TRY(const auto admin, certs::read_pair(pki.folder, "admin"));
  certs::KubeconfigRequest request;
  request.cluster = request.context = options.cluster_name;
  request.user = "kubernetes-admin";
  request.server = fmt::format("https://{}:{}", options.bind_address == "0.0.0.0" ? "127.0.0.1" : options.bind_address, port);
  request.authority_pem = pki.ca_pem;
  request.client = admin;
  const std::string path = options.data_dir + "/kubeconfig";
  RN_CHECK(certs::write_atomically(path, certs::render_kubeconfig(request), certs::private_mode));
  return path;
}

}  // namespace rusternetes
