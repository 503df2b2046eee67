// A kubelet changes only its own Node, the status of Pods on it, and what belongs to them
// (plugin/pkg/admission/noderestriction). Like there, it looks at what the client sent, before strategies put anything back.

#include "api-server/admission/node_restriction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/pem.h>

#include <algorithm>
#include <set>

#include "api-server/admission/plugins.h"
#include "api-server/authn/openssl.h"
#include "api-server/strategy/checks.h"
#include "apimachinery/api/certificates_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/resource_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Node;
using core_v1::NodeSpec;
using core_v1::PersistentVolumeClaim;
using core_v1::PersistentVolumeClaimStatus;
using meta_v1::ObjectMeta;

namespace {

constexpr std::string_view prefix = "system:node:";

}  // namespace

std::optional<std::string_view> node_of(const User& user) {
  if (!user.is_in(group_nodes) || !user.name.starts_with(prefix)) return std::nullopt;
  return std::string_view(user.name).substr(prefix.size());
}

Status refuse_node(const AdmissionRequest& request, std::string_view why) {
  std::string_view name = request.name;
  if (name.empty() && request.object && request.kind.type) {
    const int at = request.kind.type->find("metadata");
    if (at >= 0) name = ObjectMeta(request.object->get(at)).generateName();
  }
  if (name.empty()) name = "Unknown";
  return forbidden({request.call.kind->group_version.group, request.call.kind->resource}, name, why);
}

