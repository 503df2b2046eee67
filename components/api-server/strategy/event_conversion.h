#pragma once
// core/v1 and events.k8s.io/v1 name some fields of an Event differently.

#include <string_view>

#include "apimachinery/schema.h"

namespace rusternetes::api_server {

// What the field `name` of `from` is called in `to`: the same, unless both are versions of Event.
std::string_view converted_field_name(const apimachinery::Type& from, const apimachinery::Type& to,
                                      std::string_view name);

}  // namespace rusternetes::api_server
