#pragma once
// Between versions of a kind stands a pair of functions; where none is registered, fields of the same name and type carry
// over (invariant 2). The hub is the storage version. The one list of those functions is in conversion.cpp.

#include "apimachinery/value.h"

namespace rusternetes::api_server {

// One direction between two versions of a kind. `to` is what fields of the same name made of `from`; what else the
// versions say differently is left to `complete`. `to` may share memory with `from` below its first two levels, so what
// is changed there is copied first (copy_level).
struct Conversion {
  const apimachinery::Type* from;
  const apimachinery::Type* to;
  void (*complete)(apimachinery::Arena& arena, const apimachinery::Value& from, apimachinery::Value& to);
};

// The value as `to` has it: an object or a list of objects. Shares memory with `value` where nothing changes.
apimachinery::Value convert_value(apimachinery::Arena& arena, const apimachinery::Value& value,
                                  const apimachinery::Type& from, const apimachinery::Type& to);

}  // namespace rusternetes::api_server
