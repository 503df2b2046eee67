#include "launcher/component_health.h"

#include <fmt/format.h>

#include <algorithm>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/containers/topology.h"
#include "launcher/ports/http_port.h"

namespace rusternetes::launcher {
namespace {

// `status` is to answer within half a second, whatever hangs.
constexpr std::chrono::milliseconds patience{330};
// One that the engine has restarted this often does not live long.
constexpr int many_restarts = 4;
constexpr std::size_t longest_message = 160;

// Keys and authorities, read once for all questions.
class Questions {
 public:
  explicit Questions(const StepContext& context) : settings_(context.settings), pki_(context.paths.pki()) {}

  // Nothing for a component that serves nothing which the host could ask for.
  std::optional<HttpRequest> to(const Member& member) {
    const std::string& what = member.component;
    if (what == "api-server") return verified(member.address, 6443, "/readyz", "ca.crt", "admin");
    if (is_store(what))
      return verified(member.address, 2379, "/health", "etcd/ca.crt", "apiserver-etcd-client");
    if (what == "kubelet")
      return verified(address_of(member.node), 10250, "/healthz", "ca.crt", "apiserver-kubelet-client");
    if (what == "controller-manager") return unverified("https", member.address, 10257, "/healthz");
    if (what == "scheduler") return unverified("https", member.address, 10259, "/healthz");
    if (what == "dns") return unverified("http", member.address, 8181, "/ready");
    if (what == "kube-proxy") return unverified("http", address_of(member.node), 10256, "/healthz");
    if (what != "api-proxy") return std::nullopt;
    auto request = verified("", 0, "", "ca.crt", "admin");
    if (request) request->url = settings_.server() + "/readyz";
    return request;
  }

 private:
  std::optional<HttpRequest> verified(const std::string& address, int port, const char* path,
                                      const char* authority, const char* leaf) {
    HttpRequest request{.url = fmt::format("https://{}:{}{}", address, port, path), .timeout = patience};
    const auto pair = certs::read_pair(pki_, leaf);
    const auto trusted = certs::read_text(pki_ / authority);
    if (!pair || !trusted) return std::nullopt;  // a folder that is damaged is told by others
    request.authority_pem = *trusted;
    request.certificate_pem = pair->certificate_pem;
    request.key_pem = pair->key_pem;
    return request;
  }
  // Without a client's certificate: what signs its own could be anybody.
  static HttpRequest unverified(const char* scheme, const std::string& address, int port, const char* path) {
    return {.url = fmt::format("{}://{}:{}{}", scheme, address, port, path),
            .timeout = patience,
            .is_server_verified = false};
  }
  std::string address_of(const std::string& node) const {
    for (const NodeSettings& one : settings_.nodes)
      if (one.name == node) return one.address;
    return {};
  }
  const ClusterSettings& settings_;
  std::filesystem::path pki_;
};

// One line of what was answered: of checks that are listed, those that failed.
std::string short_text(const std::string& body) {
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    const std::string line = body.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.starts_with("[+]")) continue;
    out += (out.empty() ? "" : "; ") + line;
  }
  return out.substr(0, longest_message);
}

std::string without_url(const std::string& message) {
  const auto end = message.find(": ");
  return message.starts_with("http") && end != std::string::npos ? message.substr(end + 2) : message;
}

void judge(ComponentHealth& health, const std::string& component, const Result<HttpResponse>& answer) {
  health.is_asked = true;
  if (!answer) {
    health.message = "does not answer: " + without_url(answer.error().message);
  } else if (answer->status == 200) {
    // etcd answers 200 and says so in the body, too.
    if (answer->body.find("\"health\":\"false\"") == std::string::npos) return;
    health.message = "is not well: " + short_text(answer->body);
  } else {
    // A kubelet asks the api-server who may ask it: without one it still lives.
    if (component == "kubelet" && (answer->status == 401 || answer->status == 403 || answer->status == 500))
      return;
    health.message = fmt::format("is not well, it answers {}: {}", answer->status, short_text(answer->body));
  }
  health.is_healthy = false;
}

}  // namespace

const ComponentContainer* find_component(const Liveness& liveness, std::string_view key) {
  for (const ComponentContainer& one : liveness.components)
    if (one.key == key) return &one;
  return nullptr;
}

std::string image_version(std::string_view reference) {
  const auto name = reference.rfind('/');
  const auto colon = reference.rfind(':');
  const bool has_tag = colon != std::string_view::npos && (name == std::string_view::npos || colon > name);
  return has_tag ? std::string(reference.substr(colon + 1)) : std::string();
}

std::vector<ComponentHealth> ask_components(StepContext& context, const Liveness& liveness) {
  std::vector<ComponentHealth> out;
  if (!context.settings.has_containers()) return out;
  std::vector<HttpRequest> requests;
  std::vector<std::pair<std::size_t, std::string>> asked;  // where in `out`, and the component
  Questions questions(context);
  for (const Member& member : members_of(context.settings)) {
    out.push_back({.key = member.key, .message = {}});
    const ComponentContainer* one = find_component(liveness, member.key);
    if (one == nullptr || !one->is_running) continue;
    if (auto request = questions.to(member)) {
      requests.push_back(*std::move(request));
      asked.emplace_back(out.size() - 1, member.component);
    }
  }
  const auto answers = context.environment.http.send_all(requests);
  for (std::size_t i = 0; i < answers.size(); ++i) judge(out[asked[i].first], asked[i].second, answers[i]);
  return out;
}

std::vector<ComponentProblem> component_problems(const ClusterSettings& s, const Liveness& liveness,
                                                 const std::vector<ComponentHealth>& health) {
  std::vector<ComponentProblem> out;
  if (liveness.components.empty()) return out;  // all have gone, or nobody knows: one thing, told as such
  const std::string start = fmt::format("rusternetes-ctl start {}", s.name);
  const std::vector<Member> members = members_of(s);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::string& key = members[i].key;
    const std::string logs = fmt::format("rusternetes-ctl logs {} --component {} --tail 50", s.name, key);
    const ComponentContainer* one = find_component(liveness, key);
    if (one == nullptr)
      out.push_back({key, "has no container", "Make it: " + start});
    else if (!one->is_running)
      out.push_back({key, fmt::format("has ended with exit code {}", one->exit_code),
                     fmt::format("See why: {}; then: {}", logs, start)});
    else if (i < health.size() && !health[i].is_healthy)
      out.push_back({key, health[i].message, "See why: " + logs});
    else if (one->restarts >= many_restarts)
      out.push_back({key, fmt::format("was restarted {} times", one->restarts), "See why: " + logs, false});
  }
  return out;
}

}  // namespace rusternetes::launcher
