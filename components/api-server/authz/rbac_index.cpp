#include "api-server/authz/rbac_index.h"

#include <algorithm>

#include "api-server/authz/service_account_names.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

namespace rbac = apimachinery::rbac_v1;
using apimachinery::Document;
using apimachinery::quote;

namespace {

std::string role_key(std::string_view name_space, std::string_view name) {
  std::string key(name_space);
  if (!key.empty()) key += '/';
  return key += name;
}

// ClusterRole and Role, and the two kinds of bindings, have the same fields at the same places.
apimachinery::meta_v1::ObjectMeta metadata_of(const Document& document) {
  return rbac::ClusterRole(&document.root()).metadata();
}

void sort_by_name(std::vector<Document>& documents) {
  std::sort(documents.begin(), documents.end(), [](const Document& a, const Document& b) {
    const auto left = metadata_of(a), right = metadata_of(b);
    return std::pair(left.namespace_(), left.name()) < std::pair(right.namespace_(), right.name());
  });
}

std::string describe_subject(rbac::Subject subject, std::string_view binding_namespace) {
  const std::string kind(subject.kind());
  if (kind != "ServiceAccount") return kind + " " + quote(subject.name());
  const std::string_view name_space = subject.namespace_().empty() ? binding_namespace : subject.namespace_();
  return kind + " " + quote(std::string(subject.name()) + "/" + std::string(name_space));
}

}  // namespace

RbacIndex::Roles RbacIndex::load_roles(const ObjectSource& source, std::string_view resource,
                                       const Roles* previous) {
  Roles roles;
  for (Document& document : source.list(rbac_group, resource, "")) {
    const auto metadata = metadata_of(document);
    std::string key = role_key(metadata.namespace_(), metadata.name());
    if (previous) {
      const auto old = previous->find(key);
      if (old != previous->end() && old->second->document.is_same(document)) {
        roles.emplace(std::move(key), old->second);
        continue;
      }
    }
    auto role = std::make_shared<RbacRole>();
    role->rules = policy_rules(rbac::ClusterRole(&document.root()).rules());
    role->document = std::move(document);
    roles.emplace(std::move(key), std::move(role));
  }
  return roles;
}

void RbacIndex::add_binding(Scope& scope, const Document& document, std::string_view kind,
                            std::uint32_t order) {
  const rbac::RoleBinding binding(&document.root());
  const std::string_view name = binding.metadata().name(), name_space = binding.metadata().namespace_();
  const std::string_view role_kind = binding.roleRef().kind(), role_name = binding.roleRef().name();

  Entry entry{order, nullptr, {}, {}};
  if (role_kind == "ClusterRole" || role_kind == "Role") {
    const bool is_cluster_role = role_kind == "ClusterRole";
    const Roles& roles = is_cluster_role ? cluster_roles_ : roles_;
    const auto found = roles.find(role_key(is_cluster_role ? std::string_view{} : name_space, role_name));
    if (found != roles.end())
      entry.role = found->second;
    else
      entry.missing = std::string(is_cluster_role ? "clusterrole" : "role") + ".rbac.authorization.k8s.io " +
                      quote(role_name) + " not found";
  } else {
    entry.missing = "unsupported role reference kind: " + quote(role_kind);
  }

  const std::string shown_name =
      name_space.empty() ? std::string(name) : std::string(name) + "/" + std::string(name_space);
  const std::string source = std::string(kind) + " " + quote(shown_name) + " of " + std::string(role_kind) +
                             " " + quote(role_name) + " to ";
  for (rbac::Subject subject : binding.subjects()) {
    const std::string_view subject_kind = subject.kind();
    std::string key(subject.name());
    if (subject_kind == "ServiceAccount") {
      const std::string_view account_namespace =
          subject.namespace_().empty() ? name_space : subject.namespace_();
      if (account_namespace.empty()) continue;
      key = service_account_user_name(account_namespace, subject.name());
    } else if (subject_kind != "User" && subject_kind != "Group") {
      continue;
    }
    entry.source = source + describe_subject(subject, name_space);
    auto& entries = (subject_kind == "Group" ? scope.groups : scope.users)[std::move(key)];
    // The same subject twice in one binding grants nothing more.
    if (entries.empty() || entries.back().order != order) entries.push_back(entry);
  }
}

std::shared_ptr<const RbacIndex> RbacIndex::build(const ObjectSource& source, const RbacIndex* previous) {
  auto index = std::make_shared<RbacIndex>();
  index->cluster_roles_ = load_roles(source, "clusterroles", previous ? &previous->cluster_roles_ : nullptr);
  index->roles_ = load_roles(source, "roles", previous ? &previous->roles_ : nullptr);

  std::uint32_t order = 0;
  std::vector<Document> bindings = source.list(rbac_group, "clusterrolebindings", "");
  sort_by_name(bindings);
  for (const Document& binding : bindings)
    index->add_binding(index->cluster_, binding, "ClusterRoleBinding", order++);

  bindings = source.list(rbac_group, "rolebindings", "");
  sort_by_name(bindings);
  for (const Document& binding : bindings) {
    Scope& scope = index->namespaces_[std::string(metadata_of(binding).namespace_())];
    index->add_binding(scope, binding, "RoleBinding", order++);
  }
  return index;
}

const RbacRole* RbacIndex::find_role(std::string_view name_space, std::string_view name) const {
  const Roles& roles = name_space.empty() ? cluster_roles_ : roles_;
  const auto found = roles.find(role_key(name_space, name));
  return found == roles.end() ? nullptr : found->second.get();
}

}  // namespace rusternetes::api_server
