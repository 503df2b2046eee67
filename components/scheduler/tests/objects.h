#pragma once
// Nodes and Pods of few words, and where the default plugins put one.

#include <catch2/catch.hpp>
#include <string>

#include "apimachinery/json.h"
#include "client/object_builder.h"
#include "scheduler/framework.h"

namespace rusternetes::scheduler::testing {

using apimachinery::Document;
using apimachinery::core_v1::Node;
using apimachinery::core_v1::Pod;

// `labels` beside the host name's: R"("zone":"a")".
inline Document labelled_node(const std::string& name, const std::string& labels,
                              const std::string& rest = "", const std::string& cpu = "2") {
  return client::ObjectBuilder::from_json(
      Node::schema_type(), R"({"metadata":{"name":")" + name + R"(","labels":{"kubernetes.io/hostname":")" +
                               name + '"' + (labels.empty() ? "" : "," + labels) +
                               R"(}},"status":{"allocatable":{"cpu":")" + cpu +
                               R"(","memory":"4Gi","pods":"110"}})" + (rest.empty() ? "" : "," + rest) + "}");
}
inline Document node(const std::string& name, const std::string& rest = "", const std::string& cpu = "2") {
  return labelled_node(name, "", rest, cpu);
}

// Its uid is its name.
inline Document pod(const std::string& name, const std::string& spec = R"({"containers":[{"name":"c"}]})",
                    const std::string& labels = "", const std::string& name_space = "default",
                    const std::string& metadata = "") {
  return client::ObjectBuilder::from_json(
      Pod::schema_type(), R"({"metadata":{"name":")" + name + R"(","namespace":")" + name_space +
                              R"(","uid":")" + name + R"(","labels":{)" + labels + "}" +
                              (metadata.empty() ? "" : "," + metadata) + R"(},"spec":)" + spec + "}");
}
// A Pod of one container, with these fields of spec.
inline Document pod_with(const std::string& name, const std::string& fields, const std::string& labels = "",
                         const std::string& name_space = "default") {
  return pod(name, R"({"containers":[{"name":"c"}],)" + fields + "}", labels, name_space);
}
inline Document labelled_pod(const std::string& name, const std::string& labels,
                             const std::string& name_space = "default", const std::string& metadata = "") {
  return pod(name, R"({"containers":[{"name":"c"}]})", labels, name_space, metadata);
}

inline Document name_space(const std::string& name, const std::string& labels) {
  return client::ObjectBuilder::from_json(
      apimachinery::core_v1::Namespace::schema_type(),
      R"({"metadata":{"name":")" + name + R"(","labels":{)" + labels + "}}}");
}

inline Placement place(const Document& document, const Cache& cache) {
  static const auto plugins = default_plugins();
  return place_pod(Pod(&document.root()), cache, plugins, 0);
}
inline std::string message_of(const Document& document, const Cache& cache) {
  return place(document, cache).message;
}

}  // namespace rusternetes::scheduler::testing

using namespace rusternetes;
using namespace rusternetes::scheduler;
using namespace rusternetes::scheduler::testing;
