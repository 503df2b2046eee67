#include "api-server/call.h"

#include <fmt/format.h>

#include "apimachinery/errors.h"

namespace rusternetes::api_server {

bool User::is_in(std::string_view group) const {
  for (const auto& one : groups)
    if (one == group) return true;
  return false;
}

std::string Call::group_resource() const {
  return apimachinery::GroupResource{kind->group_version.group, kind->resource}.text();
}

std::string Call::object_key(std::string_view name) const {
  if (!kind->is_namespaced) return std::string(name);
  return fmt::format("{}/{}", info.name_space, name);
}

Result<void> read_write_options(Call& call) {
  for (const auto value : call.info.query.all("dryRun")) {
    if (value != "All")
      return apimachinery::invalid("meta.k8s.io", "CreateOptions", "",
                                   {{"FieldValueNotSupported", fmt::format("Unsupported value: \"{}\": supported values: \"All\"", value), "dryRun"}},
                                   fmt::format("dryRun: Unsupported value: \"{}\": supported values: \"All\"", value));
    call.dry_run = true;
  }
  call.field_manager = call.info.query.get("fieldManager");
  if (call.field_manager.size() > 128)
    return apimachinery::invalid("meta.k8s.io", "CreateOptions", "",
                                 {{"FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"}},
                                 "fieldManager: Too long: may not be more than 128 bytes");
  const std::string_view validation = call.info.query.get("fieldValidation");
  if (validation == "Ignore") call.field_validation = FieldValidation::ignore;
  else if (validation == "Strict") call.field_validation = FieldValidation::strict;
  else if (validation.empty() || validation == "Warn") call.field_validation = FieldValidation::warn;
  else
    return apimachinery::invalid(
        "meta.k8s.io", "CreateOptions", "",
        {{"FieldValueNotSupported", fmt::format("Unsupported value: \"{}\": supported values: \"Ignore\", \"Strict\", \"Warn\"", validation), "fieldValidation"}},
        fmt::format("fieldValidation: Unsupported value: \"{}\": supported values: \"Ignore\", \"Strict\", \"Warn\"", validation));
  return {};
}

Attributes attributes_of(const Call& call) {
  Attributes out;
  const auto& info = call.info;
  out.user = call.user;
  out.verb = info.verb;
  out.is_resource = info.is_resource;
  out.api_group = info.api_group;
  out.api_version = info.api_version;
  out.resource = info.resource;
  out.subresource = info.subresource;
  out.name_space = info.name_space;
  out.name = info.name;
  out.path = info.path;
  out.field_selector = info.query.get("fieldSelector");
  out.label_selector = info.query.get("labelSelector");
  return out;
}

}  // namespace rusternetes::api_server
