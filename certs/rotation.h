#pragma once
// Replacing an authority, or the key of service account tokens, while the cluster goes on: three steps,
// between which the processes load what is new. Only files are touched; each step looks first, does nothing
// where it is done already, and a kill anywhere leaves files that ensure_cluster_pki accepts and the same
// step completes.
//
//   step one    the new one is trusted beside the old one, which goes on signing. FILE.crt (sa.pub) holds both,
//               FILE-next.key the new private key. Load it everywhere: components, kubeconfigs, sa.pub in every
//               api-server.
//   step two    the new key becomes FILE.key (sa.key), and every leaf of the authority is issued anew. Load it
//               everywhere: serving and client certificates, kubeconfigs, the signing key in every api-server
//               and in the controller-manager.
//   step three  the old one is dropped from FILE.crt (sa.pub). What it signed outside this folder ends: client
//               certificates of CertificateSigningRequests, copies of kubeconfigs, tokens (a kubelet asks for
//               new ones of its Pods when it starts; those of token Secrets never end).
//
// What an old authority alone is trusted by goes on in between, too: step one has it sign the new authority's key
// (FILE-cross.pem), and from step two on to step three servers send that certificate behind their own. So Pods that
// have read ca.crt when they started, and copies of kubeconfigs, reach the api-server until step three.
//
// The one whose key signs always stands first in FILE.crt, so that who reads FILE.crt and FILE.key as a pair
// (--cluster-signing-cert-file) takes it; who trusts FILE.crt (--client-ca-file, --root-ca-file,
// --trusted-ca-file, certificate-authority-data) takes all. For sa: --service-account-key-file=sa.pub reads
// every public key of the file, --service-account-signing-key-file=sa.key the one that signs.

#include <filesystem>
#include <string_view>

#include "certs/pki.h"

namespace rusternetes::certs {

enum class RotationPhase {
  none,          // one is trusted
  both_trusted,  // step one is done
  new_signs,     // step two has begun or is done
};

// `subject` is an authority's file ("ca", "etcd/ca", "front-proxy-ca") or "sa"; NotFound for another one.
Result<RotationPhase> rotation_phase(const std::filesystem::path& dir, std::string_view subject);

// Step one. Conflict once the new one signs: that rotation has to be ended first.
Result<> trust_new(const std::filesystem::path& dir, const PkiOptions& options, std::string_view subject,
                   SystemTime now);
// Takes step one back, complete or not. Conflict once the new one signs.
Result<> forget_new(const std::filesystem::path& dir, std::string_view subject);
// Step two. Conflict before step one.
Result<> sign_with_new(const std::filesystem::path& dir, const PkiOptions& options, std::string_view subject,
                       SystemTime now);
// Step three. Conflict before step two, and while a leaf of the options is of the old authority.
Result<> drop_old(const std::filesystem::path& dir, const PkiOptions& options, std::string_view subject);

}  // namespace rusternetes::certs
