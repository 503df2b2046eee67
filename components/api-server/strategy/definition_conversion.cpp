#include "api-server/strategy/definition_conversion.h"

#include <algorithm>
#include <array>
#include <string>

#include "apimachinery/api/apiextensions_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/schema_builder.h"
#include "base/status.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using V1Column = apiextensions_v1::CustomResourceColumnDefinition;
using V1Conversion = apiextensions_v1::CustomResourceConversion;
using V1Spec = apiextensions_v1::CustomResourceDefinitionSpec;
using V1Version = apiextensions_v1::CustomResourceDefinitionVersion;
using V1Webhook = apiextensions_v1::WebhookConversion;

namespace {

constexpr std::string_view old_schema = R"(package apiextensions/v1beta1
type CustomResourceDefinition
  (inline)  - meta/v1.TypeMeta
  metadata  - meta/v1.ObjectMeta omitempty
  spec      - CustomResourceDefinitionSpec required
  status    - apiextensions/v1.CustomResourceDefinitionStatus omitempty
type CustomResourceDefinitionSpec
  group                     - string required
  version                   - string omitempty
  names                     - apiextensions/v1.CustomResourceDefinitionNames required
  scope                     - string required
  validation                - apiextensions/v1.CustomResourceValidation? omitempty
  subresources              - apiextensions/v1.CustomResourceSubresources? omitempty
  versions                  - []CustomResourceDefinitionVersion omitempty
  additionalPrinterColumns  - []CustomResourceColumnDefinition omitempty
  selectableFields          - []apiextensions/v1.SelectableField omitempty
  conversion                - CustomResourceConversion? omitempty
  preserveUnknownFields     - bool? omitempty
type CustomResourceDefinitionVersion
  name                      - string required
  served                    - bool required
  storage                   - bool required
  deprecated                - bool omitempty
  deprecationWarning        - string? omitempty
  schema                    - apiextensions/v1.CustomResourceValidation? omitempty
  subresources              - apiextensions/v1.CustomResourceSubresources? omitempty
  additionalPrinterColumns  - []CustomResourceColumnDefinition omitempty
  selectableFields          - []apiextensions/v1.SelectableField omitempty
type CustomResourceColumnDefinition
  name         - string required
  type         - string required
  format       - string omitempty
  description  - string omitempty
  priority     - int32 omitempty
  JSONPath     - string required
type CustomResourceConversion
  strategy                  - string required
  webhookClientConfig       - apiextensions/v1.WebhookClientConfig? omitempty
  conversionReviewVersions  - []string omitempty
)";

const Type& old_type(std::string_view name) {
  static const SchemaSet& schema = *[] {
    auto parsed = parse_schema_text({{"definitions", std::string(old_schema)}}, &builtin_schema());
    RN_ASSERT(parsed, "the schema of old definitions is right");
    return parsed->release();
  }();
  return **std::ranges::find(schema.types, "apiextensions/v1beta1." + std::string(name), &Type::name);
}

const Value* old_field(const Value& from, const Type& type, std::string_view name) { return from.get(type.find(name)); }

// Sets a field to what is elsewhere; the memory is shared.
void share(Arena& arena, Value& to, int field, const Value* from) {
  if (!from) return;
  Value copy = *from;
  copy.growable = 0;
  assign(set_field(arena, to, field), copy);
}

void complete_column(Arena& arena, const Value& from, Value& to) {
  static const Type& type = old_type("CustomResourceColumnDefinition");
  share(arena, to, V1Column::f_jsonPath, old_field(from, type, "JSONPath"));
}

void complete_conversion(Arena& arena, const Value& from, Value& to) {
  static const Type& type = old_type("CustomResourceConversion");
  const Value *client = old_field(from, type, "webhookClientConfig"), *versions = old_field(from, type, "conversionReviewVersions");
  if (!client && !versions) return;
  Value& webhook = ensure(arena, to, V1Conversion::f_webhook);
  share(arena, webhook, V1Webhook::f_clientConfig, client);
  share(arena, webhook, V1Webhook::f_conversionReviewVersions, versions);
}

void complete_spec(Arena& arena, const Value& from, Value& to) {
  static const Type& type = old_type("CustomResourceDefinitionSpec");
  Value& versions = ensure(arena, to, V1Spec::f_versions, ValueKind::list);
  const Value* version = old_field(from, type, "version");
  if (versions.size == 0 && version) {
    Value& only = append_structure(arena, versions);
    share(arena, only, V1Version::f_name, version);
    set_boolean(arena, only, V1Version::f_served, true);
    set_boolean(arena, only, V1Version::f_storage, true);
  }
  Value columns;
  if (const Value* old = old_field(from, type, "additionalPrinterColumns"))
    columns = convert_value(arena, *old, *type.fields[static_cast<std::size_t>(type.find("additionalPrinterColumns"))].type,
                            *V1Version::schema_type().fields[V1Version::f_additionalPrinterColumns].type);
  for (Value& one : versions.children()) {
    if (!one.get(V1Version::f_schema)) share(arena, one, V1Version::f_schema, old_field(from, type, "validation"));
    if (!one.get(V1Version::f_subresources)) share(arena, one, V1Version::f_subresources, old_field(from, type, "subresources"));
    if (!one.get(V1Version::f_selectableFields)) share(arena, one, V1Version::f_selectableFields, old_field(from, type, "selectableFields"));
    if (!one.get(V1Version::f_additionalPrinterColumns) && !columns.is_null())
      share(arena, one, V1Version::f_additionalPrinterColumns, &columns);
  }
  // Absent means true there, and false in version 1.
  const Value* preserves = old_field(from, type, "preserveUnknownFields");
  if (!preserves)
    set_boolean(arena, to, V1Spec::f_preserveUnknownFields, true);
  else if (!preserves->boolean)
    erase_field(to, V1Spec::f_preserveUnknownFields);
}

}  // namespace

const Type& old_definition_type() {
  static const Type& type = old_type("CustomResourceDefinition");
  return type;
}

std::span<const Conversion> definition_conversions() {
  static const std::array<Conversion, 3> conversions{{
      {&old_type("CustomResourceDefinitionSpec"), &V1Spec::schema_type(), complete_spec},
      {&old_type("CustomResourceConversion"), &V1Conversion::schema_type(), complete_conversion},
      {&old_type("CustomResourceColumnDefinition"), &V1Column::schema_type(), complete_column},
  }};
  return conversions;
}

}  // namespace rusternetes::api_server
