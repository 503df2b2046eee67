// HorizontalPodAutoscalers in two versions: what kube-apiserver v1.35 answers to the same requests.

#include <fmt/format.h>

#include <future>

#include "server_test_support.h"
#include "storage/store.h"

using rusternetes::api_server::testing::Answer;
using rusternetes::api_server::testing::TestServer;

namespace {

const std::string v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const std::string v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const std::string merge_patch = "application/merge-patch+json";
const std::string strategic_patch = "application/strategic-merge-patch+json";
const std::string json_patch = "application/json-patch+json";

const std::string target = R"("scaleTargetRef":{"kind":"Deployment","name":"x","apiVersion":"apps/v1"})";
const std::string no_status_v1 = R"("status":{"currentReplicas":0,"desiredReplicas":0}})";
const std::string no_status_v2 = R"("status":{"desiredReplicas":0,"currentMetrics":null}})";

std::string cpu(int percentage) {
  return fmt::format(R"({{"type":"Resource","resource":{{"name":"cpu","target":{{"type":"Utilization","averageUtilization":{}}}}}}})", percentage);
}

std::string object(std::string_view name, std::string_view spec, std::string_view annotations = "") {
  return fmt::format(R"({{"metadata":{{"name":"{}"{}}},"spec":{{{}{}}}}})", name,
                     annotations.empty() ? std::string() : fmt::format(R"(,"annotations":{{{}}})", annotations), target, spec);
}

// Of a body: annotations if there are some, spec and status.
std::string content(const Answer& answer) {
  const std::string& body = answer.body;
  const auto spec = body.find("\"spec\":"), annotations = body.find("\"annotations\":{");
  if (spec == std::string::npos) return body;
  std::string out;
  if (annotations < spec) out = body.substr(annotations, std::min(body.find(",\"managedFields\""), spec - 2) - annotations) + " ";
  out += body.substr(spec);
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

// What is sent to version 2: a metric of every source, and both directions of behavior.
const std::string other_metrics =
    R"({"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"512Mi"}}},)"
    R"({"type":"Resource","resource":{"name":"cpu","target":{"type":"AverageValue","averageValue":"1500m"}}},)"
    R"({"type":"Pods","pods":{"metric":{"name":"pps","selector":{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"In","values":["\u003cv\u003e"]}]}},"target":{"type":"AverageValue","averageValue":"1k"}}},)"
    R"({"type":"Object","object":{"describedObject":{"kind":"Ingress","name":"i","apiVersion":"networking.k8s.io/v1"},"target":{"type":"Value","value":"10k"},"metric":{"name":"rps"}}},)"
    R"({"type":"External","external":{"metric":{"name":"q","selector":{"matchLabels":{"q":"w"}}},"target":{"type":"AverageValue","averageValue":"30"}}},)"
    R"({"type":"External","external":{"metric":{"name":"q2"},"target":{"type":"Value","value":"2500m"}}},)"
    R"({"type":"ContainerResource","containerResource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70},"container":"app"}},)"
    R"({"type":"ContainerResource","containerResource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"},"container":"app"}})";
const std::string behavior_sent =
    R"("behavior":{"scaleUp":{"stabilizationWindowSeconds":5,"policies":[{"type":"Pods","value":2,"periodSeconds":30}],"tolerance":"50m"},"scaleDown":{"selectPolicy":"Disabled"}})";
const std::string behavior =
    R"("behavior":{"scaleUp":{"stabilizationWindowSeconds":5,"selectPolicy":"Max","policies":[{"type":"Pods","value":2,"periodSeconds":30}],"tolerance":"50m"},)"
    R"("scaleDown":{"selectPolicy":"Disabled","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}})";
// How the annotations of version 1 say it.
const std::string behavior_annotation =
    R"x("autoscaling.alpha.kubernetes.io/behavior":"{\"ScaleUp\":{\"StabilizationWindowSeconds\":5,\"SelectPolicy\":\"Max\",\"Policies\":[{\"Type\":\"Pods\",\"Value\":2,\"PeriodSeconds\":30}],\"Tolerance\":\"50m\"},)x"
    R"x(\"ScaleDown\":{\"StabilizationWindowSeconds\":null,\"SelectPolicy\":\"Disabled\",\"Policies\":[{\"Type\":\"Percent\",\"Value\":100,\"PeriodSeconds\":15}],\"Tolerance\":null}}")x";
