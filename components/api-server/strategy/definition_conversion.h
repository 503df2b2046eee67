#pragma once
// CustomResourceDefinitions as kube-apiserver v1.35 stores them: apiextensions.k8s.io/v1beta1, a version that is served no
// more. There, what all versions have in common stands once, above them. Ours are stored as version 1, which every
// kube-apiserver reads, too.

#include <span>
#include <string_view>

#include "api-server/conversion.h"

namespace rusternetes::api_server {

inline constexpr std::string_view old_definitions_version = "apiextensions.k8s.io/v1beta1";
const apimachinery::Type& old_definition_type();
// From there to version 1.
std::span<const Conversion> definition_conversions();

}  // namespace rusternetes::api_server
