#include "api-server/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "api-server/storage_codec.h"
#include "api-server/strategy.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using apimachinery::meta_v1::ObjectMeta;

Result<Selection> Selection::from(const Call& call) {
  Selection selection;
  selection.kind_ = call.kind;
  if (const auto text = call.info.query.get("labelSelector"); !text.empty()) {
    auto labels = apimachinery::LabelSelector::parse(text);
    if (!labels) return apimachinery::bad_request(fmt::format("unable to parse requirement: {}", labels.error().message));
    if (!labels->empty()) selection.labels_ = std::move(*labels);
  }
  if (const auto text = call.info.query.get("fieldSelector"); !text.empty()) {
    auto fields = apimachinery::FieldSelector::parse(text);
    if (!fields) return apimachinery::bad_request(fields.error().message);
    const Strategy& strategy = strategy_for(call.kind->group_version.group, call.kind->resource);
    const auto known = strategy.selectable_fields();
    for (const auto& requirement : fields->requirements()) {
      const bool is_known = requirement.field == "metadata.name" ||
                            (requirement.field == "metadata.namespace" && call.kind->is_namespaced) ||
                            std::find(known.begin(), known.end(), requirement.field) != known.end();
      if (!is_known)
        return apimachinery::bad_request(fmt::format("field label not supported: {}", requirement.field));
    }
    if (auto name = fields->required_value("metadata.name")) selection.single_name_ = std::string(*name);
    if (!fields->empty()) selection.fields_ = std::move(*fields);
  }
  return selection;
}

bool Selection::matches(const apimachinery::Document& object) const {
  if (!labels_ && !fields_) return true;
  const ObjectMeta metadata(object.root().get(metadata_field(object.type())));
  if (labels_) {
    const auto labels = metadata.labels();
    const bool ok = labels_->matches([&](std::string_view key) -> std::optional<std::string_view> {
      const auto* value = labels.find(key);
      return value ? std::optional(value->str()) : std::nullopt;
    });
    if (!ok) return false;
  }
  if (!fields_) return true;
  const Strategy* strategy = nullptr;
  return fields_->matches([&](std::string_view field) -> std::string {
    if (field == "metadata.name") return std::string(metadata.name());
    if (field == "metadata.namespace") return std::string(metadata.namespace_());
    if (!strategy) strategy = &strategy_for(kind_->group_version.group, kind_->resource);
    return strategy->selectable_field(object.root(), field);
  });
}

}  // namespace rusternetes::api_server
