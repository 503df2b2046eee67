#pragma once
// An object of the API with its kind.

#include "apimachinery/document.h"
#include "apimachinery/registry.h"

namespace rusternetes::addons {

struct Object {
  const apimachinery::Kind* kind = nullptr;  // a built-in one, with a resource
  apimachinery::Document document;           // without apiVersion and kind
};

}  // namespace rusternetes::addons
