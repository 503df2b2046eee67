#include "certs/folder.h"

#include <fmt/format.h>

#include "certs/file.h"
#include "certs/pki.h"

namespace rusternetes::certs {

namespace fs = std::filesystem;

fs::path certificate_path(const fs::path& dir, std::string_view file) {
  return dir / fmt::format("{}.crt", file);
}
fs::path key_path(const fs::path& dir, std::string_view file) { return dir / fmt::format("{}.key", file); }

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Status damaged(const fs::path& path, std::string_view why) {
  return internal_error(fmt::format("{}: {}", path.string(), why));
}

Result<> write_pair(const fs::path& dir, std::string_view file, const KeyPair& pair) {
  RN_CHECK(write_atomically(key_path(dir, file), pair.key_pem, private_mode));
  return write_atomically(certificate_path(dir, file), pair.certificate_pem, public_mode);
}

fs::path cross_path(const fs::path& dir, std::string_view authority) {
  return dir / fmt::format("{}-cross.pem", authority);
}

Result<> write_leaf(const fs::path& dir, const PkiLeaf& leaf, KeyPair pair) {
  if (leaf.request.is_server) {
    auto cross = read_text(cross_path(dir, leaf.authority));
    if (!cross && !cross.error().is("NotFound")) return cross.error();
    // Before step two the old one signs, which needs no help.
    RN_TRY(const CertificateInfo info, inspect(pair.certificate_pem));
    if (cross && verify(pair.certificate_pem, *cross, info.not_before)) pair.certificate_pem += *cross;
  }
  return write_pair(dir, leaf.file, pair);
}

std::string Authority::bundle() const {
  std::string out = signer.certificate_pem;
  for (std::size_t i = 0; i < trusted.size(); ++i)
    if (i != signer_index) out += trusted[i];
  return out;
}

Result<Authority> read_authority(const fs::path& dir, std::string_view file) {
  const fs::path path = certificate_path(dir, file);
  if (!is_there(key_path(dir, file)))
    return damaged(key_path(dir, file), "the authority's private key is missing");
  RN_TRY(KeyPair pair, read_pair(dir, file));
  Authority out;
  out.trusted = pem_blocks(pair.certificate_pem);
  // Text that is not PEM goes to the reader below, for its error.
  if (out.trusted.empty()) out.trusted.push_back(pair.certificate_pem);
  for (; out.signer_index < out.trusted.size(); ++out.signer_index) {
    out.signer = {out.trusted[out.signer_index], pair.key_pem};
    auto matches = key_matches(out.signer);
    if (!matches) return damaged(path, matches.error().message);
    if (*matches) return out;
  }
  return damaged(path, "the certificate does not belong to the private key beside it");
}

Result<KeyPair> read_pair(const fs::path& dir, std::string_view file) {
  KeyPair pair;
  RN_TRY(pair.certificate_pem, read_text(certificate_path(dir, file)));
  RN_TRY(pair.key_pem, read_text(key_path(dir, file)));
  return pair;
}

}  // namespace rusternetes::certs
