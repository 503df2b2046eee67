// list: the clusters of this home.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/component_health.h"
#include "launcher/liveness.h"
#include "launcher/report.h"
#include "launcher/schedule/look.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

std::string age_text(std::int64_t created_at_ms, SystemTime now) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() - created_at_ms / 1000;
  if (seconds < 120) return fmt::format("{}s", std::max<std::int64_t>(seconds, 0));
  if (seconds < 7200) return fmt::format("{}m", seconds / 60);
  if (seconds < 172'800) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86'400);
}

std::string version_of(const ClusterSettings& settings) {
  if (!settings.release.empty()) return settings.release;
  const auto image = settings.images.find("api-server");
  return image == settings.images.end() ? "-" : image_version(image->second);
}

// "every 6h, last 20m ago, next in 5h"
std::string snapshots_text(const std::optional<ScheduleLook>& look, SystemTime now) {
  if (!look) return "-";
  std::string out = "every " + interval_text(look->schedule.every);
  const auto ms = [](SystemTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  };
  if (look->last_at) out += fmt::format(", last {} ago", age_text(ms(*look->last_at), now));
  if (look->memory.failures > 0) out += ", failed";
  if (!look->is_kept) return out + ", not running";
  return out + (look->next_at && *look->next_at > now
                    ? fmt::format(", next in {}", age_text(ms(now), *look->next_at))
                    : ", next now");
}

Result<> run_list(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const std::vector<ClusterSettings> clusters, session->clusters());
  std::string text = clusters.empty() ? "No clusters. `rusternetes-ctl create` makes one.\n" : "";
  if (!clusters.empty())
    text += fmt::format("{:<24} {:<12} {:<8} {:<10} {:<6} {:<26} {:<6} {:<8} {}\n", "NAME", "MODE", "ENGINE",
                        "STATUS", "NODES", "SERVER", "AGE", "VERSION", "SNAPSHOTS");
  boost::json::array array;
  for (const ClusterSettings& one : clusters) {
    RN_TRY(std::string phase, session->phase(one.name));
    const auto liveness = look_at(*session->context(one));
    if (phase == "running" && liveness && !liveness->is_running) phase = "ended";
    RN_TRY(const auto schedule, look_at_schedule(*session->context(one)));
    text += fmt::format("{:<24} {:<12} {:<8} {:<10} {:<6} {:<26} {:<6} {:<8} {}\n", one.name,
                        one.mode + (one.is_highly_available ? " (ha)" : ""), one.engine.kind, phase,
                        node_names(one).size(), one.server(),
                        age_text(one.created_at_ms, invocation.environment.clock.now()), version_of(one),
                        snapshots_text(schedule, invocation.environment.clock.now()));
    boost::json::object object = describe_json(one);
    object["status"] = phase;
    object["version"] = version_of(one);
    object["snapshotSchedule"] = json_of(schedule);
    array.push_back(std::move(object));
  }
  if (invocation.has("--names")) {
    text.clear();
    for (const ClusterSettings& one : clusters) text += one.name + "\n";
  }
  invocation.print(text, boost::json::serialize(boost::json::object{{"clusters", std::move(array)}}) + "\n");
  return {};
}

}  // namespace

Command list_command() {
  return {.word = "list",
          .subword = "",
          .summary = "List the clusters of this home.",
          .examples = "rusternetes-ctl list\nrusternetes-ctl list --output json",
          .takes_name = false,
          .flags = {{"--names", "", "print names only, one a line"}},
          .run = run_list};
}

}  // namespace rusternetes::launcher
