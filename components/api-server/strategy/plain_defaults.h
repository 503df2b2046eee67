#pragma once
// Defaults of the kinds that have no strategy of their own: of what clients send, and of what is read from the store, where
// another server may have left them out (Kubernetes applies them at both places, too).

#include "apimachinery/schema.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server {

// Nothing, for kinds that have none.
void set_plain_defaults(const apimachinery::Type& type, apimachinery::Arena& arena, apimachinery::Value& object);

}  // namespace rusternetes::api_server
