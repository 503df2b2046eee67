#pragma once
// labelSelector and fieldSelector of a request, ready to be matched against cached objects.

#include <memory>
#include <optional>

#include "api-server/call.h"
#include "apimachinery/document.h"
#include "apimachinery/field_selector.h"
#include "apimachinery/label_selector.h"

namespace rusternetes::api_server {

class Selection {
 public:
  // Refuses selectors that do not parse and fields that the kind has no index of, as Kubernetes does.
  static Result<Selection> from(const Call& call);
  bool matches(const apimachinery::Document& object) const;
  bool is_everything() const { return !labels_ && !fields_; }
  // `metadata.name=x` names one object.
  std::optional<std::string> single_name() const { return single_name_; }

 private:
  const apimachinery::Kind* kind_ = nullptr;
  std::optional<apimachinery::LabelSelector> labels_;
  std::optional<apimachinery::FieldSelector> fields_;
  std::optional<std::string> single_name_;
};

}  // namespace rusternetes::api_server
