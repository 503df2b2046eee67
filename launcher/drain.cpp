#include "launcher/drain.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <thread>

#include "launcher/api_request.h"
#include "launcher/failure.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

// From one look at the node's Pods to the next.
constexpr milliseconds look_pause{500};

struct Pod {
  std::string name_space, name;
  bool is_bare = false;      // nothing would make it again
  bool stays = false;        // of a DaemonSet, or the node's own
  bool is_leaving = false;   // evicted already
  std::string path() const { return fmt::format("/api/v1/namespaces/{}/pods/{}", name_space, name); }
};

// What an answer that is no success says.
Status refusal(const HttpResponse& answer, const std::string& what) {
  boost::system::error_code error;
  const json::value status = json::parse(answer.body, error);
  const std::string said = error ? std::string() : text_at(status, "/message");
  return failure("StepFailed", fmt::format("{}: the api-server answered {}{}{}", what, answer.status,
                                           said.empty() ? "" : ": ", said));
}

Result<HttpResponse> ask(const StepContext& context, const char* method, std::string path, std::string body = {},
                         std::string content_type = "application/json") {
  RN_TRY(HttpRequest request, request_as(context, "admin", std::move(path)));
  request.method = method;
  request.body = std::move(body);
  request.content_type = std::move(content_type);
  return context.environment.http.send(request);
}

Pod pod_of(const json::value& item) {
  Pod pod{.name_space = text_at(item, "/metadata/namespace"), .name = text_at(item, "/metadata/name")};
  pod.is_leaving = !text_at(item, "/metadata/deletionTimestamp").empty();
  boost::system::error_code error;
  const json::value* annotations = item.find_pointer("/metadata/annotations", error);
  const bool is_mirror = annotations != nullptr && annotations->is_object() &&
                         annotations->get_object().contains("kubernetes.io/config.mirror");
  std::string controller;
  const json::value* owners = item.find_pointer("/metadata/ownerReferences", error);
  if (owners != nullptr && owners->is_array())
    for (const json::value& owner : owners->get_array())
      if (const auto* is = owner.as_object().if_contains("controller"); is != nullptr && *is == true)
        controller = text_at(owner, "/kind");
  pod.stays = is_mirror || controller == "DaemonSet";
  pod.is_bare = controller.empty() && !is_mirror;
  return pod;
}

Result<std::vector<Pod>> pods_of(const StepContext& context, const std::string& node) {
  RN_TRY(const HttpResponse answer, ask(context, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3D" + node));
  if (answer.status != 200) return refusal(answer, "listing the Pods of " + node);
  std::vector<Pod> out;
  boost::system::error_code error;
  const json::value list = json::parse(answer.body, error);
  const json::value* items = error ? nullptr : list.find_pointer("/items", error);
  if (items != nullptr && items->is_array())
    for (const json::value& item : items->get_array()) out.push_back(pod_of(item));
  return out;
}

// Empty when it is on its way out; else why it is not.
Result<std::string> evict(const StepContext& context, const Pod& pod) {
  const std::string body = json::serialize(
      json::object{{"apiVersion", "policy/v1"},
                   {"kind", "Eviction"},
                   {"metadata", json::object{{"name", pod.name}, {"namespace", pod.name_space}}}});
  RN_TRY(const HttpResponse answer, ask(context, "POST", pod.path() + "/eviction", body));
  if (answer.status == 201 || answer.status == 200 || answer.status == 404) return std::string();
  const Status why = refusal(answer, "evicting " + pod.name);
  if (answer.status == 429) return why.message;  // a PodDisruptionBudget: asked again
  return why;
}

}  // namespace

Result<std::vector<std::string>> bare_pods(const StepContext& context, const std::string& node) {
  RN_TRY(const auto pods, pods_of(context, node));
  std::vector<std::string> out;
  for (const Pod& pod : pods)
    if (pod.is_bare && !pod.is_leaving) out.push_back(pod.name_space + "/" + pod.name);
  return out;
}

Result<> set_schedulable(const StepContext& context, const std::string& node, bool is_schedulable) {
  const std::string body =
      json::serialize(json::object{{"spec", json::object{{"unschedulable", !is_schedulable}}}});
  RN_TRY(const HttpResponse answer,
         ask(context, "PATCH", "/api/v1/nodes/" + node, body, "application/merge-patch+json"));
  if (answer.status == 200 || answer.status == 404) return {};
  return refusal(answer, "cordoning " + node);
}

Result<> evict_pods(const StepContext& context, const std::string& node, milliseconds timeout,
                    const std::function<void(std::size_t)>& on_left) {
  const SteadyTime deadline = context.environment.clock.steady_now() + timeout;
  for (;;) {
    RN_TRY(auto pods, pods_of(context, node));
    std::erase_if(pods, [](const Pod& pod) { return pod.stays; });
    on_left(pods.size());
    if (pods.empty()) return {};
    std::string why;
    for (const Pod& pod : pods) {
      if (pod.is_leaving) continue;
      RN_TRY(const std::string refused, evict(context, pod));
      if (!refused.empty()) why = refused;
    }
    if (context.environment.is_interrupted()) return failure("Interrupted", "interrupted while draining " + node);
    if (context.environment.clock.steady_now() >= deadline)
      return failure("NotDrained",
                     fmt::format("{} Pods are still on {}, {}/{} for one{}{}", pods.size(), node,
                                 pods.front().name_space, pods.front().name, why.empty() ? "" : ": ", why));
    std::this_thread::sleep_for(look_pause);
  }
}

Result<> delete_node(const StepContext& context, const std::string& node) {
  RN_TRY(const HttpResponse answer, ask(context, "DELETE", "/api/v1/nodes/" + node));
  if (answer.status == 200 || answer.status == 404) return {};
  return refusal(answer, "deleting the Node " + node);
}

}  // namespace rusternetes::launcher
