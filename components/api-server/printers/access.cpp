// Who may what: role bindings, certificate requests, disruption budgets.

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/certificates_v1.h"
#include "apimachinery/api/policy_v1.h"
#include "apimachinery/api/rbac_v1.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

template <class Binding>
void print_binding(Cells& cells, const Value& object, std::int64_t now_us) {
  const Binding binding(&object);
  std::string users, groups, accounts;
  auto add = [](std::string& to, std::string_view text) {
    if (!to.empty()) to += ", ";
    to += text;
  };
  for (const auto subject : binding.subjects()) {
    if (subject.kind() == "User")
      add(users, subject.name());
    else if (subject.kind() == "Group")
      add(groups, subject.name());
    else if (subject.kind() == "ServiceAccount")
      add(accounts, fmt::format("{}/{}", subject.namespace_(), subject.name()));
  }
  cells.text(binding.metadata().name());
  cells.text(fmt::format("{}/{}", binding.roleRef().kind(), binding.roleRef().name()));
  cells.text(age_of(binding.metadata().creationTimestamp(), now_us));
  cells.text(users);
  cells.text(groups);
  cells.text(accounts);
}

std::string request_state(const certificates_v1::CertificateSigningRequestStatus& status) {
  bool is_approved = false, is_denied = false, has_failed = false;
  for (const auto condition : status.conditions()) {
    is_approved |= condition.type() == "Approved";
    is_denied |= condition.type() == "Denied";
    has_failed |= condition.type() == "Failed";
  }
  std::string out = is_denied ? "Denied" : is_approved ? "Approved" : "Pending";
  if (has_failed) out += ",Failed";
  if (!status.certificate().empty()) out += ",Issued";
  return out;
}

void print_signing_request(Cells& cells, const Value& object, std::int64_t now_us) {
  const certificates_v1::CertificateSigningRequest request(&object);
  const auto spec = request.spec();
  cells.text(request.metadata().name());
  cells.text(age_of(request.metadata().creationTimestamp(), now_us));
  cells.text(or_none(spec.signerName()));
  cells.text(spec.username());
  cells.text(spec.has_expirationSeconds() ? human_duration(spec.expirationSeconds() * 1'000'000'000)
                                          : "<none>");
  cells.text(request_state(request.status()));
}

std::string int_or_string_text(const View& value) {
  if (!value) return "N/A";
  return value.value()->kind == ValueKind::integer ? std::to_string(value.value()->integer)
                                                   : std::string(value.value()->str());
}

void print_disruption_budget(Cells& cells, const Value& object, std::int64_t now_us) {
  const policy_v1::PodDisruptionBudget budget(&object);
  cells.text(budget.metadata().name());
  cells.text(int_or_string_text(budget.spec().minAvailable()));
  cells.text(int_or_string_text(budget.spec().maxUnavailable()));
  cells.number(budget.status().disruptionsAllowed());
  cells.text(age_of(budget.metadata().creationTimestamp(), now_us));
}

constexpr PrinterEntry printers[] = {
    {"rbac.authorization.k8s.io", "", "rolebindings", print_binding<rbac_v1::RoleBinding>},
    {"rbac.authorization.k8s.io", "", "clusterrolebindings", print_binding<rbac_v1::ClusterRoleBinding>},
    {"certificates.k8s.io", "", "certificatesigningrequests", print_signing_request},
    {"policy", "", "poddisruptionbudgets", print_disruption_budget},
};

}  // namespace

std::span<const PrinterEntry> access_printers() { return printers; }

}  // namespace rusternetes::api_server
