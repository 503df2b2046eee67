#include "launcher/bundle/gather.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/bundle/objects.h"
#include "launcher/bundle/redactor.h"
#include "launcher/containers/topology.h"
#include "launcher/examine.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/host_port.h"
#include "launcher/ports/http_port.h"
#include "launcher/ports/network_port.h"
#include "launcher/api_request.h"
#include "launcher/readiness.h"
#include "launcher/report.h"

namespace rusternetes::launcher::bundle {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::streamoff longest_log = 5 << 20;
constexpr int last_plans = 20;
constexpr std::chrono::seconds api_patience{5};

struct Question {
  const char* name;
  const char* path;
  bool has_objects = true;
};

// No Secrets: those are asked for elsewhere, and only so that they can be recognised.
constexpr Question questions[] = {
    {"readyz.txt", "/readyz?verbose", false},
    {"version.json", "/version", false},
    {"nodes.json", "/api/v1/nodes"},
    {"pods.json", "/api/v1/pods?limit=2000"},
    {"events.json", "/api/v1/events?limit=2000"},
    {"namespaces.json", "/api/v1/namespaces"},
    {"node-leases.json", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"},
    {"kube-system/services.json", "/api/v1/namespaces/kube-system/services"},
    {"kube-system/configmaps.json", "/api/v1/namespaces/kube-system/configmaps"},
    {"kube-system/serviceaccounts.json", "/api/v1/namespaces/kube-system/serviceaccounts"},
    {"kube-system/deployments.json", "/apis/apps/v1/namespaces/kube-system/deployments"},
    {"kube-system/daemonsets.json", "/apis/apps/v1/namespaces/kube-system/daemonsets"},
    {"kube-system/replicasets.json", "/apis/apps/v1/namespaces/kube-system/replicasets"},
    {"kube-system/endpointslices.json", "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"},
    {"kube-system/leases.json", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"},
};

class Gatherer {
 public:
  Gatherer(Invocation& invocation, Session& session, const Context& context)
      : invocation_(invocation), session_(session), context_(context) {}

  Bundle run() {
    redactor_.add_cluster(context_->paths);
    // Before anything is cleaned.
    if (const auto known = learn_secrets(); !known)
      miss("cluster/, and the Secrets that are to be recognised elsewhere", known.error());
    if (has_api_) add_objects();
    add("status.json", json::serialize(status_json(session_, context_)) + "\n");
    add("doctor.json", json::serialize(doctor_json(invocation_)) + "\n");
    add("versions.json", versions());
    try_add("journal.json", [this] { return journal(); });
    add("settings.json", to_json(context_->settings) + "\n");
    if (context_->settings.has_containers())
      try_add("compose.yaml", [this] { return certs::read_text(context_->paths.manifest()); });
    try_add("certificates.json", [this] { return certificates(); });
    try_add("containers.json", [this] { return containers(); });
    try_add("network.txt", [this]() -> Result<std::string> {
      if (!context_->environment.host.is_root())
        return internal_error("the host's rules are shown to root alone");
      return context_->environment.network.describe(context_->settings.name);
    });
    add_logs();
    std::string text = "What could not be had, and why:\n";
    for (const std::string& one : bundle_.missing) text += "- " + one + "\n";
    add("missing.txt", bundle_.missing.empty() ? "Nothing is missing.\n" : text);
    return std::move(bundle_);
  }

 private:
  // The one way into the bundle.
  void add(const std::string& name, std::string text) {
    bundle_.entries.push_back({name, redactor_.clean(std::move(text))});
  }
  void miss(const std::string& name, const Status& why) {
    bundle_.missing.push_back(redactor_.clean(fmt::format("{}: {}", name, why.message)));
  }
  template <class Part>
  void try_add(const std::string& name, Part&& part) {
    Result<std::string> text = part();
    text ? add(name, *std::move(text)) : miss(name, text.error());
  }

  std::vector<Result<HttpResponse>> ask(const std::vector<std::string>& paths) {
    std::vector<HttpRequest> requests;
    for (const std::string& path : paths) {
      auto request = request_as(*context_, "admin", path);
      if (!request) return std::vector<Result<HttpResponse>>(paths.size(), request.error());
      request->timeout = api_patience;
      requests.push_back(*std::move(request));
    }
    return context_->environment.http.send_all(requests);
  }

  // What the cluster's Secrets hold is never written, and taken out where something else tells it.
  Result<> learn_secrets() {
    const auto answers = ask({"/api/v1/secrets"});
    RN_TRY(const HttpResponse answer, answers.front());
    has_api_ = true;  // it answers
    if (answer.status != 200) {
      has_api_ = answer.status != 401 && answer.status != 403;
      return internal_error(fmt::format("the api-server answers {}", answer.status));
    }
    boost::system::error_code error;
    const json::value list = json::parse(answer.body, error);
    if (error || !list.is_object()) return internal_error("the api-server's Secrets are not JSON");
    const auto* items = list.get_object().if_contains("items");
    if (items == nullptr || !items->is_array()) return {};
    for (const json::value& item : items->get_array()) {
      const auto* data = item.is_object() ? item.get_object().if_contains("data") : nullptr;
      if (data == nullptr || !data->is_object()) continue;
      for (const auto& [key, value] : data->get_object())
        if (value.is_string()) redactor_.add_base64(value.get_string());
    }
    return {};
  }

  void add_objects() {
    std::vector<std::string> paths;
    for (const Question& one : questions) paths.emplace_back(one.path);
    const auto answers = ask(paths);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const std::string name = std::string("cluster/") + questions[i].name;
      if (!answers[i]) {
        miss(name, answers[i].error());
      } else if (!questions[i].has_objects) {
        add(name, answers[i]->body);
      } else if (answers[i]->status != 200) {
        miss(name, internal_error(fmt::format("the api-server answers {}", answers[i]->status)));
      } else {
        try_add(name, [&] { return without_secrets(answers[i]->body); });
      }
    }
  }

  std::string versions() const {
    const ClusterSettings& s = context_->settings;
    json::object images;
    for (const auto& [component, reference] : s.images) images[component] = reference;
    utsname kernel{};
    ::uname(&kernel);
    const auto os = certs::read_text("/etc/os-release", 1 << 16);
    return json::serialize(json::object{
               {"rusternetes", context_->environment.release},
               {"cluster", json::object{{"release", s.release}, {"kubernetes", s.kubernetes}}},
               {"engine", json::object{{"kind", s.engine.kind},
                                       {"version", s.engine.version},
                                       {"answers", context_->environment.engine.is_answering(s.engine)}}},
               {"images", std::move(images)},
               {"kernel", fmt::format("{} {} {}", kernel.release, kernel.version, kernel.machine)},
               {"osRelease", os ? *os : ""},
               {"madeAt", date_text(context_->environment.clock.now())}}) +
           "\n";
  }

  Result<std::string> journal() const {
    if (session_.state() == nullptr) return internal_error("there is no state");
    state::Journal& journal = session_.state()->journal();
    RN_TRY(const auto plans, journal.last(context_->settings.name, last_plans));
    json::array out;
    for (const state::PlanSummary& plan : plans) {
      RN_TRY(const auto steps, journal.steps(plan.id));
      json::array shown;
      for (const state::StepRecord& step : steps)
        shown.push_back(json::object{
            {"step", step.step}, {"phase", std::string(state::to_string(step.phase))}, {"atMs", step.at_ms}});
      out.push_back(json::object{{"plan", plan.kind},
                                 {"outcome", plan.outcome.empty() ? "unfinished" : plan.outcome},
                                 {"startedAtMs", plan.started_at_ms},
                                 {"endedAtMs", plan.ended_at_ms},
                                 {"steps", std::move(shown)}});
    }
    return json::serialize(out) + "\n";
  }

  Result<std::string> certificates() const {
    RN_TRY(const auto all, certs::expiries(context_->paths.pki()));
    json::array out;
    for (const certs::Expiry& one : all)
      out.push_back(json::object{{"file", one.file},
                                 {"commonName", one.info.common_name},
                                 {"notBefore", date_text(one.info.not_before)},
                                 {"notAfter", date_text(one.info.not_after)}});
    return json::serialize(out) + "\n";
  }

  Result<std::string> containers() const {
    const ClusterSettings& s = context_->settings;
    EnginePort& engine = context_->environment.engine;
    json::array components, pods;
    if (s.has_containers()) {
      RN_TRY(const auto all, engine.components(s.engine, s.name));
      for (const ComponentContainer& one : all)
        components.push_back(json::object{{"name", one.name},
                                          {"image", one.image},
                                          {"imageID", one.image_id},
                                          {"running", one.is_running},
                                          {"exitCode", one.exit_code},
                                          {"restarts", one.restarts},
                                          {"startedAt", date_text(one.started_at)}});
    }
    RN_TRY(const auto all, engine.containers(s.engine, s.name));
    for (const ClusterContainer& one : all)
      pods.push_back(
          json::object{{"name", one.name}, {"running", one.is_running}, {"sandbox", one.is_sandbox}});
    return json::serialize(json::object{{"components", std::move(components)}, {"pods", std::move(pods)}}) +
           "\n";
  }

  // From the beginning of a line: a secret that was cut would not be recognised.
  static Result<std::string> end_of(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return errno_error("open " + file.string(), errno);
    in.seekg(0, std::ios::end);
    const std::streamoff size = in.tellg();
    const std::streamoff begin = std::max<std::streamoff>(size - longest_log, 0);
    in.seekg(begin);
    std::string text(static_cast<std::size_t>(size - begin), '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (begin > 0) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
    return text;
  }

  void add_logs() {
    const ClusterPaths& paths = context_->paths;
    std::vector<std::pair<std::string, fs::path>> files;
    if (context_->settings.has_containers()) {
      const auto liveness = look_at(*context_);
      // Docker keeps them where it alone knows.
      const EngineChoice& engine = context_->settings.engine;
      if (engine.kind == "docker" && (!liveness || liveness->components.empty()))
        return miss("logs/", internal_error(liveness ? liveness->problem : liveness.error().message));
      for (const Member& member : members_of(context_->settings)) {
        if (member.component == "node") continue;  // it says nothing
        fs::path file = paths.logs() / (member.key + ".log");
        if (liveness)
          for (const ComponentContainer& one : liveness->components)
            if (one.key == member.key && !one.log_file.empty()) file = one.log_file;
        files.emplace_back(member.key + ".log", file);
      }
    } else {
      files = {{"rusternetes.log", paths.process_log()}};
      std::error_code ignored;
      const fs::path before = paths.process_log().string() + ".1";
      if (fs::exists(before, ignored)) files.emplace_back("rusternetes.log.1", before);
    }
    if (context_->settings.engine.is_private) files.emplace_back("podman.log", paths.engine() / "podman.log");
    if (std::error_code ignored; fs::exists(paths.schedule_log(), ignored))
      files.emplace_back("snapshots.log", paths.schedule_log());
    for (const auto& [name, file] : files) try_add("logs/" + name, [&] { return end_of(file); });
  }

  Invocation& invocation_;
  Session& session_;
  const Context& context_;
  Redactor redactor_;
  Bundle bundle_;
  bool has_api_ = false;
};

}  // namespace

Bundle gather(Invocation& invocation, Session& session, const Context& context) {
  return Gatherer(invocation, session, context).run();
}

}  // namespace rusternetes::launcher::bundle
