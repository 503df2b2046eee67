// Engines and the OCI runtimes below them.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "launcher/doctor/checks.h"

namespace rusternetes::launcher::doctor {
namespace {

constexpr const char* install_fix = "apt-get install podman runc (or docker.io), then run this again.";

// Whether "20.10.24+dfsg1" is at least MAJOR.MINOR.
bool is_at_least(std::string_view version, int major, int minor) {
  int have_major = 0, have_minor = 0;
  const char* end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, have_major);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '.')
    (void)std::from_chars(first.ptr + 1, end, have_minor);
  return have_major != major ? have_major > major : have_minor >= minor;
}

bool answers(const EngineFacts& one) { return one.connect_error == 0 && one.silence.empty(); }
bool can_be_used(const EngineFacts& one) { return answers(one) && !one.is_rootless && !one.is_users; }

std::string shown_kind(const EngineFacts& one) { return one.kind == "docker" ? "Docker" : "Podman"; }
std::string unit_of(const EngineFacts& one) { return one.kind == "docker" ? "docker" : "podman.socket"; }

// What `create` would do with it: an engine that merely is not there lets the next one be tried, or a Podman
// be started; one that is wrong ends it, unless another one is right.
bool is_out_of_reach(const EngineFacts& one) {
  return one.connect_error != 0 && one.connect_error != EACCES && one.connect_error != EPERM;
}

Finding finding_of(const EngineFacts& one, Level level) {
  const std::string kind = shown_kind(one);
  if (one.connect_error == EACCES || one.connect_error == EPERM)
    return {Level::unknown, "engine-socket",
            fmt::format("{} is not open to this user, so nothing is known of {}", one.socket, kind),
            "Run this as root, for example with sudo."};
  if (one.connect_error != 0)
    return {
        level, "engine-socket",
        fmt::format("{} is there, but nobody serves it ({})", one.socket, std::strerror(one.connect_error)),
        fmt::format("systemctl restart {}", unit_of(one))};
  if (!one.silence.empty())
    return {level, "engine", fmt::format("{} at {} does not answer: {}", kind, one.socket, one.silence),
            fmt::format("See why: journalctl -u {0}; then systemctl restart {0}", unit_of(one))};
  if (one.is_rootless || one.is_users)
    return {level, "engine",
            fmt::format("{} {} at {} is rootless: it cannot make Pod networks, cgroups and mounts", kind,
                        one.version, one.socket),
            fmt::format("Use the system's engine: as root, systemctl enable --now {}, and unset "
                        "CONTAINER_HOST and DOCKER_HOST.",
                        unit_of(one))};
  const bool is_docker = one.kind == "docker";
  const bool is_new_enough = is_docker ? is_at_least(one.version, 20, 10) : is_at_least(one.version, 4, 3);
  if (!is_new_enough)
    return {level, "engine",
            fmt::format("{} {} at {} is older than {}", kind, one.version, one.socket,
                        is_docker ? "20.10" : "4.3"),
            fmt::format("Upgrade {}; Debian 12 and later have one that works.", kind)};
  return {Level::ok, "engine", fmt::format("{} {} at {}, rootful", kind, one.version, one.socket), ""};
}

}  // namespace

Findings check_engines(const EnginesFacts& facts) {
  Findings out;
  const auto chosen = std::find_if(facts.engines.begin(), facts.engines.end(), can_be_used);
  const bool is_none_chosen = chosen == facts.engines.end();
  for (const EngineFacts& one : facts.engines) {
    if (one.connect_error == ENOENT || one.connect_error == ENOTDIR) continue;
    // A user's own only explains why there is none of the system.
    if (one.is_users && (one.connect_error != 0 || !is_none_chosen)) continue;
    const bool is_made_up_for = is_none_chosen ? is_out_of_reach(one) && facts.has_podman : &one != &*chosen;
    out.push_back(finding_of(one, is_made_up_for ? Level::warning : Level::problem));
  }
  if (!is_none_chosen) return out;
  const bool is_reach_the_cause =
      std::all_of(facts.engines.begin(), facts.engines.end(), [](const EngineFacts& one) {
        return is_out_of_reach(one) || (one.is_users && one.connect_error != 0);
      });
  if (is_reach_the_cause && facts.has_podman)
    out.push_back({Level::ok, "engine",
                   "no engine's service runs, but Podman is installed: `create` starts one for the cluster "
                   "alone",
                   ""});
  else if (is_reach_the_cause)
    out.push_back(
        {Level::problem, "engine", "no container engine runs, and Podman is not installed", install_fix});
  return out;
}

Findings check_runtime(const EnginesFacts& facts, CgroupMode mode) {
  const auto found = [](Level level, std::string text, std::string fix = "") {
    return Finding{level, "oci-runtime", std::move(text), std::move(fix)};
  };
  const bool is_hybrid = mode == CgroupMode::hybrid;
  const auto engine = std::find_if(facts.engines.begin(), facts.engines.end(), can_be_used);
  const bool is_private = engine == facts.engines.end();
  if (is_private && !facts.has_podman)
    return {found(Level::unknown, "without an engine it is not known which one would be used")};
  if (!is_private && engine->kind == "docker")
    return {found(Level::ok,
                  fmt::format("{}, Docker's own", engine->runtime.empty() ? "runc" : engine->runtime))};
  if (!facts.has_crun && !facts.has_runc)
    return {found(Level::problem, "neither crun nor runc is installed", "apt-get install crun runc")};
  const std::string version = is_private ? "" : engine->runtime_version;
  const std::string runtime = !is_private      ? engine->runtime
                              : facts.has_crun ? std::string("crun")
                                               : std::string("runc");
  const std::string shown = version.empty() ? runtime : runtime + " " + version;
  // "cgroups in hybrid mode not supported, drop all controllers from cgroupv2": crun 1.8.1, measured. A
  // Podman of our own gets no crun there at all.
  const bool is_refusing = is_hybrid && runtime == "crun" && (version.empty() || !is_at_least(version, 1, 9));
  if (!is_refusing) return {found(Level::ok, shown)};
  if (facts.has_runc)
    return {
        found(Level::ok, fmt::format("{} starts no containers with hybrid cgroups, so runc is used", shown))};
  return {
      found(Level::problem,
            fmt::format("{} starts no containers on this host, which mounts cgroup v1 and v2 together "
                        "(hybrid), and runc is not installed",
                        shown),
            "apt-get install runc (or crun 1.9 or later, or boot with systemd.unified_cgroup_hierarchy=1)")};
}

}  // namespace rusternetes::launcher::doctor
