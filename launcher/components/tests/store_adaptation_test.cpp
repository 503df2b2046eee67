// What becomes of a cluster's objects in a clone.
#include "launcher/components/store_adaptation.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "apimachinery/registry.h"
#include "stores.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::testing;
namespace json = boost::json;
namespace api = rusternetes::apimachinery;

namespace {

const Adaptation other_range{{"10.96.0.0/16"}, {"10.97.0.0/16"}};

StoredObject object(std::string key, const std::string& text) {
  return {std::move(key), std::make_shared<const std::string>(text)};
}

// As the store has it: protobuf.
StoredObject packed(std::string key, const std::string& text) {
  return object(std::move(key), packed_object(text));
}

StoredObject service(const std::string& name, const std::string& address, const std::string& more = "") {
  return packed(
      "/registry/services/specs/" + name,
      fmt::format(
          R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{}"}},"spec":{{"clusterIP":"{}",
                                 "clusterIPs":["{}"],"ports":[{{"port":80}}]{}}}}})",
          name.substr(name.find('/') + 1), address, address, more));
}

StoredObject address(const std::string& text, const std::string& of) {
  return packed(
      "/registry/ipaddresses/" + text,
      fmt::format(
          R"({{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{{"name":"{}","uid":"u"}},
                                 "spec":{{"parentRef":{{"resource":"services","namespace":"default","name":"{}"}}}}}})",
          text, of));
}

struct Outcome {
  std::map<std::string, json::value> puts;
  std::set<std::string> removals;
  bool has(const std::string& key) const { return removals.contains(key); }
  bool is_untouched(const std::string& key) const { return !puts.contains(key) && !removals.contains(key); }
};

json::value opened(const std::string& bytes) {
  if (!api::has_protobuf_prefix(bytes)) return json::parse(bytes);
  const auto envelope = api::open_protobuf_envelope(bytes);
  REQUIRE(envelope);
  const auto* kind = api::Registry::builtin()->find_kind(envelope->api_version, envelope->kind);
  REQUIRE(kind != nullptr);
  api::Arena arena;
  const auto value = api::decode_protobuf(arena, envelope->raw, *kind->type);
  REQUIRE(value);
  std::string text;
  api::encode_json(text, &*value, *kind->type, {envelope->api_version, envelope->kind, true});
  return json::parse(text);
}

Outcome adapted(const std::vector<StoredObject>& objects, const Adaptation& adaptation = other_range) {
  const auto changes = adapt_objects(objects, adaptation);
  REQUIRE(changes);
  Outcome out;
  for (const StoredObject& put : changes->puts) {
    CHECK_FALSE(out.puts.contains(put.key));
    out.puts[put.key] = opened(*put.value);
  }
  for (const std::string& key : changes->removals) {
    CHECK(out.removals.insert(key).second);
    CHECK_FALSE(out.puts.contains(key));
  }
  return out;
}

std::string ip_of(const Outcome& outcome, const std::string& name) {
  const json::value& spec = outcome.puts.at("/registry/services/specs/" + name).at("spec");
  CHECK(spec.at("clusterIPs").at(0) == spec.at("clusterIP"));
  return std::string(spec.at("clusterIP").as_string());
}

}  // namespace

TEST_CASE("a Service keeps its place within the range, and its IPAddress goes with it") {
  const auto outcome = adapted({service("default/web", "10.96.146.115"), address("10.96.146.115", "web")});
  CHECK(ip_of(outcome, "default/web") == "10.97.146.115");
  CHECK(outcome.has("/registry/ipaddresses/10.96.146.115"));
  const auto& moved = outcome.puts.at("/registry/ipaddresses/10.97.146.115");
  CHECK(moved.at("metadata").at("name") == "10.97.146.115");
  CHECK(moved.at("spec").at("parentRef").at("name") == "web");
}

TEST_CASE("in the same range Services and their IPAddresses stay as they are") {
  const auto outcome = adapted({service("default/web", "10.96.3.4"), address("10.96.3.4", "web")},
                               {{"10.96.0.0/16"}, {"10.96.0.0/16"}});
  CHECK(outcome.is_untouched("/registry/services/specs/default/web"));
  CHECK(outcome.is_untouched("/registry/ipaddresses/10.96.3.4"));
}

TEST_CASE("ranges that overlap do not mix up who has which address") {
  // 10.96.1.4 moves to 10.96.0.4, where another one was.
  const auto outcome = adapted({service("default/a", "10.96.1.4"), service("default/b", "10.96.0.4"),
                                address("10.96.1.4", "a"), address("10.96.0.4", "b")},
                               {{"10.96.1.0/24"}, {"10.96.0.0/24"}});
  CHECK(ip_of(outcome, "default/a") == "10.96.0.4");
  const std::string b = ip_of(outcome, "default/b");
  CHECK(b != "10.96.0.4");
  CHECK(outcome.puts.at("/registry/ipaddresses/10.96.0.4").at("spec").at("parentRef").at("name") == "a");
  CHECK(outcome.puts.at("/registry/ipaddresses/" + b).at("spec").at("parentRef").at("name") == "b");
  CHECK(outcome.has("/registry/ipaddresses/10.96.1.4"));
}