const std::string metrics_annotation =
    R"x("autoscaling.alpha.kubernetes.io/metrics":"[{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"targetAverageValue\":\"512Mi\"}},)x"
    R"x({\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"targetAverageValue\":\"1500m\"}},)x"
    R"x({\"type\":\"Pods\",\"pods\":{\"metricName\":\"pps\",\"targetAverageValue\":\"1k\",\"selector\":{\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"In\",\"values\":[\"\\u003cv\\u003e\"]}]}}},)x"
    R"x({\"type\":\"Object\",\"object\":{\"target\":{\"kind\":\"Ingress\",\"name\":\"i\",\"apiVersion\":\"networking.k8s.io/v1\"},\"metricName\":\"rps\",\"targetValue\":\"10k\"}},)x"
    R"x({\"type\":\"External\",\"external\":{\"metricName\":\"q\",\"metricSelector\":{\"matchLabels\":{\"q\":\"w\"}},\"targetAverageValue\":\"30\"}},)x"
    R"x({\"type\":\"External\",\"external\":{\"metricName\":\"q2\",\"targetValue\":\"2500m\"}},)x"
    R"x({\"type\":\"ContainerResource\",\"containerResource\":{\"name\":\"cpu\",\"targetAverageUtilization\":70,\"container\":\"app\"}},)x"
    R"x({\"type\":\"ContainerResource\",\"containerResource\":{\"name\":\"memory\",\"targetAverageValue\":\"1Gi\",\"container\":\"app\"}}]")x";

const std::string status =
    R"("status":{"observedGeneration":7,"lastScaleTime":"2026-11-20T00:00:00Z","currentReplicas":2,"desiredReplicas":3,"currentMetrics":[)"
    R"({"type":"Resource","resource":{"name":"cpu","current":{"averageValue":"110m","averageUtilization":55}}},)"
    R"({"type":"Pods","pods":{"metric":{"name":"pps"},"current":{"averageValue":"700"}}},)"
    R"({"type":"Object","object":{"metric":{"name":"rps"},"current":{"value":"9k"},"describedObject":{"kind":"Ingress","name":"i"}}},)"
    R"({"type":"External","external":{"metric":{"name":"q"},"current":{"value":"20","averageValue":"10"}}},)"
    R"({"type":"ContainerResource","containerResource":{"name":"cpu","current":{"averageValue":"88m","averageUtilization":44},"container":"app"}}],)"
    R"("conditions":[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-11-20T00:00:00Z","reason":"R","message":"a \u003cb\u003e"},{"type":"ScalingActive","status":"False","lastTransitionTime":null}]})";
const std::string status_annotations =
    R"x("autoscaling.alpha.kubernetes.io/conditions":"[{\"type\":\"AbleToScale\",\"status\":\"True\",\"lastTransitionTime\":\"2026-11-20T00:00:00Z\",\"reason\":\"R\",\"message\":\"a \\u003cb\\u003e\"},)x"
    R"x({\"type\":\"ScalingActive\",\"status\":\"False\",\"lastTransitionTime\":null}]",)x"
    R"x("autoscaling.alpha.kubernetes.io/current-metrics":"[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"currentAverageUtilization\":55,\"currentAverageValue\":\"110m\"}},)x"
    R"x({\"type\":\"Pods\",\"pods\":{\"metricName\":\"pps\",\"currentAverageValue\":\"700\"}},)x"
    R"x({\"type\":\"Object\",\"object\":{\"target\":{\"kind\":\"Ingress\",\"name\":\"i\"},\"metricName\":\"rps\",\"currentValue\":\"9k\"}},)x"
    R"x({\"type\":\"External\",\"external\":{\"metricName\":\"q\",\"currentValue\":\"20\",\"currentAverageValue\":\"10\"}},)x"
    R"x({\"type\":\"ContainerResource\",\"containerResource\":{\"name\":\"cpu\",\"currentAverageUtilization\":44,\"currentAverageValue\":\"88m\",\"container\":\"app\"}}]")x";

void create_with_everything(TestServer& server) {
  const std::string spec = R"(,"minReplicas":2,"maxReplicas":5,"metrics":[)" + cpu(60) + "," + other_metrics + "]," + behavior_sent;
  REQUIRE(server.send("POST", v2, object("all", spec, R"("mine":"x","autoscaling.alpha.kubernetes.io/metrics":"[]")")).code == 201);
}
// Of version 2, as it is served.
std::string everything(std::string_view bounds, std::string_view metrics, std::string_view shown_status) {
  return R"("annotations":{"mine":"x"} "spec":{)" + target + fmt::format(R"(,{},"metrics":[{}],)", bounds, metrics) + behavior + "}," + std::string(shown_status);
}

}  // namespace

