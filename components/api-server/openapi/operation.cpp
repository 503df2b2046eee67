#include "api-server/openapi/operation.h"

#include <algorithm>

namespace rusternetes::api_server::openapi {

using namespace apimachinery;

namespace {

std::string_view code_words(int code) { return code == 200 ? "OK" : code == 201 ? "Created" : "Accepted"; }

void write_answer_schema(JsonWriter& out, const Schemas& schemas, const std::string& component) {
  if (!component.empty()) return schemas.write_reference(out, component);
  out.open('{');
  out.member("type", "string");
  out.close('}');
}

void write_content(JsonWriter& out, const Schemas& schemas, std::span<const std::string_view> types,
                   const std::string& component) {
  std::vector<std::string_view> sorted(types.begin(), types.end());
  std::sort(sorted.begin(), sorted.end());
  out.key("content");
  out.open('{');
  for (const auto type : sorted) {
    out.key(type);
    out.open('{');
    out.key("schema");
    write_answer_schema(out, schemas, component);
    out.close('}');
  }
  out.close('}');
}

void write_parameters(JsonWriter& out, const Schemas& schemas, const std::vector<Parameter>& parameters,
                      const std::string& body, bool is_body_required) {
  const bool is_body_here = schemas.dialect() == Dialect::v2 && !body.empty();
  if (parameters.empty() && !is_body_here) return;
  out.key("parameters");
  out.open('[');
  if (is_body_here) {
    out.open('{');
    out.member("name", "body");
    out.member("in", "body");
    if (is_body_required) out.member_raw("required", "true");
    out.key("schema");
    schemas.write_reference(out, body);
    out.close('}');
  }
  for (const auto& parameter : parameters) write_parameter(out, schemas.dialect(), parameter);
  out.close(']');
}

void write_responses(JsonWriter& out, const Schemas& schemas, const Operation& operation) {
  out.key("responses");
  out.open('{');
  for (const int code : operation.codes) {
    out.key(std::to_string(code));
    out.open('{');
    out.member("description", code_words(code));
    if (schemas.dialect() == Dialect::v3) {
      write_content(out, schemas, operation.produces, operation.answer);
    } else {
      out.key("schema");
      write_answer_schema(out, schemas, operation.answer);
    }
    out.close('}');
  }
  out.key("401");
  out.open('{');
  out.member("description", "Unauthorized");
  out.close('}');
  out.close('}');
}

void write_operation(JsonWriter& out, const Schemas& schemas, const Operation& operation) {
  const bool is_v2 = schemas.dialect() == Dialect::v2;
  out.key(operation.method);
  out.open('{');
  if (!is_v2) out.member_list("tags", std::initializer_list<std::string_view>{operation.tag});
  out.member("description", operation.description);
  if (is_v2) {
    if (!operation.consumes.empty()) out.member_list("consumes", operation.consumes);
    out.member_list("produces", operation.produces);
    out.member_list("schemes", std::initializer_list<std::string_view>{"https"});
    out.member_list("tags", std::initializer_list<std::string_view>{operation.tag});
  }
  out.member("operationId", operation.id);
  write_parameters(out, schemas, operation.parameters, operation.body, operation.is_body_required);
  if (!is_v2 && !operation.body.empty()) {
    out.key("requestBody");
    out.open('{');
    write_content(out, schemas, operation.consumes, operation.body);
    if (operation.is_body_required) out.member_raw("required", "true");
    out.close('}');
  }
  write_responses(out, schemas, operation);
  if (!operation.action.empty()) {
    out.member("x-kubernetes-action", operation.action);
    out.key("x-kubernetes-group-version-kind");
    out.open('{');
    out.member("group", operation.version.group);
    out.member("kind", operation.kind);
    out.member("version", operation.version.version);
    out.close('}');
  }
  out.close('}');
}

constexpr std::string_view method_order[] = {"get", "put", "post", "delete", "options", "head", "patch"};

}  // namespace

// What every operation takes stands once, at the path.
static void lift_common(std::vector<Operation>& operations, std::vector<Parameter>& parameters) {
  const std::vector<Parameter> candidates =
      operations.empty() ? std::vector<Parameter>() : operations[0].parameters;
  for (const auto& candidate : candidates) {
    auto position = [&](Operation& one) {
      return std::find_if(one.parameters.begin(), one.parameters.end(), [&](const Parameter& p) {
        return p.name == candidate.name && p.place == candidate.place;
      });
    };
    if (!std::all_of(operations.begin(), operations.end(),
                     [&](Operation& one) { return position(one) != one.parameters.end(); }))
      continue;
    for (auto& one : operations) one.parameters.erase(position(one));
    parameters.push_back(candidate);
  }
  std::stable_sort(parameters.begin(), parameters.end(), [](auto& a, auto& b) { return a.name < b.name; });
}

std::string path_item(const Schemas& schemas, std::vector<Operation> operations,
                      std::vector<Parameter> parameters) {
  lift_common(operations, parameters);
  JsonWriter out;
  out.open('{');
  for (const auto method : method_order)
    for (const auto& operation : operations)
      if (operation.method == method) write_operation(out, schemas, operation);
  write_parameters(out, schemas, parameters, {}, false);
  out.close('}');
  return out.take();
}

}  // namespace rusternetes::api_server::openapi
