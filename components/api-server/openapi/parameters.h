#pragma once
// The parameters of operations, by name.

#include <string>
#include <string_view>
#include <vector>

#include "api-server/openapi/schemas.h"

namespace rusternetes::api_server::openapi {

struct Parameter {
  std::string name;
  std::string_view place = "query";  // or "path"
  std::string_view type = "string";
  std::string description;
};

// One of the options every resource knows (dryRun, limit, pretty...).
Parameter common_parameter(std::string_view name);
std::vector<Parameter> common_parameters(std::initializer_list<std::string_view> names);
const std::vector<Parameter>& list_parameters();
const std::vector<Parameter>& delete_parameters();
const std::vector<Parameter>& delete_collection_parameters();
// The fields of an options structure (PodLogOptions, PodExecOptions) as a query's parameters, by name.
std::vector<Parameter> option_parameters(const apimachinery::Type& options);

void write_parameter(JsonWriter& out, Dialect dialect, const Parameter& parameter);

}  // namespace rusternetes::api_server::openapi
