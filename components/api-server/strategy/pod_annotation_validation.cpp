// Annotations that Pods give a meaning to, most of them older forms of fields.

#include <fmt/format.h>

#include <charconv>

#include "api-server/strategy/pod_annotations.h"
#include "apimachinery/json.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

constexpr std::string_view seccomp_of_pod = "seccomp.security.alpha.kubernetes.io/pod";
constexpr std::string_view seccomp_of_container = "container.seccomp.security.alpha.kubernetes.io/";
constexpr std::string_view tolerations_key = "scheduler.alpha.kubernetes.io/tolerations";
constexpr std::string_view localhost = "localhost/";

void check_seccomp_profile(std::string_view profile, const FieldPath& path, FieldErrorList& errors) {
  if (is_any_of(profile, {"runtime/default", "docker/default", "unconfined"})) return;
  if (profile.starts_with(localhost))
    validate_local_descending_path(profile.substr(localhost.size()), path, errors);
  else
    errors.push_back(field::invalid(path, profile, "must be a valid seccomp profile"));
}

bool has_container(const core::PodSpec& spec, std::string_view name) {
  const FieldPath path("spec");
  return !each_container(spec, path, [&](const core::Container& container, const FieldPath&) { return container.name() != name; });
}

void check_tolerations_annotation(std::string_view text, const FieldPath& path, const PodValidationOptions& options,
                                  FieldErrorList& errors) {
  Arena arena;
  const Type& type = *core::PodSpec::schema_type().fields[core::PodSpec::f_tolerations].type;
  const auto list = decode_json(arena, text, type);
  if (!list)
    errors.push_back(field::invalid(path, tolerations_key, list.error().message));
  else
    validate_tolerations(ListView<core::Toleration>(&*list), path.child(tolerations_key), options, errors);
}

// Both the annotation and the field, if there: one must be a form of the other.
struct ProfileWords {
  std::string_view type_detail, profile_detail;
};
constexpr ProfileWords seccomp_words{"seccomp type in annotation and field must match",
                                     "seccomp profile in annotation and field must match"};
constexpr ProfileWords app_armor_words{"apparmor type in annotation and field must match",
                                       "apparmor profile in annotation and field must match"};

template <class Profile>
void check_match(std::string_view annotation, const Profile& profile, bool takes_docker_default,
                 const ProfileWords& words, const FieldPath& path, FieldErrorList& errors) {
  const std::string_view type = profile.type();
  const bool is_default = annotation == "runtime/default" || (takes_docker_default && annotation == "docker/default");
  const bool is_type_wrong = (type == "Unconfined" && annotation != "unconfined") ||
                             (type == "RuntimeDefault" && !is_default) ||
                             (type == "Localhost" && !annotation.starts_with(localhost));
  if (is_type_wrong)
    errors.push_back(field::forbidden(path.child("type"), words.type_detail));
  else if (type == "Localhost" && (!profile.has_localhostProfile() || annotation.substr(localhost.size()) != profile.localhostProfile()))
    errors.push_back(field::forbidden(path.child("localhostProfile"), words.profile_detail));
}

}  // namespace

bool is_valid_deletion_cost(std::string_view text) {
  if (text.empty() || !(text[0] == '-' || text == "0" || (text[0] >= '1' && text[0] <= '9'))) return false;
  std::int32_t cost = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cost);
  return error == std::errc{} && end == text.data() + text.size();
}

void validate_pod_annotations(const TextMap& annotations, const core::PodSpec& spec, const FieldPath& path,
                              const PodValidationOptions& options, FieldErrorList& errors) {
  for (const auto& [key, value] : annotations) {
    if (key == mirror_pod_annotation) {
      if (spec.nodeName().empty())
        errors.push_back(field::invalid(path.key(key), value, "must set spec.nodeName if mirror pod annotation is set"));
    } else if (key == tolerations_key) {
      if (!value.empty()) check_tolerations_annotation(value, path, options, errors);
    } else if (key == deletion_cost_annotation) {
      if (!options.allow_invalid_deletion_cost && !is_valid_deletion_cost(value))
        errors.push_back(field::invalid(path.key(key), value, "must be a 32bit integer"));
    } else if (key == seccomp_of_pod || key.starts_with(seccomp_of_container)) {
      check_seccomp_profile(value, path.child(key), errors);
    } else if (key.starts_with(app_armor_annotation_prefix)) {
      const std::string_view container = key.substr(app_armor_annotation_prefix.size());
      if (!has_container(spec, container)) errors.push_back(field::invalid(path.key(key), container, "container not found"));
      if (!value.empty() && value != "runtime/default" && value != "unconfined" && !value.starts_with(localhost))
        errors.push_back(field::invalid(path.key(key), value, "invalid AppArmor profile name: " + quote(value)));
    }
  }
}

void validate_profile_annotations_match(const TextMap& annotations, const core::PodSpec& spec, const FieldPath& path,
                                        FieldErrorList& errors) {
  if (annotations.empty()) return;
  const auto pod = spec.securityContext();
  if (pod.seccompProfile() && annotations.contains(seccomp_of_pod)) {
    const FieldPath context = path.child("securityContext");
    check_match(annotations.get(seccomp_of_pod), pod.seccompProfile(), true, seccomp_words, context.child("seccompProfile"), errors);
  }
  each_container(spec, path, [&](const core::Container& container, const FieldPath& at) {
    const FieldPath context = at.child("securityContext");
    const auto own = container.securityContext();
    if (own.seccompProfile()) {
      const std::string key = std::string(seccomp_of_container) + std::string(container.name());
      if (annotations.contains(key))
        check_match(annotations.get(key), own.seccompProfile(), true, seccomp_words, context.child("seccompProfile"), errors);
    }
    const auto app_armor = own.appArmorProfile() ? own.appArmorProfile() : pod.appArmorProfile();
    if (app_armor && spec.os().name() != "windows") {
      const std::string key = std::string(app_armor_annotation_prefix) + std::string(container.name());
      if (annotations.contains(key))
        check_match(annotations.get(key), app_armor, false, app_armor_words, context.child("appArmorProfile"), errors);
    }
    return true;
  });
}

void validate_pod_annotation_updates(const core::Pod& pod, const core::Pod& old, const FieldPath& path,
                                     FieldErrorList& errors) {
  const auto now = pod.metadata().annotations(), then = old.metadata().annotations();
  for (const auto& [key, value] : then) {
    const Value* current = now.find(key);
    if (current && current->str() == value) continue;
    if (key.starts_with(app_armor_annotation_prefix))
      errors.push_back(field::forbidden(path.key(key), "may not remove or update AppArmor annotations"));
    if (key == mirror_pod_annotation)
      errors.push_back(field::forbidden(path.key(key), "may not remove or update mirror pod annotation"));
  }
  for (const auto& [key, value] : now) {
    if (then.contains(key)) continue;
    if (key.starts_with(app_armor_annotation_prefix))
      errors.push_back(field::forbidden(path.key(key), "may not add AppArmor annotations"));
    if (key == mirror_pod_annotation)
      errors.push_back(field::forbidden(path.key(key), "may not add mirror pod annotation"));
  }
}

}  // namespace rusternetes::api_server
