// The systemd side of supervisor.h.
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "certs/file.h"
#include "certs/kubeconfig.h"
#include "launcher/adapters/supervisor.h"
#include "launcher/failure.h"
#include "launcher/file_wait.h"
#include "launcher/hold.h"

namespace rusternetes::launcher {

extern const std::string_view service_template, boot_service_template, timed_service_template;

namespace {

// How long systemd may take to start the unit.
constexpr std::chrono::seconds start_patience{20};

// A word of ExecStart=: systemd's quoting, with its specifiers (%) and variables ($) taken literally.
std::string quoted(const std::string& word) {
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;
    out += c;
  }
  return out + "\"";
}

std::string command_line(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + quoted(word);
  return out;
}

// Brings a cluster up, and waits for nothing.
std::string start_line(const ProcessSpec& spec) {
  return command_line({(spec.binary_dir / "rusternetes-ctl").string(), "start", spec.cluster, "--home",
                       spec.home.string(), "--wait", "0"});
}

// What has to listen on the engine's socket.
std::string engine_unit(const ProcessSpec& spec) {
  if (spec.engine == "docker") return "docker.service";
  return spec.engine.empty() ? "" : "podman.socket";
}

// FNV-1a: tells homes apart in names of units; nothing depends on it being hard to invert.
std::uint32_t hash_of(const std::string& text) {
  std::uint32_t hash = 2166136261u;
  for (const unsigned char c : text) hash = (hash ^ c) * 16777619u;
  return hash;
}

}  // namespace

bool is_systemd_host() {
  struct stat info {};
  return ::lstat("/run/systemd/system", &info) == 0 && S_ISDIR(info.st_mode);
}

std::string SystemdPort::unit_name(const ProcessSpec& spec) {
  return fmt::format("rusternetes-{}-{:08x}{}{}.service", spec.cluster, hash_of(spec.home.string()),
                     spec.part.empty() ? "" : "-", spec.part);
}

std::string SystemdPort::unit_text(const ProcessSpec& spec) {
  return certs::fill_template(service_template, {{"cluster", spec.cluster},
                                                 {"command", command_line(supervisor_command(spec))},
                                                 {"start", start_line(spec)}});
}

std::string SystemdPort::boot_unit_text(const ProcessSpec& spec) {
  return certs::fill_template(
      boot_service_template,
      {{"cluster", spec.cluster}, {"engine", engine_unit(spec)}, {"start", start_line(spec)}});
}

std::string SystemdPort::timed_unit_text(const ProcessSpec& spec) {
  ProcessSpec cluster = spec;
  cluster.part.clear();
  return certs::fill_template(timed_service_template, {{"cluster", spec.cluster},
                                                       {"part", spec.part},
                                                       {"cluster_unit", unit_name(cluster)},
                                                       {"command", command_line(supervisor_command(spec))}});
}

Result<> SystemdPort::install(const ProcessSpec& spec, const std::string& text) {
  const auto path = unit_folder_ / unit_name(spec);
  if (const auto old = certs::read_text(path); !old || *old != text) {
    RN_CHECK(certs::write_atomically(path, text, 0644));
    RN_CHECK(run_({"systemctl", "daemon-reload"}));
  }
  return run_({"systemctl", "enable", "--quiet", unit_name(spec)});
}

Result<> SystemdPort::start_at_boot(const ProcessSpec& spec) { return install(spec, boot_unit_text(spec)); }

// It may be what runs this very command.
Result<> SystemdPort::forget_boot(const ProcessSpec& spec) {
  std::error_code ignored;
  if (!std::filesystem::exists(unit_folder_ / unit_name(spec), ignored)) return {};
  RN_CHECK(run_({"systemctl", "disable", "--quiet", unit_name(spec)}));
  return remove(spec);
}

Result<> SystemdPort::start_held(const ProcessSpec& spec) {
  RN_CHECK(write_command(spec.hold_file, spec.command));
  RN_CHECK(install(spec, unit_text(spec)));
  RN_TRY(const ProcessStatus before, status(spec));
  if (before.is_running) return {};
  return start_unit(spec);
}

Result<> SystemdPort::start_timed(const ProcessSpec& spec) {
  if (runs_another(spec)) RN_CHECK(stop(spec, another_grace));
  RN_CHECK(install(spec, timed_unit_text(spec)));
  RN_TRY(const ProcessStatus before, status(spec));
  return before.is_running ? Result<>() : start_unit(spec);
}

Result<> SystemdPort::start_unit(const ProcessSpec& spec) {
  // Without waiting for the unit's `rusternetes-ctl start`, which waits for the lock that this command holds.
  RN_CHECK(run_({"systemctl", "start", "--no-block", unit_name(spec)}));
  RN_TRY(const bool is_up, wait_for_folder(spec.pid_file.parent_path(), start_patience, [&] {
           const auto now = status(spec);
           return now && now->is_running && now->supervisor_pid > 0;
         }));
  if (!is_up)
    return failure("ProcessFailed", fmt::format("systemd did not start {}; see journalctl -u {}",
                                                unit_name(spec), unit_name(spec)));
  return {};
}

Result<> SystemdPort::stop(const ProcessSpec& spec, std::chrono::milliseconds grace) {
  std::error_code ignored;
  if (std::filesystem::exists(unit_folder_ / unit_name(spec), ignored)) {
    RN_CHECK(run_({"systemctl", "disable", "--quiet", unit_name(spec)}));
    RN_CHECK(run_({"systemctl", "stop", "--no-block", unit_name(spec)}));
  }
  return SupervisorPort::stop(spec, grace);
}

Result<> SystemdPort::forget(const ProcessSpec& spec) {
  RN_CHECK(remove(spec));
  return SupervisorPort::forget(spec);
}

Result<> SystemdPort::remove(const ProcessSpec& spec) {
  const auto path = unit_folder_ / unit_name(spec);
  std::error_code error;
  if (std::filesystem::remove(path, error)) {
    RN_CHECK(run_({"systemctl", "daemon-reload"}));
    (void)run_({"systemctl", "reset-failed", unit_name(spec)});  // fails when nothing had failed
  }
  if (error) return internal_error(fmt::format("remove {}: {}", path.string(), error.message()));
  return {};
}

}  // namespace rusternetes::launcher
