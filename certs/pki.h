#pragma once
// A cluster's folder of certificates, in kubeadm's file names and identities. kubeadm's scheme for
// administrators: the everyday user is `kubernetes-admin` of the group `kubeadm:cluster-admins`, which a
// ClusterRoleBinding gives cluster-admin; only the break-glass user `kubernetes-super-admin` is in
// `system:masters`, and no component is.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "certs/certificate.h"

namespace rusternetes::certs {

// The group of the admin and of the api-server's client certificate for kubelets, and the name of the
// ClusterRoleBinding that binds it to cluster-admin (kubeadm 1.29).
inline constexpr std::string_view cluster_admins_group = "kubeadm:cluster-admins";

// One process of which a cluster has several: the name is part of the file's name and of the certificate.
struct PkiHost {
  std::string name;
  std::vector<std::string> addresses;  // further alternative names: addresses or DNS names
};

// Without the lists and `has_separate_components` it is the folder of the all-in-one process.
struct PkiOptions {
  KeyAlgorithm algorithm = KeyAlgorithm::ecdsa_p256;
  std::string node_name;                    // kubelet's identity system:node:NAME; empty: no kubelet files
  std::vector<std::string> node_addresses;  // alternative names of kubelet.crt, beside the node's name
  // Further alternative names of apiserver.crt, DNS names or addresses. localhost, both loopback addresses
  // and the names kubernetes[.default[.svc[.DOMAIN]]] are always in.
  std::vector<std::string> api_server_names;
  std::string cluster_domain = "cluster.local";
  std::string service_cidr;  // its first address is the Service `kubernetes`; "A.B.C.D/n[,V6/n]" or empty
  std::chrono::seconds renew_before{std::chrono::hours{24 * 30}};  // a leaf that ends sooner is issued anew
  // Each has kubelet-client-NAME and kubelet-NAME.
  std::vector<PkiHost> nodes;
  // If any: each has apiserver-NAME, and there is no `apiserver`.
  std::vector<PkiHost> api_servers;
  // Of etcd, or of rhino in its place. If any: the authority etcd/ca, each has etcd/server-NAME and
  // etcd/peer-NAME, and there are etcd/healthcheck-client and apiserver-etcd-client.
  std::vector<PkiHost> etcd_members;
  // Client certificates kube-proxy, dns, network-policy, host-agent, node-routes and api-proxy: what is one
  // process in all-in-one acts there under identities it makes itself.
  bool has_separate_components = false;
};

// Names of the leaves, without `.crt` and `.key`. A leaf `apiserver` has the files apiserver.crt and
// apiserver.key.
struct PkiLeaf {
  std::string file;       // "apiserver", "etcd/server-1"
  std::string authority;  // "ca", "front-proxy-ca" or "etcd/ca"
  LeafRequest request;
};

// Every leaf of a cluster with these options. Pure. An unreadable service CIDR, a host's name that cannot be
// part of a file's, and two leaves of one name are a BadRequest.
Result<std::vector<PkiLeaf>> cluster_leaves(const PkiOptions& options);

struct PkiAuthority {
  std::string file;  // as in PkiLeaf
  std::string common_name;
};
// ca and front-proxy-ca, and etcd/ca where there are members.
std::vector<PkiAuthority> cluster_authorities(const PkiOptions& options);

// Makes what is missing in `dir` (made with mode 0700, as its etcd/): the authorities, sa.key and sa.pub,
// every leaf; issues anew a leaf that ends within `renew_before` or lacks a name or usage that the options
// ask for. Returns the files written, in order. Private keys have mode 0600. What is damaged or does not fit
// together (a certificate without its key, a leaf of another authority) is an error that names the file, and
// nothing of it is overwritten. While an authority is replaced (rotation.h), leaves of both are good.
Result<std::vector<std::string>> ensure_cluster_pki(const std::filesystem::path& dir,
                                                    const PkiOptions& options, SystemTime now);

// Issues one leaf anew with a new key, whatever its state. NotFound for a name that is not a leaf.
Result<> rotate_leaf(const std::filesystem::path& dir, const PkiOptions& options, std::string_view file,
                     SystemTime now);

struct Expiry {
  std::string file;  // "apiserver.crt", "etcd/server-1.crt"
  CertificateInfo info;
};
// What every *.crt in `dir` and its etcd/ says, the one that ends first in front. A file with several
// authorities (one that is being replaced) is there once for each; of a leaf's chain only the leaf.
Result<std::vector<Expiry>> expiries(const std::filesystem::path& dir);

// Reads FILE.crt and FILE.key.
Result<KeyPair> read_pair(const std::filesystem::path& dir, std::string_view file);

}  // namespace rusternetes::certs
