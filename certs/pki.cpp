#include "certs/pki.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "certs/file.h"

namespace rusternetes::certs {
namespace {

namespace fs = std::filesystem;

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

void add_name(LeafRequest& request, const std::string& name) {
  auto& list = is_address(name) ? request.ip_addresses : request.dns_names;
  if (!name.empty() && std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

// The first usable address of a range: the network's own plus one (that of the Service `kubernetes`).
Result<std::string> first_service_address(std::string_view cidr) {
  const std::string address(cidr.substr(0, cidr.find('/')));
  std::array<unsigned char, 16> bytes{};
  const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const std::size_t size = family == AF_INET ? 4 : 16;
  if (cidr.find('/') == std::string_view::npos || inet_pton(family, address.c_str(), bytes.data()) != 1)
    return Status(400, "BadRequest", fmt::format("service range \"{}\" is not a CIDR", cidr));
  for (std::size_t i = size; i-- > 0;)
    if (++bytes[i] != 0) break;
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, bytes.data(), text.data(), text.size());
  return std::string(text.data());
}

Result<LeafRequest> api_server_request(const PkiOptions& options) {
  LeafRequest request{.common_name = "kube-apiserver", .is_server = true, .algorithm = options.algorithm};
  for (const std::string& name :
       {std::string("kubernetes"), std::string("kubernetes.default"), std::string("kubernetes.default.svc"),
        "kubernetes.default.svc." + options.cluster_domain, std::string("localhost"),
        std::string("127.0.0.1"), std::string("::1"), options.node_name})
    add_name(request, name);
  std::string_view rest = options.service_cidr;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    RN_TRY(const std::string address, first_service_address(rest.substr(0, comma)));
    add_name(request, address);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  for (const std::string& name : options.api_server_names) add_name(request, name);
  return request;
}

fs::path crt(const fs::path& dir, std::string_view file) { return dir / fmt::format("{}.crt", file); }
fs::path key(const fs::path& dir, std::string_view file) { return dir / fmt::format("{}.key", file); }
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// The key goes first: a crash between the two leaves a key without a certificate, which the next run
// replaces.
Result<> write_pair(const fs::path& dir, std::string_view file, const KeyPair& pair) {
  RN_CHECK(write_atomically(key(dir, file), pair.key_pem, private_mode));
  RN_CHECK(write_atomically(crt(dir, file), pair.certificate_pem, public_mode));
  return {};
}

Status damaged(const fs::path& path, std::string_view why) {
  return internal_error(fmt::format("{}: {}", path.string(), why));
}

Result<> check_pair(const fs::path& dir, std::string_view file, const KeyPair& pair) {
  auto matches = key_matches(pair);
  if (!matches) return damaged(crt(dir, file), matches.error().message);
  if (!*matches)
    return damaged(crt(dir, file), "the certificate does not belong to the private key beside it");
  return {};
}

Result<KeyPair> ensure_authority(const fs::path& dir, const std::string& file, const std::string& common_name,
                                 const PkiOptions& options, SystemTime now,
                                 std::vector<std::string>& written) {
  if (is_there(crt(dir, file))) {
    if (!is_there(key(dir, file))) return damaged(key(dir, file), "the authority's private key is missing");
    RN_TRY(KeyPair pair, read_pair(dir, file));
    RN_CHECK(check_pair(dir, file, pair));
    return pair;
  }
  RN_TRY(KeyPair pair, make_authority({.common_name = common_name, .algorithm = options.algorithm}, now));
  RN_CHECK(write_pair(dir, file, pair));
  written.insert(written.end(), {file + ".crt", file + ".key"});
  return pair;
}

Result<> ensure_service_account_key(const fs::path& dir, const PkiOptions& options,
                                    std::vector<std::string>& written) {
  const fs::path private_path = dir / "sa.key";
  const fs::path public_path = dir / "sa.pub";
  if (!is_there(private_path)) {
    if (is_there(public_path)) return damaged(private_path, "missing, while sa.pub is there");
    RN_TRY(const std::string made, generate_key(options.algorithm));
    RN_CHECK(write_atomically(private_path, made, private_mode));
    written.emplace_back("sa.key");
  }
  if (is_there(public_path)) return {};
  RN_TRY(const std::string pem, read_text(private_path));
  auto made = public_key_of(pem);
  if (!made) return damaged(private_path, made.error().message);
  RN_CHECK(write_atomically(public_path, *made, public_mode));
  written.emplace_back("sa.pub");
  return {};
}

template <class List>
bool holds_all(const List& have, const List& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
    return std::find(have.begin(), have.end(), name) != have.end();
  });
}

// Addresses as a certificate prints them back.
std::vector<std::string> canonical(const std::vector<std::string>& addresses) {
  std::vector<std::string> out;
  for (const std::string& address : addresses) {
    std::array<unsigned char, 16> bytes{};
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
    if (inet_pton(family, address.c_str(), bytes.data()) == 1)
      inet_ntop(family, bytes.data(), text.data(), text.size());
    out.emplace_back(text.data());
  }
  return out;
}

// An error when the leaf is there but unusable; true when it is good as it is.
Result<bool> is_current(const fs::path& dir, const PkiLeaf& leaf, const KeyPair& authority,
                        const PkiOptions& options, SystemTime now) {
  if (!is_there(crt(dir, leaf.file))) return false;
  if (!is_there(key(dir, leaf.file))) return damaged(key(dir, leaf.file), "the private key is missing");
  RN_TRY(const KeyPair pair, read_pair(dir, leaf.file));
  RN_TRY(const CertificateInfo info, inspect(pair.certificate_pem));
  auto signed_by = verify(pair.certificate_pem, authority.certificate_pem, info.not_before);
  if (!signed_by) return damaged(crt(dir, leaf.file), signed_by.error().message);
  if (info.expires_within(options.renew_before, now)) return false;
  // A renewal that was interrupted after its key leaves a pair that does not match; that is ours to repair,
  // since the leaf was signed by our own authority.
  RN_TRY(const bool matches, key_matches(pair));
  return matches && info.common_name == leaf.request.common_name &&
         holds_all(info.dns_names, leaf.request.dns_names) &&
         holds_all(info.ip_addresses, canonical(leaf.request.ip_addresses));
}

}  // namespace

