#include "api-server/openapi/schema_extras.h"

#include <algorithm>
#include <iterator>

namespace rusternetes::api_server::openapi {
namespace {

using Words = std::string_view;

constexpr Words operations[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"};
constexpr Words validation_actions[] = {"Audit", "Deny", "Warn"};
constexpr Words key_usages[] = {"any",
                                "cert sign",
                                "client auth",
                                "code signing",
                                "content commitment",
                                "crl sign",
                                "data encipherment",
                                "decipher only",
                                "digital signature",
                                "email protection",
                                "encipher only",
                                "ipsec end system",
                                "ipsec tunnel",
                                "ipsec user",
                                "key agreement",
                                "key encipherment",
                                "microsoft sgc",
                                "netscape sgc",
                                "ocsp signing",
                                "s/mime",
                                "server auth",
                                "signing",
                                "timestamping"};
constexpr Words access_modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"};
constexpr Words resize_states[] = {"ControllerResizeInProgress", "ControllerResizeInfeasible",
                                   "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"};
constexpr Words quota_scopes[] = {
    "BestEffort",  "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass",
    "Terminating", "VolumeAttributesClass"};
constexpr Words ip_families[] = {"", "IPv4", "IPv6"};
constexpr Words policy_types[] = {"Egress", "Ingress"};

constexpr FieldExtra extras[] = {
    {"admissionregistration/v1.NamedRuleWithOperations", "operations", operations},
    {"admissionregistration/v1.RuleWithOperations", "operations", operations},
    {"admissionregistration/v1.ValidatingAdmissionPolicyBindingSpec", "validationActions",
     validation_actions},
    {"autoscaling/v1.ScaleSpec", "replicas", {}, false, "0"},
    {"certificates/v1.CertificateSigningRequestSpec", "usages", key_usages},
    {"core/v1.AzureDiskVolumeSource", "readOnly", {}, false, "false"},
    {"core/v1.FileKeySelector", "optional", {}, false, "false"},
    {"core/v1.GRPCAction", "service", {}, false, "\"\""},
    {"core/v1.PersistentVolumeClaimSpec", "accessModes", access_modes},
    {"core/v1.PersistentVolumeClaimStatus", "accessModes", access_modes},
    {"core/v1.PersistentVolumeClaimStatus", "allocatedResourceStatuses", resize_states, true},
    {"core/v1.PersistentVolumeSpec", "accessModes", access_modes},
    {"core/v1.PersistentVolumeSpec", "claimRef", {}, true},
    {"core/v1.ReplicationControllerSpec", "minReadySeconds", {}, false, "0"},
    {"core/v1.ResourceQuotaSpec", "scopes", quota_scopes},
    {"core/v1.ServiceSpec", "ipFamilies", ip_families},
    {"networking/v1.NetworkPolicySpec", "policyTypes", policy_types},
};

using Member = std::pair<std::string_view, std::string_view>;
constexpr Member local_profile[] = {{"localhostProfile", "LocalhostProfile"}};
constexpr Member queuing[] = {{"queuing", "Queuing"}};
constexpr Member levels[] = {{"exempt", "Exempt"}, {"limited", "Limited"}};
constexpr Member subjects[] = {{"group", "Group"}, {"serviceAccount", "ServiceAccount"}, {"user", "User"}};

constexpr Union unions[] = {
    {"core/v1.AppArmorProfile", "type", local_profile},
    {"core/v1.SeccompProfile", "type", local_profile},
    {"flowcontrol/v1.LimitResponse", "type", queuing},
    {"flowcontrol/v1.PriorityLevelConfigurationSpec", "type", levels},
    {"flowcontrol/v1.Subject", "kind", subjects},
};

}  // namespace

const FieldExtra* field_extra(std::string_view type, std::string_view field) {
  const auto found = std::find_if(std::begin(extras), std::end(extras), [&](const FieldExtra& one) {
    return one.type == type && one.field == field;
  });
  return found == std::end(extras) ? nullptr : found;
}

const Union* union_of(std::string_view type) {
  const auto found =
      std::find_if(std::begin(unions), std::end(unions), [&](const Union& one) { return one.type == type; });
  return found == std::end(unions) ? nullptr : found;
}

}  // namespace rusternetes::api_server::openapi
