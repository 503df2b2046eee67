#pragma once
// What holds for the metadata of every kind (apimachinery/pkg/api/validation, registry/rest BeforeCreate/BeforeUpdate).

#include "api-server/strategy.h"

namespace rusternetes::api_server {

void validate_object_meta(const StrategyContext& context, const Strategy& strategy, const apimachinery::Value& object,
                          apimachinery::FieldErrorList& errors);
void validate_object_meta_update(const StrategyContext& context, const apimachinery::Value& object,
                                 const apimachinery::Value& old, apimachinery::FieldErrorList& errors);

}  // namespace rusternetes::api_server
