#pragma once
// One operation of a path, and its JSON.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/openapi/parameters.h"
#include "api-server/openapi/schemas.h"

namespace rusternetes::api_server::openapi {

constexpr std::string_view object_media_types[] = {"application/json", "application/yaml",
                                                   "application/vnd.kubernetes.protobuf"};
constexpr std::string_view any_media_type[] = {"*/*"};

struct Operation {
  std::string_view method;  // get, put, post...
  std::string id, description, tag;
  std::string action;  // x-kubernetes-action; empty: none, and no kind
  apimachinery::GroupVersion version;
  std::string kind;
  std::vector<Parameter> parameters;
  std::string body;  // component; empty: none
  bool is_body_required = false;
  std::span<const std::string_view> consumes = any_media_type, produces = object_media_types;
  std::string answer;  // component; empty: text
  std::vector<int> codes{200};
};

// The operations in the order of OpenAPI, then what all of them take.
std::string path_item(const Schemas& schemas, std::vector<Operation> operations,
                      std::vector<Parameter> parameters);

}  // namespace rusternetes::api_server::openapi
