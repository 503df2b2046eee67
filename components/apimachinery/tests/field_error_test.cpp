#include "apimachinery/field_error.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::apimachinery;

TEST_CASE("field errors read as Kubernetes'") {
  const FieldPath p("f");
  const std::pair<FieldError, const char*> cases[] = {
      {field::required(p), "Required value"},
      {field::required(p, "why"), "Required value: why"},
      {field::invalid(p, "x\"y\n", "bad"), "Invalid value: \"x\\\"y\\n\": bad"},
      {field::invalid(p, "", "bad"), "Invalid value: \"\": bad"},
      {field::invalid(p, std::int64_t{-5}, "bad"), "Invalid value: -5: bad"},
      {field::invalid(p, false, "bad"), "Invalid value: false: bad"},
      {field::invalid(p, 0.5, "bad"), "Invalid value: 0.5: bad"},
      {field::invalid(p, 1e6, "bad"), "Invalid value: 1e+06: bad"},
      {field::invalid(p, 0.00001, "bad"), "Invalid value: 1e-05: bad"},
      {field::invalid(p, nullptr, "bad"), "Invalid value: null: bad"},
      {field::invalid(p, BadValue::json("{\"a\":1}"), "bad"), "Invalid value: {\"a\":1}: bad"},
      {field::type_invalid(p, "s", "must be int"), "Invalid value: \"s\": must be int"},
      {field::not_supported(p, "C", {"A", "B"}), "Unsupported value: \"C\": supported values: \"A\", \"B\""},
      {field::not_supported(p, "C", {}), "Unsupported value: \"C\""},
      {field::duplicate(p, "d"), "Duplicate value: \"d\""},
      {field::forbidden(p, "no"), "Forbidden: no"},
      {field::not_found(p, "n"), "Not found: \"n\""},
      {field::too_long(p, 5), "Too long: may not be more than 5 bytes"},
      {field::too_long(p, 1), "Too long: may not be more than 1 byte"},
      {field::too_long(p, -1), "Too long: value is too long"},
      {field::too_many(p, 6, 5), "Too many: 6: must have at most 5 items"},
      {field::too_many(p, -1, 1), "Too many: must have at most 1 item"},
      {field::too_many(p, 3, -1), "Too many: 3: has too many items"},
      {field::internal_error(p, "boom"), "Internal error: boom"}};
  for (const auto& [error, expected] : cases) {
    CHECK(error.body() == expected);
    CHECK(error.message() == "f: " + std::string(expected));
  }
}

TEST_CASE("a list of field errors becomes a Status with a cause each") {
  const FieldPath spec("spec");
  FieldErrorList errors;
  CHECK(errors.to_status("", "Pod", "p").message == "Pod \"p\" is invalid");
  errors.push_back(field::required(spec.child("a"), ""));
  Status status = errors.to_status("", "Pod", "p");
  CHECK(status.code == 422);
  CHECK(status.reason == "Invalid");
  CHECK(status.message == "Pod \"p\" is invalid: spec.a: Required value");

  errors.push_back(field::required(spec.child("a"), ""));
  CHECK(errors.to_status("", "Pod", "p").message == "Pod \"p\" is invalid: spec.a: Required value");

  const std::vector<std::string> messages{"one", "two"};
  FieldErrorList more;
  more.push_invalid(spec.child("b"), "x", messages);
  errors.append(std::move(more));
  status = errors.to_status("apps", "Deployment", "w\"b");
  CHECK(status.message ==
        "Deployment.apps \"w\\\"b\" is invalid: [spec.a: Required value, spec.b: Invalid value: \"x\": one, "
        "spec.b: "
        "Invalid value: \"x\": two]");
  REQUIRE(status.details);
  CHECK(status.details->group == "apps");
  CHECK(status.details->kind == "Deployment");
  CHECK(status.details->name == "w\"b");
  REQUIRE(status.details->causes.size() == 4);
  CHECK(status.details->causes[1].reason == "FieldValueRequired");
  CHECK(status.details->causes[3].reason == "FieldValueInvalid");
  CHECK(status.details->causes[3].field == "spec.b");
  CHECK(status.details->causes[3].message == "Invalid value: \"x\": two");
}

TEST_CASE("every type of field error has Kubernetes' reason") {
  const std::pair<FieldErrorType, const char*> cases[] = {
      {FieldErrorType::not_found, "FieldValueNotFound"},
      {FieldErrorType::required, "FieldValueRequired"},
      {FieldErrorType::duplicate, "FieldValueDuplicate"},
      {FieldErrorType::invalid, "FieldValueInvalid"},
      {FieldErrorType::not_supported, "FieldValueNotSupported"},
      {FieldErrorType::forbidden, "FieldValueForbidden"},
      {FieldErrorType::too_long, "FieldValueTooLong"},
      {FieldErrorType::too_many, "FieldValueTooMany"},
      {FieldErrorType::internal, "InternalError"},
      {FieldErrorType::type_invalid, "FieldValueTypeInvalid"}};
  for (const auto& [type, expected] : cases) CHECK(reason(type) == expected);
}
