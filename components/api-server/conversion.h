#pragma once
// Between versions of a kind stands a pair of functions; where none is registered, fields of the same name and type carry
// over (invariant 2). The hub is the storage version.

#include "apimachinery/value.h"

namespace rusternetes::api_server {

// The value as `to` has it. Shares memory with `value` where nothing changes.
apimachinery::Value convert_value(apimachinery::Arena& arena, const apimachinery::Value& value,
                                  const apimachinery::Type& from, const apimachinery::Type& to);

}  // namespace rusternetes::api_server