TEST_CASE("an address of an added range, or beyond a smaller one, becomes a free one") {
  const auto outcome = adapted({service("default/near", "10.96.0.2"), service("default/far", "10.96.200.200"),
                                service("default/added", "192.168.7.7")},
                               {{"10.96.0.0/16"}, {"10.97.0.0/24"}});
  CHECK(ip_of(outcome, "default/near") == "10.97.0.2");
  const std::set<std::string> free{ip_of(outcome, "default/far"), ip_of(outcome, "default/added")};
  // Neither the range's ends, nor those of kubernetes and kube-dns.
  CHECK(free == std::set<std::string>{"10.97.0.3", "10.97.0.4"});
}

TEST_CASE("a range without room is told by the address that has none") {
  const auto changes = adapt_objects({service("default/a", "10.96.0.2"), service("default/b", "10.96.0.3"),
                                      service("default/c", "10.96.0.4"), service("default/d", "10.96.0.5")},
                                     {{"10.96.0.0/16"}, {"10.97.0.0/29"}});
  // Of eight, two ends and the cluster's own two are not to be had.
  REQUIRE(changes);
  const auto full = adapt_objects({service("default/a", "10.96.0.2"), service("default/b", "10.96.0.3"),
                                   service("default/c", "10.96.0.4"), service("default/d", "10.96.0.5"),
                                   service("default/e", "10.96.0.6")},
                                  {{"10.96.0.0/16"}, {"10.97.0.0/29"}});
  REQUIRE_FALSE(full);
  CHECK(full.error().is("PoolExhausted"));
}

TEST_CASE("headless and external Services stay, and what a load balancer said goes") {
  const auto outcome = adapted(
      {service("default/headless", "None"),
       packed(
           "/registry/services/specs/default/out",
           R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"out"},"spec":{"type":"ExternalName","externalName":"x.y"}})"),
       packed(
           "/registry/services/specs/default/lb",
           R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"lb"},"spec":{"type":"LoadBalancer","clusterIP":"10.96.0.9",
                 "clusterIPs":["10.96.0.9"],"ports":[{"port":80,"nodePort":30080}]},
                 "status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.7"}]}}})")});
  CHECK(outcome.is_untouched("/registry/services/specs/default/headless"));
  CHECK(outcome.is_untouched("/registry/services/specs/default/out"));
  const auto& lb = outcome.puts.at("/registry/services/specs/default/lb");
  CHECK(lb.at("spec").at("ports").at(0).at("nodePort") == 30080);
  CHECK(json::serialize(lb).find("198.51.100.7") == std::string::npos);
}

TEST_CASE("the cluster's own Services go with their addresses and endpoints") {
  const auto outcome =
      adapted({service("default/kubernetes", "10.96.0.1"), address("10.96.0.1", "kubernetes"),
               service("kube-system/kube-dns", "10.96.0.10"), address("10.96.0.10", "kube-dns"),
               object("/registry/services/endpoints/default/kubernetes", "")});
  CHECK(outcome.puts.empty());
  CHECK(outcome.removals.size() == 5);
}

TEST_CASE("endpoints that a controller writes go, those that people wrote stay") {
  const auto slice = [](const std::string& name, const std::string& labels) {
    return packed(
        "/registry/endpointslices/default/" + name,
        fmt::format(
            R"({{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"name":"{}","labels":{{{}}}}},
                                   "addressType":"IPv4","endpoints":[]}})",
            name, labels));
  };
  const auto outcome = adapted(
      {service("default/web", "10.96.0.2", R"(,"selector":{"app":"web"})"),
       service("default/own", "10.96.0.3"), object("/registry/services/endpoints/default/web", ""),
       object("/registry/services/endpoints/default/own", ""),
       slice("web-1", R"("endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io")"),
       slice("own-1",
             R"("endpointslice.kubernetes.io/managed-by":"endpointslicemirroring-controller.k8s.io")"),
       slice("kubernetes", R"("kubernetes.io/service-name":"kubernetes")"),
       slice("hand-made", R"("kubernetes.io/service-name":"own")")});
  CHECK(outcome.has("/registry/services/endpoints/default/web"));
  CHECK(outcome.is_untouched("/registry/services/endpoints/default/own"));
  for (const char* name : {"web-1", "own-1", "kubernetes"})
    CHECK(outcome.has(std::string("/registry/endpointslices/default/") + name));
  CHECK(outcome.is_untouched("/registry/endpointslices/default/hand-made"));
}

