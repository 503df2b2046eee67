#pragma once
// NetworkPolicies, Pods and Namespaces of few words.

#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "client/informer.h"
#include "client/object_builder.h"
#include "kube-proxy/network_policy/policy_rules.h"

namespace rusternetes::kube_proxy::testing {

using apimachinery::Document;

// `spec` without its braces: R"("podSelector":{},"ingress":[])".
inline Document policy(const std::string& name, const std::string& spec,
                       const std::string& name_space = "default") {
  return client::ObjectBuilder::from_json(
      apimachinery::networking_v1::NetworkPolicy::schema_type(),
      R"({"metadata":{"name":")" + name + R"(","namespace":")" + name_space + R"("},"spec":{)" + spec + "}}");
}

struct PodWords {
  std::string name, address;
  std::string labels = "";  // R"("app":"web")"
  std::string node = "here";
  std::string name_space = "default";
  std::string ports = "";  // R"({"name":"http","containerPort":8080,"protocol":"TCP"})"
  std::string spec = "";   // R"("hostNetwork":true,)"
  std::string phase = "Running";
};
// Its uid is its name.
inline Document pod(const PodWords& words) {
  return client::ObjectBuilder::from_json(
      apimachinery::core_v1::Pod::schema_type(),
      R"({"metadata":{"name":")" + words.name + R"(","namespace":")" + words.name_space + R"(","uid":")" +
          words.name + R"(","labels":{)" + words.labels + R"(}},"spec":{)" + words.spec + R"("nodeName":")" +
          words.node + R"(","containers":[{"name":"main","ports":[)" + words.ports +
          R"(]}]},"status":{"phase":")" + words.phase + R"(")" +
          (words.address.empty()
               ? ""
               : R"(,"podIP":")" + words.address + R"(","podIPs":[{"ip":")" + words.address + R"("}])") +
          "}}");
}

inline Document name_space(const std::string& name, const std::string& labels = "") {
  return client::ObjectBuilder::from_json(apimachinery::core_v1::Namespace::schema_type(),
                                          R"({"metadata":{"name":")" + name +
                                              R"(","labels":{"kubernetes.io/metadata.name":")" + name + "\"" +
                                              (labels.empty() ? "" : "," + labels) + "}}}");
}

}  // namespace rusternetes::kube_proxy::testing
