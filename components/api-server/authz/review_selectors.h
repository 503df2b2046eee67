#pragma once
// The field and label selectors that an access review may carry (KEP-4601), as text or as requirements.

#include <string>

#include "apimachinery/api/authorization_v1.h"
#include "apimachinery/field_error.h"

namespace rusternetes::api_server {

// Of `spec.resourceAttributes`; nothing when it is absent. Operators of newer clients pass.
void validate_review_selectors(apimachinery::authorization_v1::ResourceAttributes attributes,
                               apimachinery::FieldErrorList& errors);

struct ReviewedSelector {
  std::string text;      // of the requirements that were understood
  bool is_valid = true;  // all were
};
ReviewedSelector review_field_selector(apimachinery::authorization_v1::FieldSelectorAttributes selector);
ReviewedSelector review_label_selector(apimachinery::authorization_v1::LabelSelectorAttributes selector);

}  // namespace rusternetes::api_server
