#pragma once
// Certificates as PEM text: making authorities and leaves, and reading what one says. Pure but for OpenSSL's
// random generator; `now` is an argument. The extensions are those kubeadm writes (RFC 5280).

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "certs/key.h"

namespace rusternetes::certs {

// A certificate and the private key that belongs to it, both PEM.
struct KeyPair {
  std::string certificate_pem;
  std::string key_pem;
};

// kubeadm's validity: ten years for an authority, one for a leaf.
inline constexpr std::chrono::hours authority_validity{24 * 365 * 10};
inline constexpr std::chrono::hours leaf_validity{24 * 365};

struct AuthorityRequest {
  std::string common_name;
  KeyAlgorithm algorithm = KeyAlgorithm::ecdsa_p256;
  std::chrono::seconds validity = authority_validity;
};

struct LeafRequest {
  std::string common_name;                 // the user's name in Kubernetes
  std::vector<std::string> organizations;  // the user's groups in Kubernetes
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;  // textual, both families
  bool is_server = false;                 // extended key usage serverAuth
  bool is_client = false;                 // extended key usage clientAuth
  KeyAlgorithm algorithm = KeyAlgorithm::ecdsa_p256;
  std::chrono::seconds validity = leaf_validity;  // cut at the end of the authority's own
};

// What a certificate says. Times have seconds.
struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;  // canonical text
  std::string issuer_common_name;
  std::string serial_hex;
  SystemTime not_before;
  SystemTime not_after;
  bool is_authority = false;
  bool is_server = false;
  bool is_client = false;

  bool expires_within(std::chrono::seconds span, SystemTime now) const { return not_after - span <= now; }
};

// A self-signed authority with a new key.
Result<KeyPair> make_authority(const AuthorityRequest& request, SystemTime now);
// A leaf with a new key, signed by the authority. The certificate begins five minutes before `now`, so that
// peers with a slow clock accept it. An address that does not parse is a BadRequest.
Result<KeyPair> issue(const KeyPair& authority, const LeafRequest& request, SystemTime now);
// A certificate for the name and key of `subject_pem` (an authority's), signed by `authority`, so that who trusts only
// that one trusts what the subject signs. Good while both are.
Result<std::string> cross_sign(const KeyPair& authority, std::string_view subject_pem);

// The first certificate in the text.
Result<CertificateInfo> inspect(std::string_view certificate_pem);
// True when the private key belongs to the certificate.
Result<bool> key_matches(const KeyPair& pair);
// An error says why `leaf` is not valid at `now` or not signed by an authority of the text, which may hold
// several certificates.
Result<> verify(std::string_view leaf_pem, std::string_view authority_pem, SystemTime now);

// The blocks (-----BEGIN to -----END) of a text one by one, each with its last newline; what stands between
// them is left out. Nothing is decoded.
std::vector<std::string> pem_blocks(std::string_view text);

}  // namespace rusternetes::certs
