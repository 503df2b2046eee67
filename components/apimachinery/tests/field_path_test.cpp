#include "apimachinery/field_path.h"

#include <catch2/catch.hpp>

using rusternetes::apimachinery::FieldPath;

TEST_CASE("a field path is printed as Kubernetes prints it") {
  const FieldPath spec("spec");
  const FieldPath containers = spec.child("containers");
  const FieldPath first = containers.index(0);
  CHECK(spec.to_string() == "spec");
  CHECK(first.to_string() == "spec.containers[0]");
  CHECK(first.child("env").key("na.me").to_string() == "spec.containers[0].env[na.me]");
  CHECK(first.child("securityContext.runAsUser").to_string() ==
        "spec.containers[0].securityContext.runAsUser");
  CHECK(containers.index(-1).index(2).to_string() == "spec.containers[-1][2]");
}

TEST_CASE("the path of nothing has roots as children") {
  const FieldPath nothing;
  CHECK(nothing.to_string() == "<nil>");
  CHECK(nothing.child("key").to_string() == "key");
  CHECK(nothing.key("k").to_string() == "[k]");
}
