#include "rusternetes/pki.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
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
  pki.node_addresses = split_list(options.node_address);
  pki.node_addresses.emplace_back("127.0.0.1");
  pki.api_server_names = {options.bind_address};
  for (const auto* list : {&options.node_address, &options.host_address})
    for (const auto& address : split_list(*list)) pki.api_server_names.push_back(address);
  pki.service_cidr = options.service_cluster_ip_range;
  std::erase(pki.api_server_names, "0.0.0.0");
  std::erase(pki.api_server_names, "::");
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
  RN_TRY(out.service_account_public_pem, certs::read_text(folder / "sa.pub"));
  return out;
}

std::string server_url(const ProcessOptions& options, std::uint16_t port) {
  std::string address = options.bind_address;
  if (address == "0.0.0.0") address = "127.0.0.1";
  if (address == "::") address = "::1";
  return fmt::format(fmt::runtime(address.find(':') == std::string::npos ? "{}://{}:{}" : "{}://[{}]:{}"),
                     options.tls ? "https" : "http", address, port);
}

Result<std::string> write_admin_kubeconfig(const ProcessOptions& options, const ProcessPki& pki,
                                           std::uint16_t port) {
  const std::string path = options.data_dir + "/kubeconfig";
  const std::string server = server_url(options, port);
  if (!options.tls) {
    RN_TRY(const std::string token, certs::read_text(options.data_dir + "/admin.token"));
    const std::string text = fmt::format(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {0}\n  cluster:\n    server: {1}\nusers:\n- name: "
        "kubernetes-admin\n  user:\n    token: {2}"
        "\ncontexts:\n- name: {0}\n  context:\n    cluster: {0}\n    user: "
        "kubernetes-admin\ncurrent-context: {0}\n",
        options.cluster_name, server, token.substr(0, token.find('\n')));
    RN_CHECK(certs::write_atomically(path, text, certs::private_mode));
    return path;
  }
  RN_TRY(const auto admin, certs::read_pair(pki.folder, "admin"));
  certs::KubeconfigRequest request;
  request.cluster = request.context = options.cluster_name;
  request.user = "kubernetes-admin";
  request.server = server;
  request.authority_pem = pki.ca_pem;
  request.client = admin;
  RN_CHECK(certs::write_atomically(path, certs::render_kubeconfig(request), certs::private_mode));
  return path;
}

Result<AdminToken> ensure_admin_token(const ProcessOptions& options) {
  AdminToken out{options.data_dir + "/admin.token", options.data_dir + "/tokens.csv"};
  auto kept = certs::read_text(out.token_path);
  if (!kept && !kept.error().is("NotFound")) return kept.error();
  std::string token = kept ? kept->substr(0, kept->find('\n')) : std::string();
  if (token.empty()) {
    std::array<unsigned char, 32> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      return errno_error("getrandom", errno);
    for (const unsigned byte : bytes) token += fmt::format("{:02x}", byte);
    RN_CHECK(certs::write_atomically(out.token_path, token + "\n", certs::private_mode));
  }
  const std::string table =
      fmt::format("{},kubernetes-admin,kubernetes-admin,\"{}\"\n", token, certs::cluster_admins_group);
  RN_CHECK(certs::write_atomically(out.table_path, table, certs::private_mode));
  return out;
}

}  // namespace rusternetes
