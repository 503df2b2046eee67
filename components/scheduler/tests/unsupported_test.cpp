#include "objects.h"

TEST_CASE("what no plugin can judge keeps the Pod waiting, and the message says what it is") {
  Cache cache;
  cache.set_node(node("a"));
  const std::string claims =
      "0/1 nodes are available: 1 scheduling by PersistentVolumeClaims is not supported.";
  CHECK(message_of(pod_with("p", R"("volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}])"),
                   cache) == claims);
  CHECK(
      message_of(pod_with("p", R"("volumes":[{"name":"v","ephemeral":{"volumeClaimTemplate":{"spec":{}}}}])"),
                 cache) == claims);
  CHECK(message_of(pod_with("p", R"("resourceClaims":[{"name":"gpu","resourceClaimName":"gpu"}])"), cache) ==
        "0/1 nodes are available: 1 scheduling by ResourceClaims is not supported.");
  CHECK(place(pod_with("p", R"("volumes":[{"name":"v","emptyDir":{}}])"), cache).node == "a");
}