namespace {

std::string_view label_namespace(std::string_view key) {
  const auto slash = key.find('/');
  return slash == std::string_view::npos ? std::string_view{} : key.substr(0, slash);
}

// The domain itself or one below it.
bool is_of(std::string_view name_space, std::string_view domain) {
  if (name_space == domain) return true;
  return name_space.size() > domain.size() && name_space.ends_with(domain) && name_space[name_space.size() - domain.size() - 1] == '.';
}

// What kubelets say of their Nodes themselves (k8s.io/kubelet/pkg/apis).
bool is_kubelet_label(std::string_view key) {
  static const std::set<std::string_view> known = {
      "kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
      "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
      "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"};
  const std::string_view name_space = label_namespace(key);
  return known.contains(key) || is_of(name_space, "kubelet.kubernetes.io") || is_of(name_space, "node.kubernetes.io");
}

bool is_forbidden_label(std::string_view key) {
  const std::string_view name_space = label_namespace(key);
  if (is_of(name_space, "node-restriction.kubernetes.io")) return true;
  return (is_of(name_space, "kubernetes.io") || is_of(name_space, "k8s.io")) && !is_kubelet_label(key);
}

// Labels that a write adds, changes or takes away and that a node may not; sorted. By them it could draw Pods to itself.
std::set<std::string_view> forbidden_changes(MapView<std::string_view> now, MapView<std::string_view> before) {
  std::set<std::string_view> out;
  for (const auto& [key, value] : now)
    if (is_forbidden_label(key) && (!before.contains(key) || before.get(key) != value)) out.insert(key);
  for (const auto& [key, value] : before)
    if (is_forbidden_label(key) && !now.contains(key)) out.insert(key);
  return out;
}

Result<void> restrict_new_node(const AdmissionRequest& request, std::string_view node) {
  const Node now(request.object);
  // What a Node's spec refers to becomes readable for the node.
  if (now.spec().value() && now.spec().value()->get(NodeSpec::f_configSource))
    return refuse_node(request, fmt::format("node \"{}\" is not allowed to create pods with a non-nil configSource", node));
  if (const auto labels = forbidden_changes(now.metadata().labels(), {}); !labels.empty())
    return refuse_node(request, fmt::format("node \"{}\" is not allowed to set the following labels: {}", node, fmt::join(labels, ", ")));
  return {};
}

Result<void> restrict_node_change(const AdmissionRequest& request, std::string_view node) {
  const Node now(request.object), before(request.old_object);
  const auto field = [](const Value* structure, int at) { return structure ? structure->get(at) : nullptr; };
  const Value *spec = now.spec().value(), *old_spec = before.spec().value();
  if (const Value* config = field(spec, NodeSpec::f_configSource); config && !is_same_loosely(config, field(old_spec, NodeSpec::f_configSource)))
    return refuse_node(request, fmt::format("node \"{}\" is not allowed to update configSource to a new non-nil configSource", node));
  if (!is_same_loosely(field(spec, NodeSpec::f_taints), field(old_spec, NodeSpec::f_taints)))
    return refuse_node(request, fmt::format("node \"{}\" is not allowed to modify taints", node));
  if (!is_same_loosely(field(now.metadata().value(), ObjectMeta::f_ownerReferences), field(before.metadata().value(), ObjectMeta::f_ownerReferences)))
    return refuse_node(request, fmt::format("node \"{}\" is not allowed to modify ownerReferences", node));
  if (const auto labels = forbidden_changes(now.metadata().labels(), before.metadata().labels()); !labels.empty())
    return refuse_node(request, fmt::format("is not allowed to modify labels: {}", fmt::join(labels, ", ")));
  return {};
}

Result<void> restrict_node(const AdmissionRequest& request, std::string_view node) {
  if (request.name != node) return refuse_node(request, fmt::format("node \"{}\" is not allowed to modify node \"{}\"", node, request.name));
  if (request.operation == "CREATE") return restrict_new_node(request, node);
  if (request.operation == "UPDATE") return restrict_node_change(request, node);
  return {};
}

// A claim without what a node may say of it.
Value without_node_fields(Arena& arena, const Value& claim) {
  Value out = deep_copy(arena, claim);
  Value& metadata = ensure(arena, out, PersistentVolumeClaim::f_metadata);
  erase_field(metadata, ObjectMeta::f_resourceVersion);
  erase_field(metadata, ObjectMeta::f_managedFields);
  Value& status = ensure(arena, out, PersistentVolumeClaim::f_status);
  for (const int field : {PersistentVolumeClaimStatus::f_capacity, PersistentVolumeClaimStatus::f_conditions,
                          PersistentVolumeClaimStatus::f_allocatedResources, PersistentVolumeClaimStatus::f_allocatedResourceStatuses})
    erase_field(status, field);
  return out;
}

Result<void> restrict_claim(const AdmissionRequest& request, std::string_view node) {
  if (request.call.info.subresource != "status") return refuse_node(request, "may only update PVC status");
  if (request.operation != "UPDATE") return refuse_node(request, fmt::format("unexpected operation \"{}\"", request.operation));
  Arena arena;
  const Value now = without_node_fields(arena, *request.object), before = without_node_fields(arena, *request.old_object);
  if (!is_same_loosely(&now, &before))
    return refuse_node(request, fmt::format("node \"{}\" is not allowed to update fields other than status.quantity and status.conditions", node));
  return {};
}

Result<void> restrict_lease(const AdmissionRequest& request, std::string_view node) {
  if (request.call.info.name_space != "kube-node-lease")
    return refuse_node(request, "can only access leases in the \"kube-node-lease\" system namespace");
  if (request.name != node) return refuse_node(request, "can only access node lease with the same name as the requesting node");
  return {};
}

Result<void> restrict_csi_node(const AdmissionRequest& request, std::string_view node) {
  if (request.name != node) return refuse_node(request, "can only access CSINode with the same name as the requesting node");
  return {};
}

// Of updates the authorizer knows enough to decide.
Result<void> restrict_resource_slice(const AdmissionRequest& request, std::string_view node) {
  using resource_v1::ResourceSlice;
  if (request.operation == "CREATE" && ResourceSlice(request.object).spec().nodeName() != node)
    return refuse_node(request, "can only create ResourceSlice with the same NodeName as the requesting node");
  if (request.operation == "DELETE" && ResourceSlice(request.old_object).spec().nodeName() != node)
    return refuse_node(request, "can only delete ResourceSlice with the same NodeName as the requesting node");
  return {};
}

using RequestPtr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;

Result<std::string> common_name(std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const RequestPtr wanted(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!wanted) return openssl_error("PEM block type must be CERTIFICATE REQUEST");
  const X509_NAME* subject = X509_REQ_get_subject_name(wanted.get());
  // Of several the last counts, as in Go.
  int at = -1;
  for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) at = next;
  if (at < 0) return std::string();
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (length < 0) return openssl_error("reading the common name");
  std::string out(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
  OPENSSL_free(text);
  return out;
}

// A node asks for certificates in its own name only.
Result<void> restrict_certificate(const AdmissionRequest& request, std::string_view node) {
  if (request.operation != "CREATE") return {};
  const auto spec = certificates_v1::CertificateSigningRequest(request.object).spec();
  if (spec.signerName() != "kubernetes.io/kubelet-serving" && spec.signerName() != "kubernetes.io/kube-apiserver-client-kubelet") return {};
  const auto name = common_name(spec.request());
  if (!name) return refuse_node(request, fmt::format("unable to parse csr: {}", name.error().message));
  if (*name != fmt::format("{}{}", prefix, node)) return refuse_node(request, fmt::format("can only create a node CSR with CN={}{}", prefix, node));
  return {};
}

class NodeRestriction final : public AdmissionPlugin {
 public:
  explicit NodeRestriction(const ObjectSource& source) : source_(source) {}
  std::string_view name() const override { return "NodeRestriction"; }

  Result<void> mutate(AdmissionRequest& request) const override {
    const auto found = node_of(request.call.user);
    if (!found) return {};
    const std::string_view node = *found;
    if (node.empty()) return refuse_node(request, fmt::format("could not determine node from user \"{}\"", request.call.user.name));
    const std::string_view group = request.call.kind->group_version.group, resource = request.call.kind->resource;
    if (group.empty()) {
      if (resource == "pods") return restrict_pods(request, node, source_);
      if (resource == "nodes") return restrict_node(request, node);
      if (resource == "persistentvolumeclaims") return restrict_claim(request, node);
      if (resource == "serviceaccounts" && request.call.info.subresource == "token" && request.operation == "CREATE")
        return restrict_token(request, node, source_);
    }
    if (group == "coordination.k8s.io" && resource == "leases") return restrict_lease(request, node);
    if (group == "storage.k8s.io" && resource == "csinodes") return restrict_csi_node(request, node);
    if (group == "resource.k8s.io" && resource == "resourceslices") return restrict_resource_slice(request, node);
    if (group == "certificates.k8s.io" && resource == "certificatesigningrequests") return restrict_certificate(request, node);
    return {};
  }

 private:
  const ObjectSource& source_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_node_restriction(const ObjectSource& source) { return std::make_unique<NodeRestriction>(source); }

}  // namespace rusternetes::api_server