TEST_CASE("a bare Pod is to be scheduled anew, and others are left to their controllers") {
  const auto pod = [](const std::string& name, const std::string& metadata, const std::string& phase) {
    return packed(
        "/registry/pods/default/" + name,
        fmt::format(
            R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","uid":"old","labels":{{"a":"b"}}{}}},
                                   "spec":{{"nodeName":"a","containers":[{{"name":"main","image":"i"}}],
                                            "ephemeralContainers":[{{"name":"debug","image":"i"}}]}},
                                   "status":{{"phase":"{}","qosClass":"BestEffort","podIP":"10.244.0.5"}}}})",
            name, metadata, phase));
  };
  const std::string owner =
      R"(,"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u","controller":true}])";
  const std::string plain_owner =
      R"(,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"r","uid":"u"}])";
  const auto outcome =
      adapted({pod("bare", "", "Running"), pod("owned", plain_owner, "Running"),
               pod("made", owner, "Running"), pod("done", "", "Succeeded"), pod("failed", "", "Failed"),
               pod("going", R"(,"deletionTimestamp":"2026-11-22T08:00:00Z")", "Running"),
               pod("mirror", R"(,"annotations":{"kubernetes.io/config.mirror":"x"})", "Running")});
  for (const char* name : {"made", "done", "failed", "going", "mirror"})
    CHECK(outcome.has(std::string("/registry/pods/default/") + name));
  CHECK(outcome.puts.contains("/registry/pods/default/owned"));
  const auto& bare = outcome.puts.at("/registry/pods/default/bare");
  CHECK(bare.at("metadata").at("uid") != "old");
  CHECK(bare.at("metadata").at("labels").at("a") == "b");
  CHECK_FALSE(bare.at("spec").as_object().contains("nodeName"));
  CHECK_FALSE(bare.at("spec").as_object().contains("ephemeralContainers"));
  CHECK(bare.at("status") == json::parse(R"({"phase":"Pending","qosClass":"BestEffort"})"));
}

TEST_CASE("a node keeps what people gave it and nothing of where it was") {
  const auto outcome =
      adapted({packed("/registry/minions/a",
                      R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"a","labels":{"team":"x"}},
          "spec":{"podCIDR":"10.244.0.0/24","podCIDRs":["10.244.0.0/24"],"providerID":"p","unschedulable":true,
                  "taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoExecute"},{"key":"own","effect":"NoSchedule"}]},
          "status":{"addresses":[{"type":"InternalIP","address":"10.213.0.2"}]}})")});
  const auto& node = outcome.puts.at("/registry/minions/a");
  CHECK(node.at("metadata").at("labels").at("team") == "x");
  CHECK(node.at("spec") ==
        json::parse(R"({"unschedulable":true,"taints":[{"key":"own","effect":"NoSchedule"}]})"));
  CHECK(json::serialize(node).find("10.213.0.2") == std::string::npos);
}

TEST_CASE("leases, events and what else is true of the running cluster only go") {
  std::vector<StoredObject> objects;
  for (const char* key :
       {"/registry/leases/kube-node-lease/a", "/registry/events/default/e",
        "/registry/masterleases/10.213.0.2", "/registry/servicecidrs/kubernetes",
        "/registry/servicecidrs/more", "/registry/ranges/serviceips", "/registry/csinodes/a",
        "/registry/volumeattachments/v", "/registry/certificatesigningrequests/c",
        "/registry/configmaps/default/kube-root-ca.crt"})
    objects.push_back({key, nullptr});
  const std::size_t gone = objects.size();
  objects.push_back({"/registry/configmaps/default/mine", nullptr});
  objects.push_back({"/registry/configmaps/default/not-kube-root-ca.crt", nullptr});
  const auto outcome = adapted(objects);
  CHECK(outcome.removals.size() == gone);
  CHECK(outcome.puts.empty());
}

TEST_CASE("an object in JSON goes back as JSON, and one that cannot be read is told by its key") {
  const auto json_service = object(
      "/registry/services/specs/default/web",
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.2","clusterIPs":["10.96.0.2"]}})");
  const auto changes = adapt_objects({json_service}, other_range);
  REQUIRE(changes);
  REQUIRE(changes->puts.size() == 1);
  CHECK(changes->puts[0].value->front() == '{');
  CHECK(opened(*changes->puts[0].value).at("spec").at("clusterIP") == "10.97.0.2");
  for (const char* text : {"", "garbage", "{}", R"({"apiVersion":"v9","kind":"Service"})"}) {
    const auto bad = adapt_objects({object("/registry/services/specs/default/bad", text)}, other_range);
    REQUIRE_FALSE(bad);
    CHECK(bad.error().is("StoreDamaged"));
    CHECK(bad.error().message.find("default/bad") != std::string::npos);
  }
}

TEST_CASE("IPv6 ranges are moved as IPv4 ones are") {
  const auto outcome =
      adapted({service("default/web", "fd00:10:96::1a")}, {{"fd00:10:96::/112"}, {"fd00:10:97::/112"}});
  CHECK(ip_of(outcome, "default/web") == "fd00:10:97::1a");
}