TEST_CASE("the CPU target of an autoscaling/v1 autoscaler is a metric of autoscaling/v2") {
  TestServer server;
  const std::string as_v1 = R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"targetCPUUtilizationPercentage":50},)" + no_status_v1;
  const std::string as_v2 = R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"metrics":[)" + cpu(50) + "]}," + no_status_v2;
  CHECK(content(server.send("POST", v1, object("one", R"(,"maxReplicas":3,"targetCPUUtilizationPercentage":50)"))) == as_v1);
  CHECK(content(server.send("GET", v1 + "/one")) == as_v1);
  CHECK(content(server.send("GET", v2 + "/one")) == as_v2);
  // Nothing was held back in memory only.
  server.restart();
  CHECK(content(server.send("GET", v2 + "/one")) == as_v2);
  const Answer yaml = server.send("GET", v2 + "/one", "", "", "admin-token", "application/yaml");
  CHECK(yaml.body.find("  metrics:\n  - resource:\n      name: cpu\n      target:\n        averageUtilization: 50\n        type: Utilization\n    type: Resource\n") != std::string::npos);
}

TEST_CASE("an autoscaler without metrics is given 80 percent of CPU in either version") {
  TestServer server;
  REQUIRE(server.send("POST", v1, object("one", R"(,"maxReplicas":3)")).code == 201);
  REQUIRE(server.send("POST", v2, object("two", R"(,"maxReplicas":3,"metrics":[])")).code == 201);
  for (const std::string name : {"/one", "/two"}) {
    CHECK(content(server.send("GET", v1 + name)) == R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"targetCPUUtilizationPercentage":80},)" + no_status_v1);
    CHECK(content(server.send("GET", v2 + name)) == R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"metrics":[)" + cpu(80) + "]}," + no_status_v2);
  }
  // But not beside other metrics.
  REQUIRE(server.send("POST", v2, object("three", R"(,"maxReplicas":3,"metrics":[{"type":"External","external":{"metric":{"name":"q"},"target":{"type":"Value","value":"1"}}}])")).code == 201);
  CHECK(server.send("GET", v1 + "/three").body.find("targetCPUUtilizationPercentage\":") == std::string::npos);
  CHECK(server.send("PATCH", v1 + "/three", R"({"spec":{"maxReplicas":4}})", merge_patch).code == 200);
  CHECK(server.send("GET", v2 + "/three").body.find("cpu") == std::string::npos);
}

TEST_CASE("a behavior of autoscaling/v2 is filled up where it is said at all") {
  TestServer server;
  REQUIRE(server.send("POST", v2, object("a", R"(,"maxReplicas":3,"behavior":{})")).code == 201);
  CHECK(server.send("GET", v2 + "/a").body.find(
            R"("behavior":{"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}]},)"
            R"("scaleDown":{"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}})") != std::string::npos);
}

TEST_CASE("autoscaling/v1 has in annotations what it has no field for") {
  TestServer server;
  create_with_everything(server);
  CHECK(content(server.send("GET", v2 + "/all")) == everything(R"("minReplicas":2,"maxReplicas":5)", cpu(60) + "," + other_metrics, no_status_v2));
  const std::string spec = R"("spec":{)" + target + R"(,"minReplicas":2,"maxReplicas":5,"targetCPUUtilizationPercentage":60},)";
  const std::string metadata = R"("annotations":{)" + behavior_annotation + "," + metrics_annotation + R"(,"mine":"x"} )";
  CHECK(content(server.send("GET", v1 + "/all")) == metadata + spec + no_status_v1);

  REQUIRE(server.send("PATCH", v2 + "/all/status", "{" + status + "}", merge_patch).code == 200);
  const std::string full = R"("annotations":{)" + behavior_annotation + "," + status_annotations + "," + metrics_annotation + R"(,"mine":"x"} )" + spec +
                           R"("status":{"observedGeneration":7,"lastScaleTime":"2026-11-20T00:00:00Z","currentReplicas":2,"desiredReplicas":3,"currentCPUUtilizationPercentage":55}})";
  CHECK(content(server.send("GET", v1 + "/all")) == full);
  // Lists and watches as well, and the encoded bodies that they share.
  const Answer list = server.send("GET", v1);
  CHECK(list.body.find(status_annotations) != std::string::npos);
  CHECK(list.body.find(spec) != std::string::npos);
  CHECK(list.body.find("\"metrics\":[") == std::string::npos);
  const std::string events = server.read_until(v1 + "?watch=1&timeoutSeconds=5", "ADDED");
  CHECK(events.find(metrics_annotation) != std::string::npos);
  CHECK(events.find(spec) != std::string::npos);
  // And version 2 never shows them.
  CHECK(server.send("GET", v2).body.find("alpha") == std::string::npos);
}

