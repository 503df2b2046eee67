#include "apimachinery/errors.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::apimachinery;

// Answers of kube-apiserver v1.35, compacted.
TEST_CASE("errors print as kube-apiserver prints them") {
  CHECK(
      status_json(not_found({"apps", "deployments"}, "web")) ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"web\" not found","reason":"NotFound","details":{"name":"web","group":"apps","kind":"deployments"},"code":404})");
  CHECK(
      status_json(unauthorized()) ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401})");
  CHECK(
      status_json(path_not_found()) ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404})");
  CHECK(
      status_json(forbidden({"", "pods"}, "x",
                            "User \"system:anonymous\" cannot get resource \"pods\" in API group \"\" in the "
                            "namespace \"default\"")) ==
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"x\" is forbidden: User \"system:anonymous\" cannot get resource \"pods\" in API group \"\" in the namespace \"default\"","reason":"Forbidden","details":{"name":"x","kind":"pods"},"code":403})");
}

TEST_CASE("each reason has its code and its words") {
  struct Row {
    Status status;
    int code;
    std::string_view reason, message;
  };
  const Row rows[] = {
      {already_exists({"", "pods"}, "a"), 409, "AlreadyExists", "pods \"a\" already exists"},
      {stale_update({"", "pods"}, "a"), 409, "Conflict",
       "Operation cannot be fulfilled on pods \"a\": the object has been modified; please apply your changes "
       "to the "
       "latest version and try again"},
      {invalid("apps", "Deployment", "web", {}, ""), 422, "Invalid", "Deployment.apps \"web\" is invalid"},
      {invalid("", "Pod", "", {}, "spec: Required value"), 422, "Invalid",
       "Pod \"\" is invalid: spec: Required value"},
      {forbidden({"", "pods"}, "", "no"), 403, "Forbidden", "pods is forbidden: no"},
      {forbidden({}, "", "no"), 403, "Forbidden", "forbidden: no"},
      {method_not_supported({"apps", "deployments"}, "patch"), 405, "MethodNotAllowed",
       "patch is not supported on resources of kind \"deployments.apps\""},
      {not_acceptable("application/json, application/yaml"), 406, "NotAcceptable",
       "only the following media types are accepted: application/json, application/yaml"},
      {unsupported_media_type("application/json"), 415, "UnsupportedMediaType",
       "the body of the request was in an unknown format - accepted media types include: application/json"},
      {expired("too old"), 410, "Expired", "too old"},
      {gone("left"), 410, "Gone", "left"},
      {too_many_requests("slow down", 1), 429, "TooManyRequests", "slow down"},
      {timeout("late", 0), 504, "Timeout", "Timeout: late"},
      {server_timeout({"", "pods"}, "list", 2), 500, "ServerTimeout",
       "The list operation against pods could not be completed at this time, please try again."},
      {too_large("limit is 3145728"), 413, "RequestEntityTooLarge",
       "Request entity too large: limit is 3145728"},
      {service_unavailable("closed"), 503, "ServiceUnavailable", "closed"},
      {bad_request("bad"), 400, "BadRequest", "bad"},
  };
  for (const auto& row : rows) {
    CHECK(row.status.code == row.code);
    CHECK(row.status.reason == row.reason);
    CHECK(row.status.message == row.message);
  }
  CHECK(rows[13].status.details->name == "list");
  CHECK(rows[13].status.details->retry_after_seconds == 2);
}

TEST_CASE("a Status reads back as it was sent") {
  const Status sent =
      invalid("apps", "Deployment", "web",
              {{"FieldValueRequired", "Required value", "spec.selector"}, {"x", "y", ""}}, "many");
  const Status got = status_from_json(status_json(sent), 422);
  CHECK(got.code == 422);
  CHECK(got.reason == "Invalid");
  CHECK(got.message == sent.message);
  REQUIRE(got.details);
  CHECK(got.details->kind == "Deployment");
  CHECK(got.details->group == "apps");
  REQUIRE(got.details->causes.size() == 2);
  CHECK(got.details->causes[0].field == "spec.selector");
  CHECK(got.details->causes[1].message == "y");
  CHECK(status_json(got) == status_json(sent));
}

TEST_CASE("an answer that is no Status gets a reason from its code") {
  const Status page = status_from_json("404 page not found\n", 404);
  CHECK(page.reason == "NotFound");
  CHECK(page.message == "the server could not find the requested resource");
  CHECK(page.details->causes.at(0).message == "404 page not found");
  CHECK(
      status_from_json(R"({"kind":"Pod","apiVersion":"v1"})", 500).message ==
      R"(an error on the server ("{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}") has prevented the request from succeeding)");
  CHECK(status_from_json("", 418).message ==
        "the server responded with the status code 418 but did not return more information");
  // A Status without a code takes that of the answer.
  CHECK(status_from_json(R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Gone"})", 410)
            .code == 410);
}
