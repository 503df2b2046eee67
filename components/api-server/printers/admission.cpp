// admissionregistration.k8s.io

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/admissionregistration_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

template <class Configuration>
void print_webhooks(Cells& cells, const Value& object, std::int64_t now_us) {
  const Configuration configuration(&object);
  cells.text(configuration.metadata().name());
  cells.number(static_cast<std::int64_t>(configuration.webhooks().size()));
  cells.text(age_of(configuration.metadata().creationTimestamp(), now_us));
}

void print_policy(Cells& cells, const Value& object, std::int64_t now_us) {
  const admissionregistration_v1::ValidatingAdmissionPolicy policy(&object);
  const auto spec = policy.spec();
  cells.text(policy.metadata().name());
  cells.number(static_cast<std::int64_t>(spec.validations().size()));
  cells.text(spec.has_paramKind()
                 ? fmt::format("{}/{}", spec.paramKind().apiVersion(), spec.paramKind().kind())
                 : "<unset>");
  cells.text(age_of(policy.metadata().creationTimestamp(), now_us));
}

// As Go's protobuf library shows a message: kube-apiserver does so for a parameter that is selected and not
// named.
std::string go_text(const meta_v1::LabelSelector& selector) {
  std::string out = "&LabelSelector{MatchLabels:map[string]string{";
  for (const auto& [key, value] : selector.matchLabels()) out += fmt::format("{}: {},", key, value);
  out += "},MatchExpressions:[]LabelSelectorRequirement{";
  for (const auto one : selector.matchExpressions())
    out += fmt::format("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},", one.key(),
                       one.operator_(), joined(one.values(), " "));
  return out + "},}";
}

void print_policy_binding(Cells& cells, const Value& object, std::int64_t now_us) {
  const admissionregistration_v1::ValidatingAdmissionPolicyBinding binding(&object);
  const auto reference = binding.spec().paramRef();
  std::string parameter = "<unset>";
  if (!reference.name().empty())
    parameter =
        fmt::format("{}/{}", reference.namespace_().empty() ? "*" : reference.namespace_(), reference.name());
  else if (reference.has_selector())
    parameter = go_text(reference.selector());
  cells.text(binding.metadata().name());
  cells.text(binding.spec().policyName());
  cells.text(parameter);
  cells.text(age_of(binding.metadata().creationTimestamp(), now_us));
}

constexpr std::string_view group = "admissionregistration.k8s.io";
constexpr PrinterEntry printers[] = {
    {group, "", "mutatingwebhookconfigurations",
     print_webhooks<admissionregistration_v1::MutatingWebhookConfiguration>},
    {group, "", "validatingwebhookconfigurations",
     print_webhooks<admissionregistration_v1::ValidatingWebhookConfiguration>},
    {group, "", "validatingadmissionpolicies", print_policy},
    {group, "", "validatingadmissionpolicybindings", print_policy_binding},
};

}  // namespace

std::span<const PrinterEntry> admission_printers() { return printers; }

}  // namespace rusternetes::api_server