TEST_CASE("who writes through autoscaling/v1 loses nothing of autoscaling/v2") {
  TestServer server;
  create_with_everything(server);
  REQUIRE(server.send("PATCH", v2 + "/all/status", "{" + status + "}", merge_patch).code == 200);
  const auto get = [&] { return content(server.send("GET", v2 + "/all")); };
  // The CPU target comes last when version 1 has written.
  REQUIRE(server.send("PATCH", v1 + "/all", R"({"spec":{"maxReplicas":9}})", merge_patch).code == 200);
  CHECK(get() == everything(R"("minReplicas":2,"maxReplicas":9)", other_metrics + "," + cpu(60), status + "}"));
  REQUIRE(server.send("PATCH", v1 + "/all", R"({"spec":{"targetCPUUtilizationPercentage":33}})", strategic_patch).code == 200);
  CHECK(get() == everything(R"("minReplicas":2,"maxReplicas":9)", other_metrics + "," + cpu(33), status + "}"));
  REQUIRE(server.send("PATCH", v1 + "/all", R"([{"op":"remove","path":"/spec/targetCPUUtilizationPercentage"}])", json_patch).code == 200);
  CHECK(get() == everything(R"("minReplicas":2,"maxReplicas":9)", other_metrics, status + "}"));
  // What was read, written back.
  REQUIRE(server.send("PUT", v1 + "/all", server.send("GET", v1 + "/all").body).code == 200);
  CHECK(get() == everything(R"("minReplicas":2,"maxReplicas":9)", other_metrics, status + "}"));
  // Without the annotation the metrics are gone, and a target is needed again.
  REQUIRE(server.send("PATCH", v1 + "/all", R"({"metadata":{"annotations":{"autoscaling.alpha.kubernetes.io/metrics":null}}})", merge_patch).code == 200);
  CHECK(get() == everything(R"("minReplicas":2,"maxReplicas":9)", cpu(80), status + "}"));
}

TEST_CASE("the status of an autoscaler is written through either version, and nothing else with it") {
  TestServer server;
  REQUIRE(server.send("POST", v1, object("one", R"(,"maxReplicas":3,"targetCPUUtilizationPercentage":50)")).code == 201);
  const Answer written = server.send("PATCH", v1 + "/one/status", R"({"spec":{"maxReplicas":8},"status":{"currentReplicas":4,"currentCPUUtilizationPercentage":66}})", merge_patch);
  CHECK(written.code == 200);
  CHECK(content(server.send("GET", v2 + "/one")) ==
        R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"metrics":[)" + cpu(50) +
            R"(]},"status":{"currentReplicas":4,"desiredReplicas":0,"currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":66}}}]}})");
  // The raw value that version 1 always has beside it counts as 0.
  CHECK(content(server.send("GET", v1 + "/one")) ==
        R"x("annotations":{"autoscaling.alpha.kubernetes.io/current-metrics":"[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"currentAverageUtilization\":66,\"currentAverageValue\":\"0\"}}]"} )x"
        R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"targetCPUUtilizationPercentage":50},"status":{"currentReplicas":4,"desiredReplicas":0,"currentCPUUtilizationPercentage":66}})");
  // An update of the object leaves it alone.
  REQUIRE(server.send("PUT", v2 + "/one", object("one", R"(,"maxReplicas":7)")).code == 200);
  CHECK(server.send("GET", v1 + "/one").body.find(R"("currentCPUUtilizationPercentage":66)") != std::string::npos);
}

