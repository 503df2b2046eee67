#pragma once
// The path part of OpenAPI documents: what can be asked of which address.

#include <map>
#include <string>
#include <vector>

#include "api-server/openapi/schemas.h"

namespace rusternetes::api_server::openapi {

// Path items, as JSON, by path.
using PathItems = std::map<std::string, std::string>;

// The paths of one kind's resource and its subresources; the schemas they mention are taken into `schemas`.
void add_resource_paths(PathItems& paths, Schemas& schemas, const apimachinery::Kind& kind);

// A path that is no resource and is read with GET.
struct PlainPath {
  std::string path, operation, tag, description;
  std::string component;  // of the response; empty: text
  std::vector<std::string_view> media_types;
};
void add_plain_path(PathItems& paths, const Schemas& schemas, const PlainPath& plain);

// "rbac.authorization.k8s.io" → "rbacAuthorization"; "" → "core".
std::string tag_group(std::string_view group);
std::string capitalized(std::string_view word);

}  // namespace rusternetes::api_server::openapi
