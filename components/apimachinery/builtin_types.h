#pragma once
// The compiled types by index; the accessors of api/*.h name them.
#include "apimachinery/schema.h"

namespace rusternetes::apimachinery {
extern const Type builtin_types[];
}
