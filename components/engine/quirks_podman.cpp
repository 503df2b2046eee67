// Podman 4.3 and newer. Containers and networks go through the libpod routes, where the Docker-compatible
// ones lose something; the rest is compatible. Each quirk is one function or one commented line; hosts.md is
// the source.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/json_read.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

constexpr char kLibpod[] = "/v4.0.0/libpod";
// Podman lowers its own RLIMIT_NPROC to this, and then cannot give more.
constexpr std::uint64_t kMostProcesses = 32768;
constexpr std::int64_t kLeastMemory = 4 << 20;

json::object namespace_mode(const Namespace& ns, const char* own) {
  switch (ns.kind) {
    case Namespace::Kind::own:
      return {{"nsmode", own}};
    case Namespace::Kind::host:
      return {{"nsmode", "host"}};
    case Namespace::Kind::container:
      return {{"nsmode", "container"}, {"value", ns.container_id}};
    case Namespace::Kind::shareable:
      return {{"nsmode", "shareable"}};
    case Namespace::Kind::none:
      return {{"nsmode", "none"}};
  }
  return {{"nsmode", own}};
}

// Made of the address, as Docker does: a container that is started anew has the same one, and who knew the address
// reaches it at once. With a new one each time its neighbours would send to the old one for half a minute.
std::string mac_of(const std::string& ipv4) {
  unsigned char bytes[4];
  if (::inet_pton(AF_INET, ipv4.c_str(), bytes) != 1) return {};
  return fmt::format("02:42:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3]);
}

json::object bind_mount(const Mount& mount) {
  json::array options{"rbind"};
  options.emplace_back(mount.propagation == Propagation::none                ? "rprivate"
                       : mount.propagation == Propagation::host_to_container ? "rslave"
                                                                             : "rshared");
  options.emplace_back(mount.is_read_only ? "ro" : "rw");
  return {{"type", "bind"},
          {"source", mount.host_path},
          {"destination", mount.container_path},
          {"options", std::move(options)}};
}

json::object resource_limits(const Resources& resources) {
  json::object cpu, memory;
  if (resources.cpu_shares > 0) cpu["shares"] = resources.cpu_shares;
  if (resources.cpu_quota_us != 0) cpu["quota"] = resources.cpu_quota_us;
  if (resources.cpu_period_us > 0) cpu["period"] = resources.cpu_period_us;
  if (!resources.cpuset_cpus.empty()) cpu["cpus"] = resources.cpuset_cpus;
  if (!resources.cpuset_mems.empty()) cpu["mems"] = resources.cpuset_mems;
  if (resources.memory_limit_bytes > 0) {
    auto limit = std::max(resources.memory_limit_bytes, kLeastMemory);
    memory["limit"] = limit;
    memory["swap"] = limit;
  }
  json::object out;
  if (!cpu.empty()) out["cpu"] = std::move(cpu);
  if (!memory.empty()) out["memory"] = std::move(memory);
  // Left out, it would be the 2048 of containers.conf; a Pod's limit is its cgroup's affair.
  out["pids"] = json::object{{"limit", resources.pids_limit > 0 ? resources.pids_limit : -1}};
  return out;
}

class PodmanDialect final : public Dialect {
 public:
  PodmanDialect(EngineInfo info, HostFacts host) : Dialect(std::move(info), host) {}

  std::string api() const override { return "/v1.41"; }

  Result<Request> create_container(const ContainerSpec& spec) const override {
    json::object body;
    body["name"] = spec.name;
    body["image"] = spec.image;
    if (!spec.command.empty()) body["entrypoint"] = to_json(spec.command);
    if (!spec.args.empty()) body["command"] = to_json(spec.args);
    body["env"] = to_json(merged_env(spec.env));
    if (!spec.working_dir.empty()) {
      body["work_dir"] = spec.working_dir;
      body["create_working_dir"] = true;  // as CRI runtimes do
    }
    body["labels"] = to_json(spec.labels);
    body["stdin"] = spec.has_stdin;
    body["terminal"] = spec.has_tty;
    body["healthconfig"] = json::object{{"Test", json::array{"NONE"}}};  // stuck without systemd
    body["init"] = false;                                                // catatonit may be missing
    body["systemd"] = "false";  // no tmpfs and stop signal guessed from the command's name
    body["restart_policy"] = spec.restart_policy;
    if (auto signal = signal_number(spec.stop_signal)) body["stop_signal"] = signal;
    // What `rm --force` waits for after TERM (10 s otherwise): whoever wants grace stops first, and says how
    // long.
    body["stop_timeout"] = 0;
    body["image_volume_mode"] = "anonymous";
    if (!spec.sysctls.empty()) body["sysctl"] = to_json(spec.sysctls);
    if (spec.shm_bytes > 0) body["shm_size"] = spec.shm_bytes;
    if (!spec.cgroup_parent.empty())
      body["cgroup_parent"] = cgroup_parent_argument(spec.cgroup_parent, info_.cgroup_driver);
    // crun refuses hybrid cgroups ("cgroups in hybrid mode not supported"); runc is named for this container
    // alone.
    if (host_.cgroup_mode == CgroupMode::hybrid && info_.default_runtime == "crun" && has_runtime("runc"))
      body["oci_runtime"] = "runc";
    set_namespaces(spec, body);
    set_mounts(spec, body);
    body["resource_limits"] = resource_limits(spec.resources);
    if (auto score = allowed_oom_score(spec.resources, host_)) body["oom_score_adj"] = *score;
    set_security(spec.security, body);
    json::object log{
        {"driver", "k8s-file"}};  // the default may be journald; max-size would truncate, so it is not set
    if (!spec.log_path.empty()) log["path"] = spec.log_path;
    body["log_configuration"] = std::move(log);
    return Request{"POST", std::string(kLibpod) + "/containers/create", json::serialize(body)};
  }

  // libpod's list tells the Pid, and with it which "running" containers are dead (conmon killed).
  Request list_containers(const std::map<std::string, std::string>& labels) const override {
    return {"GET", std::string(kLibpod) + "/containers/json?all=true&filters=" + label_filter(labels), {}};
  }

  std::vector<ContainerSummary> read_containers(const json::value& answer) const override {
    std::vector<ContainerSummary> out;
    if (!answer.is_array()) return out;
    for (const auto& item : answer.get_array()) {
      ContainerSummary summary;
      summary.id = json_string(item, "Id");
      if (auto names = json_strings(item, "Names"); !names.empty()) summary.name = names[0];
      summary.image = json_string(item, "Image");
      summary.image_id = with_sha256(json_string(item, "ImageID"));
      summary.state = container_state(json_string(item, "State"));
      summary.labels = json_map(item, "Labels");
      summary.created_at_ns = parse_time_ns(json_string(item, "Created"));
      summary.pid = static_cast<int>(json_int(item, "Pid"));
      out.push_back(std::move(summary));
    }
    return out;
  }

  Request inspect_container(std::string_view id) const override {
    return {"GET", std::string(kLibpod) + "/containers/" + url_escape(id) + "/json", {}};
  }

  ContainerDetails read_container(const json::value& answer) const override {
    ContainerDetails out;
    const auto& state = json_at(answer, "State");
    const auto& config = json_at(answer, "Config");
    out.id = json_string(answer, "Id");
    out.name = json_string(answer, "Name");
    out.image = json_string(answer, "ImageName");
    out.image_id = with_sha256(json_string(answer, "Image"));
    out.state = container_state(json_string(state, "Status"));
    out.pid = static_cast<int>(json_int(state, "Pid"));
    out.monitor_pid = static_cast<int>(json_int(state, "ConmonPid"));
    out.exit_code = static_cast<int>(json_int(state, "ExitCode"));
    out.is_oom_killed = json_bool(state, "OOMKilled");
    out.error = json_string(state, "Error");
    out.created_at_ns = parse_time_ns(json_string(answer, "Created"));
    out.started_at_ns = parse_time_ns(json_string(state, "StartedAt"));
    out.finished_at_ns = parse_time_ns(json_string(state, "FinishedAt"));
    out.restarts = static_cast<int>(json_int(answer, "RestartCount"));
    out.labels = json_map(config, "Labels");
    out.log_path = json_string(json_at(json_at(answer, "HostConfig"), "LogConfig"), "Path");
    out.hostname = json_string(config, "Hostname");
    out.has_tty = json_bool(config, "Tty");
    const auto& networks = json_at(json_at(answer, "NetworkSettings"), "Networks");
    if (networks.is_object())
      for (const auto& [name, network] : networks.get_object())
        out.network_ips[std::string(name)] = json_string(network, "IPAddress");
    const auto& mounts = json_at(answer, "Mounts");
    if (mounts.is_array())
      for (const auto& mount : mounts.get_array())
        out.mounts.push_back(
            {json_string(mount, "Source"), json_string(mount, "Destination"), !json_bool(mount, "RW")});
    return out;
  }

  // Refused without `depend` while another container has joined it, running or not.
  Request remove_with_dependents(std::string_view id) const override {
    return {"DELETE",
            std::string(kLibpod) + "/containers/" + url_escape(id) + "?v=true&force=true&depend=true",
            {}};
  }

  // The compatible route is missing in 4.3 (404).
  Request update_resources(std::string_view id, const Resources& resources) const override {
    auto body = resource_limits(resources);
    if (resources.pids_limit <= 0) body["pids"] = json::object();
    if (!body.if_contains("cpu")) body["cpu"] = json::object();
    if (!body.if_contains("memory")) body["memory"] = json::object();
    return {"POST", std::string(kLibpod) + "/containers/" + url_escape(id) + "/update",
            json::serialize(body)};
  }

  // The compatible route adds isolate=true and always a resolver.
  Request create_network(const NetworkSpec& spec) const override {
    json::object pool{{"subnet", spec.subnet}};
    if (!spec.gateway.empty()) pool["gateway"] = spec.gateway;
    json::object options;
    if (spec.mtu > 0) options["mtu"] = std::to_string(spec.mtu);
    json::object body{{"name", spec.name},
                      {"driver", "bridge"},
                      {"internal", spec.is_internal},
                      {"dns_enabled", spec.has_dns},
                      {"subnets", json::array{std::move(pool)}},
                      {"options", std::move(options)},
                      {"labels", to_json(spec.labels)}};
    if (!spec.bridge_name.empty()) body["network_interface"] = spec.bridge_name;
    return {"POST", std::string(kLibpod) + "/networks/create", json::serialize(body)};
  }
  Request inspect_network(std::string_view name) const override {
    return {"GET", std::string(kLibpod) + "/networks/" + url_escape(name) + "/json", {}};
  }
  Request list_networks(const std::map<std::string, std::string>& labels) const override {
    return {"GET", std::string(kLibpod) + "/networks/json?filters=" + label_filter(labels), {}};
  }
  NetworkDetails read_network(const json::value& network) const override {
    NetworkDetails out;
    out.id = json_string(network, "id");
    out.name = json_string(network, "name");
    const auto& pools = json_at(network, "subnets");
    if (pools.is_array() && !pools.get_array().empty()) {
      out.subnet = json_string(pools.get_array()[0], "subnet");
      out.gateway = json_string(pools.get_array()[0], "gateway");
    }
    out.bridge_name = json_string(network, "network_interface");
    out.labels = json_map(network, "labels");
    return out;
  }

  // Most of Podman's errors are 500: the text decides.
  Status map_error(int status, std::string message) const override {
    auto has = [&message](std::string_view text) { return message.find(text) != std::string::npos; };
    if (has("is already used on the host or by another config"))
      return {409, reason::kPoolOverlap, std::move(message), nullptr};
    if (has("is already allocated to container") || has("address already in use"))
      return {409, reason::kAddressInUse, std::move(message), nullptr};
    if (has("is already in use") || has("network already exists") || has("already used: network"))
      return {409, "AlreadyExists", std::move(message), nullptr};
    if (has("invalid reference format")) return {400, reason::kInvalidImageName, std::move(message), nullptr};
    if (has("no such container") || has("no container with") || has("no such image") ||
        has("image not known") || has("network not found") || has("no such volume") ||
        has("no such exec session") || has("unable to find network"))
      return {404, "NotFound", std::move(message), nullptr};
    if (has("can only create exec sessions on running containers") || has("has dependent containers") ||
        has("is not running") || has("can only kill running containers") || has("container state improper") ||
        has("cannot remove container") || has("image is in use") || has("image used by") ||
        has("network is being used"))
      return {409, "Conflict", std::move(message), nullptr};
    if (has("OCI runtime") || has("executable file") || has("crun:") || has("runc:"))
      return {400, reason::kStartError, std::move(message), nullptr};
    if (status == 404) return {404, "NotFound", std::move(message), nullptr};
    if (status == 409) return {409, "Conflict", std::move(message), nullptr};
    if (status == 400) return {400, "Invalid", std::move(message), nullptr};
    return {status, "InternalError", std::move(message), nullptr};
  }

  // Where a process ends that has not read its input, the last on its standard error: "Error: write unixpacket
  // @->/proc/self/fd/16/attach: write: connection reset by peer".
  bool is_own_word(StdStream which, std::string_view frame) const override {
    constexpr std::size_t kLongest = 256;
    return which == StdStream::err && frame.size() < kLongest && frame.ends_with('\n') &&
           (frame.starts_with("Error: write unixpacket @->") || frame.starts_with("Error: read unixpacket @->"));
  }

  EngineEvent read_event(const json::value& event) const override {
    auto out = read_event_fields(event);
    if (out.action == "died" || out.action == "exited") out.action = "die";
    if (out.action == "remove") out.action = "destroy";
    return out;
  }

 private:
  static std::string with_sha256(std::string id) {
    if (!id.empty() && !id.starts_with("sha256:")) id.insert(0, "sha256:");
    return id;
  }

  bool has_runtime(std::string_view name) const {
    return std::find(info_.runtimes.begin(), info_.runtimes.end(), name) != info_.runtimes.end() &&
           !find_program(name).empty();
  }

  // libpod wants a number where an image's and Kubernetes' word is "SIGTERM" or "15".
  static int signal_number(std::string_view text) {
    static constexpr std::pair<std::string_view, int> kSignals[] = {
        {"HUP", 1},   {"INT", 2},   {"QUIT", 3},   {"ILL", 4},     {"TRAP", 5},  {"ABRT", 6},   {"BUS", 7},
        {"FPE", 8},   {"KILL", 9},  {"USR1", 10},  {"SEGV", 11},   {"USR2", 12}, {"PIPE", 13},  {"ALRM", 14},
        {"TERM", 15}, {"CHLD", 17}, {"CONT", 18},  {"STOP", 19},   {"TSTP", 20}, {"TTIN", 21},  {"TTOU", 22},
        {"URG", 23},  {"XCPU", 24}, {"XFSZ", 25},  {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28}, {"IO", 29},
        {"PWR", 30},  {"SYS", 31},  {"RTMIN", 34}, {"RTMAX", 64}};
    if (text.starts_with("SIG")) text.remove_prefix(3);
    for (const auto& [name, number] : kSignals)
      if (text == name) return number;
    int value = 0;
    for (char c : text) {
      if (c < '0' || c > '9') return real_time_signal(text);
      value = value * 10 + (c - '0');
    }
    return value <= 64 ? value : 0;
  }

  // "RTMIN+3", "RTMAX-2".
  static int real_time_signal(std::string_view text) {
    if (text.size() < 7) return 0;
    int offset = 0;
    for (char c : text.substr(6)) {
      if (c < '0' || c > '9') return 0;
      offset = offset * 10 + (c - '0');
    }
    if (text.starts_with("RTMIN+") && offset <= 30) return 34 + offset;
    if (text.starts_with("RTMAX-") && offset <= 30) return 64 - offset;
    return 0;
  }

  void set_namespaces(const ContainerSpec& spec, json::object& body) const {
    if (spec.attachment) {
      json::object options;
      if (!spec.attachment->ipv4.empty()) {
        options["static_ips"] = json::array{json::string(spec.attachment->ipv4)};
        if (const std::string mac = mac_of(spec.attachment->ipv4); !mac.empty()) options["static_mac"] = mac;
      }
      if (!spec.attachment->aliases.empty()) options["aliases"] = to_json(spec.attachment->aliases);
      body["netns"] = json::object{{"nsmode", "bridge"}};
      body["networks"] = json::object{{spec.attachment->network, std::move(options)}};
    } else {
      body["netns"] = namespace_mode(spec.network, "none");
    }
    body["pidns"] = namespace_mode(spec.pid, "private");
    body["ipcns"] = namespace_mode(spec.ipc, "private");
    body["utsns"] = namespace_mode(spec.uts, "private");
    // A container that joins another's network would be named by its own id without the joined UTS namespace.
    bool owns_uts = spec.uts.kind == Namespace::Kind::own;
    if (owns_uts && spec.network.kind == Namespace::Kind::container && !spec.attachment &&
        spec.hostname.empty())
      body["utsns"] = namespace_mode(spec.network, "private");
    else if (owns_uts && !spec.hostname.empty())
      body["hostname"] = spec.hostname;
    json::array ports;
    for (const auto& port : spec.ports)
      ports.push_back(json::object{{"host_ip", port.host_ip},
                                   {"host_port", port.host_port},
                                   {"container_port", port.container_port},
                                   {"protocol", port.protocol}});
    if (!ports.empty()) body["portmappings"] = std::move(ports);
  }

  void set_mounts(const ContainerSpec& spec, json::object& body) const {
    json::array mounts;
    for (const auto& mount : spec.mounts) mounts.push_back(bind_mount(mount));
    for (const auto& tmpfs : spec.tmpfs) {
      json::array options{"nosuid", "nodev"};
      if (tmpfs.size_bytes > 0) options.emplace_back("size=" + std::to_string(tmpfs.size_bytes));
      mounts.push_back(json::object{{"type", "tmpfs"},
                                    {"source", "tmpfs"},
                                    {"destination", tmpfs.container_path},
                                    {"options", std::move(options)}});
    }
    if (!mounts.empty()) body["mounts"] = std::move(mounts);
    json::array devices;
    for (const auto& device : spec.devices)
      devices.push_back(
          json::object{{"path", device.host_path + ":" + device.container_path + ":" + device.permissions}});
    if (!devices.empty()) body["devices"] = std::move(devices);
  }

  void set_security(const Security& security, json::object& body) const {
    // The defaults of 4.3 exceed the hard limits of many hosts ("setrlimit RLIMIT_NOFILE: Operation not
    // permitted").
    auto processes = std::min(host_.nproc_hard, kMostProcesses);
    body["r_limits"] = json::array{
        json::object{{"type", "nofile"}, {"soft", host_.nofile_hard}, {"hard", host_.nofile_hard}},
        json::object{{"type", "nproc"}, {"soft", processes}, {"hard", processes}}};
    if (!security.user.empty()) body["user"] = security.user;
    if (!security.supplemental_groups.empty()) {
      json::array groups;
      for (auto group : security.supplemental_groups) groups.emplace_back(std::to_string(group));
      body["groups"] = std::move(groups);
    }
    body["read_only_filesystem"] = security.has_read_only_rootfs;
    body["read_write_tmpfs"] =
        false;  // newer ones mount a writable /tmp and /run otherwise; 4.3's libpod route does not
    body["no_new_privileges"] = security.no_new_privileges;
    if (security.is_privileged) {
      body["privileged"] = true;  // capabilities that the host lacks are dropped silently
      return;
    }
    // Only what was asked for: for a user other than root Podman makes cap_add ambient, so a full list would
    // give an unprivileged process the whole default set.
    body["cap_add"] = to_json(expand_capabilities(security.add_capabilities, host_, kKnownCapabilities));
    json::array drops;
    for (auto name : security.drop_capabilities) {
      for (auto& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      drops.emplace_back(name == "ALL" || name.starts_with("CAP_") ? name : "CAP_" + name);
    }
    body["cap_drop"] = std::move(drops);
    if (security.is_proc_unmasked) body["unmask"] = json::array{"ALL"};  // an empty MaskedPaths is ignored
    // A path, never the profile itself.
    if (security.seccomp == SeccompKind::unconfined) body["seccomp_profile_path"] = "unconfined";
    if (security.seccomp == SeccompKind::localhost)
      body["seccomp_profile_path"] = security.seccomp_profile_path;
    if (!security.apparmor_profile.empty() && info_.has_apparmor)
      body["apparmor_profile"] = security.apparmor_profile;
  }
};

}  // namespace

std::unique_ptr<Dialect> make_podman_dialect(EngineInfo info, HostFacts host) {
  return std::make_unique<PodmanDialect>(std::move(info), host);
}

}  // namespace rusternetes::engine
