#include "launcher/steps/rotation.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "certs/pki.h"
#include "certs/rotation.h"
#include "launcher/component_health.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/readiness.h"
#include "launcher/steps/change.h"
#include "launcher/steps/component_containers.h"
#include "launcher/steps/component_gate.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using std::chrono::milliseconds;

// How long one component may take to be well again. A slow host's kubelet takes ten seconds.
constexpr milliseconds gate_timeout{90'000}, short_gate_timeout{30'000};

// Every subject by itself, between two points at which a test may end the process.
template <class F>
Result<> for_each(StepContext& context, const std::vector<std::string>& subjects, const char* what,
                  F&& work) {
  for (const std::string& subject : subjects)
    RN_CHECK(context.call(fmt::format("{} {}", what, subject), [&] { return work(subject); }));
  return {};
}

// It reads them for each connection of a probe, and its end would end everybody's connections.
bool reads_anew(const std::string& component) { return component == "api-proxy"; }
bool has_files(const std::string& component) { return component != "node"; }

// etcd reads its own certificate and key for each connection.
bool reads_at_start(const std::string& component, const fs::path& file) {
  return component != "etcd" || file.filename() == "ca.crt";
}

// The beginning of all times for what is not there.
SystemTime written_at(const fs::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return SystemTime(std::chrono::duration_cast<SystemTime::duration>(
      std::chrono::seconds(found.st_mtim.tv_sec) + std::chrono::nanoseconds(found.st_mtim.tv_nsec)));
}

// When the last of the files was written that a component reads when it starts.
SystemTime newest_of(const std::string& component, const std::string& key, const ClusterPaths& paths) {
  SystemTime newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(paths.component(key), ignored))
    if (reads_at_start(component, entry.path())) newest = std::max(newest, written_at(entry.path()));
  // Of its Pods' tokens it asks for others long before they end, but not before those of another key do.
  if (component == "kubelet") newest = std::max(newest, written_at(paths.pki() / "sa.key"));
  return newest;
}

class ReloadComponents final : public Step {
 public:
  ReloadComponents(Context context, bool must_reach_all)
      : context_(std::move(context)), must_reach_all_(must_reach_all) {}
  std::string id() const override { return "reload-components"; }
  std::string describe() const override {
    return context_->settings.has_containers()
               ? "Restart the components one after the other, each when the one before is well again"
               : "Restart rusternetes, and wait until it is ready";
  }
  Result<> apply() override { return context_->settings.has_containers() ? each() : process(); }

 private:
  Result<> process() {
    RN_TRY(const Liveness liveness, look_at(*context_));
    if (!liveness.is_whole) return {};  // held, as after a restart of the host: `start` does the rest
    RN_CHECK(restart_process(context_)->apply());
    return wait_until_ready(*context_, gate_timeout);
  }

  Result<> each() {
    if (!context_->environment.engine.is_answering(context_->settings.engine)) return {};
    if (const auto back = bring_back(); !back) {
      if (!must_reach_all_) return back;
      if (context_->progress != nullptr) context_->progress->note(back.error().message);
    }
    const std::vector<Member> members = members_of(context_->settings);
    std::size_t done = 0;
    for (const Member& member : members) {
      ++done;
      if (!has_files(member.component) || reads_anew(member.component)) continue;
      if (context_->progress != nullptr)
        context_->progress->detail(fmt::format("{}, {} of {}", member.key, done, members.size()));
      auto reloaded = reload(member);
      if (reloaded) continue;
      if (!must_reach_all_ || reloaded.error().is("Interrupted")) return reloaded;
      if (context_->progress != nullptr) context_->progress->note(reloaded.error().message);
    }
    return {};
  }

  // What a restart that was cut off has ended and not started again. All that it needs stands, but after a restart of
  // the host.
  Result<> bring_back() {
    RN_TRY(const Liveness now, look_at(*context_));
    const bool is_cut = std::any_of(now.components.begin(), now.components.end(),
                                    [](const ComponentContainer& one) { return !one.is_running; });
    if (!now.is_running || !is_cut) return {};  // nothing runs: `start` does the rest
    RN_CHECK(share_folder(context_)->apply());
    RN_CHECK(load_drop_rules(context_, false)->apply());
    RN_CHECK(make_network(context_, false)->apply());
    return apply_manifest(context_)->apply();
  }

  Result<> reload(const Member& member) {
    Liveness now;
    RN_TRY(now.components, component_containers(*context_));
    const ComponentContainer* one = find_component(now, member.key);
    if (one == nullptr || !one->is_running) return {};
    SystemTime before;
    if (one->started_at <= newest_of(member.component, member.key, context_->paths)) {
      before = one->started_at;
      const std::string container = one->id;
      RN_CHECK(context_->call("engine restart " + member.key, [&] {
        return context_->environment.engine.restart_component(context_->settings.engine, container,
                                                              component_grace);
      }));
    }
    // Also of one that an interrupted command has restarted.
    return wait_for_component(*context_, member, must_reach_all_ ? short_gate_timeout : gate_timeout, before);
  }

