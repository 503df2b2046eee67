#pragma once
// Services, Pods and nodes as endpoints see them, plain and in a world with controllers.

#include "apimachinery/api/discovery_v1.h"
#include "workload_world.h"

namespace rusternetes::controller_manager::testing {

using apimachinery::core_v1::Node;
using apimachinery::core_v1::Service;
using apimachinery::discovery_v1::Endpoint;
using apimachinery::discovery_v1::EndpointSlice;
using apimachinery::meta_v1::ObjectMeta;

inline constexpr Resource services{"", "v1", "services"}, endpoints{"", "v1", "endpoints"},
    endpoint_slices{"discovery.k8s.io", "v1", "endpointslices"};

// The Service "web" in "default", with an address unless the spec says otherwise.
inline Document service_of(const std::string& spec, const std::string& labels = "",
                           const std::string& uid = "web-uid", const std::string& annotations = "") {
  const std::string address = spec.find("clusterIP") == spec.npos ? R"("clusterIP":"10.96.0.10",)" : "";
  const std::string families = spec.find("ipFamilies") == spec.npos ? R"("ipFamilies":["IPv4"],)" : "";
  return made(Service::schema_type(), R"({"metadata":{"name":"web","namespace":"default","uid":")" + uid +
                                          R"(","labels":{)" + labels + R"(},"annotations":{)" + annotations +
                                          R"(}},"spec":{"selector":{"app":"web"},)" + address + families +
                                          spec + "}}");
}

// With the address 10.1.x.y of its number, on the node "n1" unless `spec` says otherwise.
inline Document pod_of(const std::string& name, int number, const std::string& spec = "",
                       bool is_ready = true, const std::string& metadata = "") {
  const std::string ip = "10.1." + std::to_string(number / 256) + "." + std::to_string(number % 256);
  const std::string node = spec.find("nodeName") == spec.npos ? R"("nodeName":"n1")" : "";
  return made(Pod::schema_type(), R"({"metadata":{"name":")" + name + R"(","namespace":"default","uid":")" +
                                      name + R"(-uid","labels":{"app":"web"})" + metadata + R"(},"spec":{)" +
                                      node + (node.empty() || spec.empty() ? "" : ",") + spec +
                                      R"(},"status":{"phase":"Running","podIP":")" + ip +
                                      R"(","podIPs":[{"ip":")" + ip +
                                      R"("}],"conditions":[{"type":"Ready","status":")" +
                                      (is_ready ? "True" : "False") + R"("}]}})");
}
inline Document ending_pod(const std::string& name, int number) {
  return pod_of(name, number, "", true, R"(,"deletionTimestamp":"2023-11-14T22:13:20Z")");
}
inline std::string container(const std::string& port, int number) {
  return R"("containers":[{"name":"c","ports":[{"name":")" + port + R"(","containerPort":)" +
         std::to_string(number) + R"(,"protocol":"TCP"}]}])";
}
// Sorted by number.
inline std::string pod_name(int number) { return "p" + std::to_string(10000 + number); }

inline Document node_of(const std::string& name, const std::string& zone, const std::string& cpu = "1") {
  const std::string labels = zone.empty() ? "" : R"("topology.kubernetes.io/zone":")" + zone + "\"";
  return made(Node::schema_type(), R"({"metadata":{"name":")" + name + R"(","labels":{)" + labels +
                                       R"(}},"status":{"allocatable":{"cpu":")" + cpu +
                                       R"("},"conditions":[{"type":"Ready","status":"True"}]}})");
}

// A cluster with the node "n1" and the namespace "default".
class SliceWorld : public ControllerWorld {
 public:
  explicit SliceWorld(std::vector<std::string> controllers, bool at_once = true) : ControllerWorld(std::move(controllers)) {
    create(accounts, "default", R"({"metadata":{"name":"default"}})");
    create(nodes, "", R"({"metadata":{"name":"n1","labels":{"topology.kubernetes.io/zone":"east"}}})");
    if (at_once) start();
  }
  // A Service of that name, port 80 to 8080, with a selector app=NAME unless `spec` is given.
  Document add_service(const std::string& name, const std::string& spec = "",
                       const std::string& metadata = "") {
    return create(
        services, "default",
        R"({"metadata":{"name":")" + name + "\"" + metadata + R"(},"spec":{)" +
            (spec.empty() ? R"("selector":{"app":")" + name + R"("},"ports":[{"port":80,"targetPort":8080}])"
                          : spec) +
            "}}");
  }
  void add_pod(const std::string& name, int number, bool is_ready = true, const std::string& app = "web") {
    create(pods, "default",
           R"({"metadata":{"name":")" + name + R"(","labels":{"app":")" + app +
               R"("}},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"registry.local/c:1"}]}})");
    set_ready(name, is_ready, number);
  }
  void set_ready(const std::string& name, bool is_ready, int number) {
    const std::string ip = "10.1." + std::to_string(number / 256) + "." + std::to_string(number % 256);
    patch(pods, "default", name,
          R"({"status":{"phase":"Running","podIP":")" + ip + R"(","podIPs":[{"ip":")" + ip +
              R"("}],"conditions":[{"type":"Ready","status":")" + (is_ready ? "True" : "False") +
              R"(","lastTransitionTime":"2024-01-01T00:00:00Z"}]}})",
          "status");
  }
  void remove_pod(const std::string& name) {
    client::RemoveOptions now;
    now.grace_period_s = 0;
    REQUIRE(wait(admin().remove(pods, "default", name, now)));
  }

  // How many endpoints of a Service are ready, or are there at all.
  static std::size_t count_endpoints(const Objects& slices, const std::string& service,
                                     bool only_ready = true) {
    std::size_t count = 0;
    for (const auto& [name, slice] : slices) {
      const EndpointSlice view(&slice.root());
      if (view.metadata().labels().get("kubernetes.io/service-name") != service) continue;
      for (const auto endpoint : view.endpoints()) count += !only_ready || endpoint.conditions().ready();
    }
    return count;
  }
  bool has_ready(const std::string& service, std::size_t wanted) {
    return comes(endpoint_slices, "default",
                 [&](const Objects& all) { return count_endpoints(all, service) == wanted; });
  }
};

}  // namespace rusternetes::controller_manager::testing
