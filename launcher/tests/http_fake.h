#pragma once
// A made-up api-server, and what components say of themselves.

#include "launcher/ports/http_port.h"
#include "things.h"

namespace rusternetes::launcher::testing {

class FakeHttp final : public HttpPort {
 public:
  explicit FakeHttp(Things& things) : things_(things) {}
  bool is_ready = true;
  bool is_node_ready = true;
  std::string heartbeat = "2100-01-01T00:00:00Z";
  std::string renew_time = "2100-01-01T00:00:00.000000Z";
  std::string revision;  // of lists; empty: the api-server does not tell
  std::vector<HttpRequest> requests;
  std::map<std::string, std::vector<std::string>> pods;  // of nodes; nothing would make them again
  bool is_evicting = true;
  std::set<std::string> cordoned;
  std::vector<std::string> deleted_nodes;

  Result<HttpResponse> send(const HttpRequest& request) override {
    requests.push_back(request);
    if (things_.names("released").empty()) return internal_error("connection refused");
    if (request.url.ends_with("/namespaces?limit=1"))
      return HttpResponse{revision.empty() ? 503 : 200, R"({"metadata":{"resourceVersion":")" + revision + "\"}}"};
    if (request.url.ends_with("/readyz")) return HttpResponse{is_ready ? 200 : 500, "ok"};
    if (auto answer = drain(request)) return *answer;
    if (request.url.ends_with("/namespaces/kube-node-lease/leases/a"))
      return HttpResponse{200, R"({"spec":{"renewTime":")" + renew_time + "\"}}"};
    return HttpResponse{200, node()};
  }
  std::vector<Result<HttpResponse>> send_all(const std::vector<HttpRequest>& all) override {
    std::vector<Result<HttpResponse>> out;
    for (const HttpRequest& one : all) {
      asked.push_back(one);
      if (one.url.ends_with(":2379/health") ? !has_store() : things_.names("released").empty()) {
        out.emplace_back(internal_error(one.url + ": Connection refused"));
        continue;
      }
      const auto known = bodies.find(one.url.substr(one.url.find('/', 8)));
      if (known != bodies.end()) {
        out.emplace_back(HttpResponse{200, known->second});
        continue;
      }
      const auto bad = std::find_if(sick.begin(), sick.end(), [&](const auto& each) {
        return one.url.find(each.first) != std::string::npos;
      });
      if (bad == sick.end())
        out.emplace_back(HttpResponse{200, "ok"});
      else if (bad->second == 0)
        out.emplace_back(internal_error(one.url + ": Connection refused"));
      else
        out.emplace_back(HttpResponse{bad->second, "[-]etcd failed: it hangs\n"});
    }
    return out;
  }
  std::vector<HttpRequest> asked;             // by send_all()
  std::map<std::string, std::string> bodies;  // what it gives for a path
  std::map<std::string, int> sick;            // part of a URL -> what it answers; 0: nothing
  Result<int> stream(const HttpRequest&, const std::function<bool(std::string_view)>& on_line) override {
    on_line("{\"type\":\"ADDED\",\"object\":" + node() + "}");
    return 200;
  }

 private:
  bool has_store() const {
    const auto all = things_.names("component");
    return std::any_of(all.begin(), all.end(), [](const std::string& one) {
      return one.find(".etcd") != std::string::npos || one.find(".rhino") != std::string::npos;
    });
  }
  static std::string last_of(const std::string& url, const std::string& before) {
    return url.substr(url.find(before) + before.size());
  }
  // What `node remove` asks for.
  std::optional<HttpResponse> drain(const HttpRequest& request) {
    const std::string listing = "/api/v1/pods?fieldSelector=spec.nodeName%3D", nodes = "/api/v1/nodes/";
    if (request.url.find(listing) != std::string::npos) {
      std::string items;
      for (const std::string& name : pods[last_of(request.url, listing)])
        items += (items.empty() ? "" : ",") + std::string(R"({"metadata":{"namespace":"default","name":")") + name +
                 "\"}}";
      return HttpResponse{200, "{\"items\":[" + items + "]}"};
    }
    if (request.url.ends_with("/eviction")) {
      if (!is_evicting)
        return HttpResponse{429, R"({"message":"Cannot evict pod as it would violate the pod's disruption budget."})"};
      for (auto& [node, names] : pods)
        std::erase_if(names, [&](const std::string& name) {
          return request.url.ends_with("/pods/" + name + "/eviction");
        });
      return HttpResponse{201, "{}"};
    }
    if (request.url.find(nodes) == std::string::npos) return std::nullopt;
    const std::string name = last_of(request.url, nodes);
    if (request.method == "PATCH") {
      request.body.find("true") != std::string::npos ? (void)cordoned.insert(name) : (void)cordoned.erase(name);
      return HttpResponse{200, "{}"};
    }
    if (request.method == "DELETE") {
      deleted_nodes.push_back(name);
      return HttpResponse{200, "{}"};
    }
    return std::nullopt;
  }
  std::string node() const {
    return std::string(
               R"({"status":{"conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":")") +
           (is_node_ready ? "True" : "False") + R"(","lastHeartbeatTime":")" + heartbeat + "\"}]}}";
  }
  Things& things_;
};

}  // namespace rusternetes::launcher::testing