  Context context_;
  bool must_reach_all_;
};

class TrustNew final : public Step {
 public:
  TrustNew(Context context, Rotation rotation)
      : context_(std::move(context)), rotation_(std::move(rotation)) {}
  std::string id() const override { return "trust-new"; }
  std::string describe() const override {
    return fmt::format("Make new {}, which are trusted beside the old ones", joined(rotation_->begun, ", "));
  }
  Result<> apply() override {
    RN_TRY(const certs::PkiOptions options, pki_options(context_->settings));
    const fs::path pki = context_->paths.pki();
    const SystemTime now = context_->environment.clock.now();
    // What was cut off, or is missing, first.
    RN_TRY([[maybe_unused]] auto written, certs::ensure_cluster_pki(pki, options, now));
    return for_each(*context_, rotation_->begun, "trust-new",
                    [&](const std::string& subject) { return certs::trust_new(pki, options, subject, now); });
  }
  // All of what follows it, too, up to the point from which on the new ones sign.
  Result<> undo() override {
    RN_CHECK(for_each(*context_, rotation_->begun, "forget-new", [&](const std::string& subject) {
      return certs::forget_new(context_->paths.pki(), subject);
    }));
    RN_CHECK(write_kubeconfigs(context_)->apply());
    if (context_->settings.has_containers()) RN_CHECK(write_component_folders(context_)->apply());
    RN_CHECK(renew_user_kubeconfig(context_)->apply());
    // One component after the other, as on the way there.
    return uninterrupted(*context_,
                         [](const Context& calm) { return ReloadComponents(calm, true).apply(); });
  }

 private:
  Context context_;
  Rotation rotation_;
};

class SignWithNew final : public Step {
 public:
  SignWithNew(Context context, Rotation rotation)
      : context_(std::move(context)), rotation_(std::move(rotation)) {}
  std::string id() const override { return "sign-with-new"; }
  std::string describe() const override { return "Issue every certificate anew, signed by the new ones"; }
  Result<> apply() override {
    RN_TRY(const certs::PkiOptions options, pki_options(context_->settings));
    const SystemTime now = context_->environment.clock.now();
    return for_each(*context_, rotation_->begun, "sign-with-new", [&](const std::string& subject) {
      return certs::sign_with_new(context_->paths.pki(), options, subject, now);
    });
  }

 private:
  Context context_;
  Rotation rotation_;
};

class DropOld final : public Step {
 public:
  DropOld(Context context, Rotation rotation)
      : context_(std::move(context)), rotation_(std::move(rotation)) {}
  std::string id() const override { return "drop-old"; }
  std::string describe() const override {
    return fmt::format("Drop the old {}: what they signed ends", joined(rotation_->dropped, ", "));
  }
  Result<> apply() override {
    RN_TRY(const certs::PkiOptions options, pki_options(context_->settings));
    return for_each(*context_, rotation_->dropped, "drop-old", [&](const std::string& subject) {
      return certs::drop_old(context_->paths.pki(), options, subject);
    });
  }

 private:
  Context context_;
  Rotation rotation_;
};

json::array array_of(const std::vector<std::string>& names) {
  json::array out;
  for (const std::string& name : names) out.emplace_back(name);
  return out;
}

}  // namespace

std::string rotation_arguments(const ClusterSettings& settings, const RotationTask& task) {
  json::object object = json::parse(to_json(settings)).get_object();
  object["rotation"] = json::object{{"begun", array_of(task.begun)}, {"dropped", array_of(task.dropped)}};
  return json::serialize(object);
}

Result<Rotation> rotation_from_arguments(std::string_view arguments) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(arguments.data(), arguments.size()), error);
  auto task = std::make_shared<RotationTask>();
  for (auto [pointer, out] :
       {std::pair{"/rotation/begun", &task->begun}, {"/rotation/dropped", &task->dropped}}) {
    const json::value* found = error ? nullptr : value.find_pointer(pointer, error);
    if (found == nullptr || !found->is_array())
      return failure("StateDamaged", "the journal's record of a rotation does not parse");
    for (const json::value& one : found->get_array())
      if (one.is_string()) out->emplace_back(one.get_string());
  }
  return task;
}

StepPtr trust_new_authorities(Context context, Rotation rotation) {
  return std::make_unique<TrustNew>(std::move(context), std::move(rotation));
}
StepPtr sign_with_new_authorities(Context context, Rotation rotation) {
  return std::make_unique<SignWithNew>(std::move(context), std::move(rotation));
}
StepPtr drop_old_authorities(Context context, Rotation rotation) {
  return std::make_unique<DropOld>(std::move(context), std::move(rotation));
}
StepPtr reload_components(Context context, bool must_reach_all) {
  return std::make_unique<ReloadComponents>(std::move(context), must_reach_all);
}

}  // namespace rusternetes::launcher
