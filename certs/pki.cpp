#include "certs/pki.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "certs/file.h"
#include "certs/folder.h"

namespace rusternetes::certs {
namespace {

namespace fs = std::filesystem;

Result<Authority> ensure_authority(const fs::path& dir, const PkiAuthority& wanted, const PkiOptions& options,
                                   SystemTime now, std::vector<std::string>& written) {
  const std::string& file = wanted.file;
  if (is_there(certificate_path(dir, file))) {
    RN_TRY(Authority authority, read_authority(dir, file));
    if (authority.signer_index == 0) return authority;
    // A switch to a new authority was cut off; who reads the file with its key takes the first certificate.
    RN_CHECK(write_atomically(certificate_path(dir, file), authority.bundle(), public_mode));
    written.push_back(file + ".crt");
    return read_authority(dir, file);
  }
  RN_TRY(const KeyPair pair,
         make_authority({.common_name = wanted.common_name, .algorithm = options.algorithm}, now));
  RN_CHECK(make_folder(certificate_path(dir, file).parent_path(), 0700));
  RN_CHECK(write_pair(dir, file, pair));
  written.insert(written.end(), {file + ".crt", file + ".key"});
  return read_authority(dir, file);
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

bool says_what_is_wanted(const CertificateInfo& info, const LeafRequest& wanted) {
  return info.common_name == wanted.common_name && holds_all(info.dns_names, wanted.dns_names) &&
         holds_all(info.ip_addresses, canonical(wanted.ip_addresses)) &&
         (info.is_server || !wanted.is_server) && (info.is_client || !wanted.is_client);
}

// An error when the leaf is there but unusable; true when it is good as it is.
Result<bool> is_current(const fs::path& dir, const PkiLeaf& leaf, const Authority& authority,
                        const PkiOptions& options, SystemTime now) {
  const fs::path path = certificate_path(dir, leaf.file);
  if (!is_there(path)) return false;
  if (!is_there(key_path(dir, leaf.file)))
    return damaged(key_path(dir, leaf.file), "the private key is missing");
  RN_TRY(const KeyPair pair, read_pair(dir, leaf.file));
  RN_TRY(const CertificateInfo info, inspect(pair.certificate_pem));
  auto signed_by = verify(pair.certificate_pem, authority.bundle(), info.not_before);
  if (!signed_by) return damaged(path, signed_by.error().message);
  if (info.expires_within(options.renew_before, now)) return false;
  // A renewal that was interrupted after its key leaves a pair that does not match; that is ours to repair,
  // since the leaf was signed by our own authority.
  RN_TRY(const bool matches, key_matches(pair));
  return matches && says_what_is_wanted(info, leaf.request);
}

Result<> read_expiries(const fs::path& dir, const std::string& prefix, std::vector<Expiry>& out) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().extension() != ".crt") continue;
    RN_TRY(const std::string pem, read_text(entry.path()));
    auto blocks = pem_blocks(pem);
    if (blocks.empty()) blocks.push_back(pem);  // the reader says what it is instead
    for (const std::string& block : blocks) {
      auto info = inspect(block);
      if (!info) return damaged(entry.path(), info.error().message);
      const bool has_others = info->is_authority;
      out.push_back({prefix + entry.path().filename().string(), *std::move(info)});
      if (!has_others) break;  // a leaf's chain is told with its authorities
    }
  }
  if (error) return internal_error(fmt::format("{}: {}", dir.string(), error.message()));
  return {};
}

}  // namespace

Result<std::vector<std::string>> ensure_cluster_pki(const fs::path& dir, const PkiOptions& options,
                                                    SystemTime now) {
  std::vector<std::string> written;
  RN_TRY(const std::vector<PkiLeaf> leaves, cluster_leaves(options));
  RN_CHECK(make_folder(dir, 0700));
  std::map<std::string, Authority> authorities;
  for (const PkiAuthority& wanted : cluster_authorities(options)) {
    RN_TRY(authorities[wanted.file], ensure_authority(dir, wanted, options, now, written));
  }
  RN_CHECK(ensure_service_account_key(dir, options, written));
  for (const PkiLeaf& leaf : leaves) {
    const Authority& authority = authorities.at(leaf.authority);
    RN_TRY(const bool current, is_current(dir, leaf, authority, options, now));
    if (current) continue;
    RN_TRY(KeyPair pair, issue(authority.signer, leaf.request, now));
    RN_CHECK(write_leaf(dir, leaf, std::move(pair)));
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
  RN_TRY(const Authority authority, read_authority(dir, found->authority));
  RN_TRY(KeyPair pair, issue(authority.signer, found->request, now));
  return write_leaf(dir, *found, std::move(pair));
}

Result<std::vector<Expiry>> expiries(const fs::path& dir) {
  std::vector<Expiry> out;
  RN_CHECK(read_expiries(dir, "", out));
  if (is_there(dir / "etcd")) RN_CHECK(read_expiries(dir / "etcd", "etcd/", out));
  std::sort(out.begin(), out.end(), [](const Expiry& a, const Expiry& b) {
    return a.info.not_after != b.info.not_after ? a.info.not_after < b.info.not_after : a.file < b.file;
  });
  return out;
}

}  // namespace rusternetes::certs