Result<std::vector<PkiLeaf>> cluster_leaves(const PkiOptions& options) {
  std::vector<PkiLeaf> leaves;
  RN_TRY(LeafRequest api_server, api_server_request(options));
  leaves.push_back({"apiserver", "ca", std::move(api_server)});
  auto client = [&](std::string file, std::string authority, std::string user,
                    std::vector<std::string> groups) {
    leaves.push_back({std::move(file), std::move(authority),
                      LeafRequest{.common_name = std::move(user),
                                  .organizations = std::move(groups),
                                  .is_client = true,
                                  .algorithm = options.algorithm}});
  };
  client("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client",
         {std::string(cluster_admins_group)});
  client("front-proxy-client", "front-proxy-ca", "front-proxy-client", {});
  client("controller-manager", "ca", "system:kube-controller-manager", {});
  client("scheduler", "ca", "system:kube-scheduler", {});
  client("admin", "ca", "kubernetes-admin", {std::string(cluster_admins_group)});
  client("super-admin", "ca", "kubernetes-super-admin", {"system:masters"});
  if (options.node_name.empty()) return leaves;
  client("kubelet-client", "ca", "system:node:" + options.node_name, {"system:nodes"});
  LeafRequest kubelet{.common_name = "system:node:" + options.node_name,
                      .organizations = {"system:nodes"},
                      .is_server = true,
                      .algorithm = options.algorithm};
  add_name(kubelet, options.node_name);
  for (const std::string& address : options.node_addresses) add_name(kubelet, address);
  leaves.push_back({"kubelet", "ca", std::move(kubelet)});
  return leaves;
}

Result<KeyPair> read_pair(const fs::path& dir, std::string_view file) {
  KeyPair pair;
  RN_TRY(pair.certificate_pem, read_text(crt(dir, file)));
  RN_TRY(pair.key_pem, read_text(key(dir, file)));
  return pair;
}

Result<std::vector<std::string>> ensure_cluster_pki(const fs::path& dir, const PkiOptions& options,
                                                    SystemTime now) {
  std::vector<std::string> written;
  RN_TRY(const std::vector<PkiLeaf> leaves, cluster_leaves(options));
  RN_CHECK(make_folder(dir, 0700));
  RN_TRY(const KeyPair ca, ensure_authority(dir, "ca", "kubernetes", options, now, written));
  RN_TRY(const KeyPair front_proxy,
         ensure_authority(dir, "front-proxy-ca", "front-proxy-ca", options, now, written));
  RN_CHECK(ensure_service_account_key(dir, options, written));
  for (const PkiLeaf& leaf : leaves) {
    const KeyPair& authority = leaf.authority == "ca" ? ca : front_proxy;
    RN_TRY(const bool current, is_current(dir, leaf, authority, options, now));
    if (current) continue;
    RN_TRY(const KeyPair pair, issue(authority, leaf.request, now));
    RN_CHECK(write_pair(dir, leaf.file, pair));
    written.insert(written.end(), {leaf.file + ".crt", leaf.file + ".key"});
  }
  return written;
}

Result<> rotate_leaf(const fs::path& dir, const PkiOptions& options, std::string_view file, SystemTime now) {
  RN_TRY(const std::vector<PkiLeaf> leaves, cluster_leaves(options));
  const auto found =
      std::find_if(leaves.begin(), leaves.end(), [&](const PkiLeaf& leaf) { return leaf.file == file; });
  if (found == leaves.end())
    return Status(404, "NotFound", fmt::format("there is no certificate \"{}\"", file));
  RN_TRY(const KeyPair authority, read_pair(dir, found->authority));
  RN_TRY(const KeyPair pair, issue(authority, found->request, now));
  return write_pair(dir, file, pair);
}

Result<std::vector<Expiry>> expiries(const fs::path& dir) {
  std::vector<Expiry> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().extension() != ".crt") continue;
    RN_TRY(const std::string pem, read_text(entry.path()));
    auto info = inspect(pem);
    if (!info) return damaged(entry.path(), info.error().message);
    out.push_back({entry.path().filename().string(), *std::move(info)});
  }
  if (error) return internal_error(fmt::format("{}: {}", dir.string(), error.message()));
  std::sort(out.begin(), out.end(), [](const Expiry& a, const Expiry& b) {
    return a.info.not_after != b.info.not_after ? a.info.not_after < b.info.not_after : a.file < b.file;
  });
  return out;
}

}  // namespace rusternetes::certs
