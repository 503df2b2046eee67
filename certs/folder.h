#pragma once
// What pki.cpp and rotation.cpp share: the files of a cluster's folder. Only sources of this folder include
// it.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "certs/certificate.h"
#include "certs/pki.h"

namespace rusternetes::certs {

std::filesystem::path certificate_path(const std::filesystem::path& dir, std::string_view file);
std::filesystem::path key_path(const std::filesystem::path& dir, std::string_view file);
bool is_there(const std::filesystem::path& path);
Status damaged(const std::filesystem::path& path, std::string_view why);

// The key goes first: a crash between the two leaves a key without a certificate, or one that does not belong
// to the certificate, and the next run replaces it.
Result<> write_pair(const std::filesystem::path& dir, std::string_view file, const KeyPair& pair);

// The new authority's certificate as the old one signs it, while an authority is replaced (rotation.h). Not *.crt: it is
// no file of kubeadm's.
std::filesystem::path cross_path(const std::filesystem::path& dir, std::string_view authority);
// write_pair() of what was issued for the leaf. A server whose authority is being replaced sends the new authority's
// cross-signed certificate along: who trusts only the old one goes on trusting it.
Result<> write_leaf(const std::filesystem::path& dir, const PkiLeaf& leaf, KeyPair pair);

// FILE.crt of an authority may hold two certificates while the authority is replaced (rotation.h). The one
// that belongs to FILE.key signs and stands first, except after a kill between the two writes of a switch.
struct Authority {
  KeyPair signer;                    // its one certificate and the key
  std::vector<std::string> trusted;  // every certificate, as the file has them
  std::size_t signer_index = 0;      // of `signer` in `trusted`

  std::string bundle() const;  // all of them, the signer's first
};
// An error names the file that is missing or does not fit.
Result<Authority> read_authority(const std::filesystem::path& dir, std::string_view file);

}  // namespace rusternetes::certs
