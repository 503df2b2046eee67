#include "api-server/call.h"

#include <fmt/format.h>

#include "apimachinery/errors.h"
#include "apimachinery/quote.h"

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

namespace {

// An option of a write that is not right, in the words of that verb's options.
Status bad_option(const Call& call, std::string_view field, std::string_view cause, std::string what) {
  const std::string_view kind = call.info.verb == "create" ? "CreateOptions" : call.info.verb == "patch" ? "PatchOptions" : "UpdateOptions";
  const std::string aggregate = fmt::format("{}: {}", field, what);
  return apimachinery::invalid("meta.k8s.io", kind, "", {{std::string(cause), std::move(what), std::string(field)}}, aggregate);
}

}  // namespace

Result<void> read_write_options(Call& call) {
  for (const auto value : call.info.query.all("dryRun")) {
    if (value != "All")
      return bad_option(call, "dryRun", "FieldValueNotSupported", fmt::format("Unsupported value: [{}]: supported values: \"All\"", apimachinery::quote(value)));
    call.dry_run = true;
  }
  call.field_manager = call.info.query.get("fieldManager");
  if (call.field_manager.size() > 128)
    return bad_option(call, "fieldManager", "FieldValueTooLong", "Too long: may not be more than 128 bytes");
  for (std::size_t i = 0; i < call.field_manager.size(); ++i)
    if (const auto c = static_cast<unsigned char>(call.field_manager[i]); c < 0x20 || c == 0x7f)
      return bad_option(call, "fieldManager", "FieldValueInvalid",
                        fmt::format("Invalid value: {}: invalid character U+{:04X} (at position {})", apimachinery::quote(call.field_manager), c, i));
  if (call.info.verb == "patch" && call.info.query.has("force"))
    return bad_option(call, "force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch");
  const std::string_view validation = call.info.query.get("fieldValidation");
  if (validation == "Ignore") call.field_validation = FieldValidation::ignore;
  else if (validation == "Strict") call.field_validation = FieldValidation::strict;
  else if (validation.empty() || validation == "Warn") call.field_validation = FieldValidation::warn;
  else
    return bad_option(call, "fieldValidation", "FieldValueNotSupported",
                      fmt::format("Unsupported value: {}: supported values: \"Ignore\", \"Strict\", \"Warn\"", apimachinery::quote(validation)));
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