TEST_CASE("annotations that say nothing sensible count as absent, keys of any case as the field's") {
  TestServer server;
  const auto metrics_of = [&](std::string name, std::string annotations) {
    CHECK(server.send("POST", v1, object(name, R"(,"maxReplicas":3,"targetCPUUtilizationPercentage":50)", annotations)).code == 201);
    const std::string body = content(server.send("GET", v2 + "/" + name));
    CHECK(body.find("annotations") == std::string::npos);
    const auto at = body.find("\"metrics\"");
    return body.substr(at, body.find(",\"status\"") - at);
  };
  const std::string key = R"("autoscaling.alpha.kubernetes.io/metrics":")", behavior_key = R"("autoscaling.alpha.kubernetes.io/behavior":")";
  const std::string plain = R"("metrics":[)" + cpu(50) + "]}";
  CHECK(metrics_of("cut", key + "[{\"," + behavior_key + "nope\"") == plain);
  CHECK(metrics_of("null", key + "null\"," + behavior_key + "null\"") == plain);
  CHECK(metrics_of("empty", key + "[]\"," + behavior_key + "{}\"") == plain);
  CHECK(metrics_of("wrong", key + R"([{\"type\":\"External\",\"external\":{\"metricName\":\"m\",\"targetValue\":\"5x\"}}]",)" + behavior_key + R"({\"ScaleUp\":{\"StabilizationWindowSeconds\":\"1\"}}")") == plain);
  CHECK(metrics_of("reserved", R"("autoscaling.alpha.kubernetes.io/scale-up-tolerance":"1")") == plain);
  CHECK(metrics_of("case", key + R"([{\"TYPE\":\"Resource\",\"Resource\":{\"NAME\":\"memory\",\"targetaverageutilization\":40,\"other\":1}}]",)" + behavior_key + R"({\"scaleUp\":{\"selectPolicy\":\"Min\",\"policies\":[{\"type\":\"Pods\",\"value\":1,\"periodSeconds\":60}]}}")") ==
        R"("metrics":[{"type":"Resource","resource":{"name":"memory","target":{"type":"Utilization","averageUtilization":40}}},)" + cpu(50) +
            R"(],"behavior":{"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Min","policies":[{"type":"Pods","value":1,"periodSeconds":60}]},"scaleDown":{"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}}})");
}

TEST_CASE("an autoscaler that was stored as autoscaling/v1 is read as such") {
  TestServer server;
  rusternetes::storage::PutRequest put;
  put.key = "/registry/horizontalpodautoscalers/default/old";
  put.value = std::make_shared<const std::string>(
      R"({"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1","metadata":{"name":"old","namespace":"default","uid":"u","creationTimestamp":"2026-11-20T00:00:00Z"},"spec":{)" + target + R"(,"maxReplicas":3,"targetCPUUtilizationPercentage":50}})");
  rusternetes::storage::TxnRequest request;
  request.success.emplace_back(std::move(put));
  std::promise<bool> done;
  server.store().txn(std::move(request), [&](rusternetes::Result<rusternetes::storage::TxnResponse> response) { done.set_value(response && response->succeeded); });
  REQUIRE(done.get_future().get());
  CHECK(content(server.send("GET", v2 + "/old")) == R"("spec":{)" + target + R"(,"minReplicas":1,"maxReplicas":3,"metrics":[)" + cpu(50) + "]}," + no_status_v2);
}

TEST_CASE("tables and partial objects are made from the storage version, whichever version is asked for") {
  TestServer server;
  create_with_everything(server);
  const std::string table = "application/json;as=Table;v=v1;g=meta.k8s.io", partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
  const auto get = [&](const std::string& path, const std::string& accept) { return server.send("GET", path, "", "", "admin-token", accept).body; };
  for (const auto& path : {v1 + "/all", v1, v2 + "/all", v2}) {
    const std::string body = get(path, table);
    CHECK(body.find(R"x("Deployment/x","cpu: \u003cunknown\u003e/60%, memory: \u003cunknown\u003e/512Mi + 7 more...","2",5,0,)x") != std::string::npos);
    CHECK(body.find(R"("annotations":{"mine":"x"})") != std::string::npos);
  }
  CHECK(get(v1 + "/all", partial).find(R"("annotations":{"mine":"x"})") != std::string::npos);
  // The whole object is that of the version.
  CHECK(get(v1 + "?includeObject=Object", table).find(metrics_annotation) != std::string::npos);
  CHECK(get(v1 + "/all?includeObject=Object", table).find(R"("object":{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1")") != std::string::npos);
}

TEST_CASE("fields owned through one version are given up by a change through the other") {
  TestServer server;
  REQUIRE(server.send("POST", v1 + "?fieldManager=a", object("one", R"(,"maxReplicas":3,"targetCPUUtilizationPercentage":50)")).code == 201);
  const std::string fields = R"("fieldsV1":{"f:spec":{"f:maxReplicas":{},"f:minReplicas":{},"f:scaleTargetRef":{})";
  CHECK(server.send("GET", v2 + "/one").body.find(fields + R"(,"f:targetCPUUtilizationPercentage":{}}})") != std::string::npos);
  REQUIRE(server.send("PATCH", v2 + "/one?fieldManager=b", R"({"spec":{"metrics":[)" + cpu(60) + "]}}", merge_patch).code == 200);
  const std::string body = server.send("GET", v2 + "/one").body;
  CHECK(body.find(fields + "}}") != std::string::npos);
  CHECK(body.find(R"("fieldsV1":{"f:spec":{"f:metrics":{}}})") != std::string::npos);
}
