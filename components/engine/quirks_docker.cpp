// Docker 20.10 and newer. Each quirk is one function or one commented line; hosts.md's measurements are the
// source.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/json_read.h"
#include "engine/reference.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

constexpr std::int64_t kLeastMemory = 6 << 20;  // below: 400 "Minimum memory limit allowed is 6MB"

int major_version(std::string_view version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

std::string namespace_mode(const Namespace& ns, std::string_view own) {
  switch (ns.kind) {
    case Namespace::Kind::own:
      return std::string(own);
    case Namespace::Kind::host:
      return "host";
    case Namespace::Kind::container:
      return "container:" + ns.container_id;
    case Namespace::Kind::shareable:
      return "shareable";
    case Namespace::Kind::none:
      return "none";
  }
  return std::string(own);
}

json::object bind_mount(const Mount& mount) {
  const char* propagation = mount.propagation == Propagation::none                ? "rprivate"
                            : mount.propagation == Propagation::host_to_container ? "rslave"
                                                                                  : "rshared";
  return {{"Type", "bind"},
          {"Source", mount.host_path},
          {"Target", mount.container_path},
          {"ReadOnly", mount.is_read_only},
          {"BindOptions", json::object{{"Propagation", propagation}}}};
}

json::object port_fields(const ContainerSpec& spec, json::object& exposed) {
  json::object bindings;
  for (const auto& port : spec.ports) {
    std::string key = std::to_string(port.container_port) + "/" + port.protocol;
    exposed[key] = json::object();
    auto& list = bindings[key];
    if (!list.is_array()) list = json::array();
    list.get_array().push_back(
        json::object{{"HostIp", port.host_ip}, {"HostPort", std::to_string(port.host_port)}});
  }
  return bindings;
}

class DockerDialect final : public Dialect {
 public:
  DockerDialect(EngineInfo info, HostFacts host) : Dialect(std::move(info), host) {}

  // info().api_version was negotiated at connect: the oldest that means what we rely on and that the server
  // still takes.
  std::string api() const override { return "/v" + info_.api_version; }

  Result<Request> create_container(const ContainerSpec& spec) const override {
    json::object config, host;
    config["Image"] = spec.image;
    if (!spec.command.empty()) config["Entrypoint"] = to_json(spec.command);
    if (!spec.args.empty()) config["Cmd"] = to_json(spec.args);
    json::array env;
    for (const auto& [name, value] : merged_env(spec.env)) env.emplace_back(name + "=" + value);
    config["Env"] = std::move(env);
    if (!spec.working_dir.empty()) config["WorkingDir"] = spec.working_dir;
    if (!spec.security.user.empty()) config["User"] = spec.security.user;
    // With a joined network namespace a hostname is refused (400 "conflicting options") and the other's is
    // inherited.
    bool joins_uts = spec.network.kind == Namespace::Kind::container && !spec.attachment;
    if (!spec.hostname.empty() && !joins_uts && spec.uts.kind != Namespace::Kind::host)
      config["Hostname"] = spec.hostname;
    config["Labels"] = to_json(spec.labels);
    config["OpenStdin"] = spec.has_stdin;
    config["StdinOnce"] = spec.is_stdin_once;
    config["Tty"] = spec.has_tty;
    config["Healthcheck"] = json::object{{"Test", json::array{"NONE"}}};  // probes are the kubelet's
    if (!spec.stop_signal.empty()) config["StopSignal"] = spec.stop_signal;

    json::object exposed;
    auto bindings = port_fields(spec, exposed);
    if (!bindings.empty()) {
      config["ExposedPorts"] = std::move(exposed);
      host["PortBindings"] = std::move(bindings);
    }
    set_namespaces(spec, config, host);
    set_mounts(spec, host);
    set_resources(spec.resources, host);
    RN_CHECK(set_security(spec.security, host));
    host["RestartPolicy"] = json::object{{"Name", spec.restart_policy}};
    if (!spec.cgroup_parent.empty())
      host["CgroupParent"] = cgroup_parent_argument(spec.cgroup_parent, info_.cgroup_driver);
    if (!spec.sysctls.empty()) host["Sysctls"] = to_json(spec.sysctls);
    if (spec.shm_bytes > 0) host["ShmSize"] = spec.shm_bytes;
    json::object log_options;
    if (spec.log_max_bytes > 0) {
      log_options["max-size"] = std::to_string(spec.log_max_bytes);
      log_options["max-file"] = std::to_string(std::max(1, spec.log_max_files));
    }
    // Always named: the daemon's default may be one without a file. Its path cannot be chosen.
    host["LogConfig"] = json::object{{"Type", "json-file"}, {"Config", std::move(log_options)}};
    config["HostConfig"] = std::move(host);
    return Request{"POST", api() + "/containers/create?name=" + url_escape(spec.name),
                   json::serialize(config)};
  }

  Request list_containers(const std::map<std::string, std::string>& labels) const override {
    return {"GET", api() + "/containers/json?all=true&filters=" + label_filter(labels), {}};
  }

  std::vector<ContainerSummary> read_containers(const json::value& answer) const override {
    std::vector<ContainerSummary> out;
    if (!answer.is_array()) return out;
    for (const auto& item : answer.get_array()) {
      ContainerSummary summary;
      summary.id = json_string(item, "Id");
      if (auto names = json_strings(item, "Names"); !names.empty())
        summary.name = names[0].starts_with('/') ? names[0].substr(1) : names[0];
      summary.image = json_string(item, "Image");
      summary.image_id = json_string(item, "ImageID");
      summary.state = container_state(json_string(item, "State"));
      summary.labels = json_map(item, "Labels");
      summary.created_at_ns = json_int(item, "Created") * 1'000'000'000;
      out.push_back(std::move(summary));
    }
    return out;
  }

  Request inspect_container(std::string_view id) const override {
    return {"GET", api() + "/containers/" + url_escape(id) + "/json", {}};
  }

  ContainerDetails read_container(const json::value& answer) const override {
    ContainerDetails out;
    const auto& state = json_at(answer, "State");
    const auto& config = json_at(answer, "Config");
    out.id = json_string(answer, "Id");
    out.name = json_string(answer, "Name");
    if (out.name.starts_with('/')) out.name.erase(0, 1);
    out.image = json_string(config, "Image");
    out.image_id = json_string(answer, "Image");
    out.state = container_state(json_string(state, "Status"));
    out.pid = static_cast<int>(json_int(state, "Pid"));
    out.exit_code = static_cast<int>(json_int(state, "ExitCode"));
    out.is_oom_killed = json_bool(state, "OOMKilled");
    out.error = json_string(state, "Error");
    out.created_at_ns = parse_time_ns(json_string(answer, "Created"));
    out.started_at_ns = parse_time_ns(json_string(state, "StartedAt"));
    out.finished_at_ns = parse_time_ns(json_string(state, "FinishedAt"));
    out.restarts = static_cast<int>(json_int(answer, "RestartCount"));
    out.labels = json_map(config, "Labels");
    out.log_path = json_string(answer, "LogPath");
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

  Request remove_with_dependents(std::string_view id) const override {
    return {"DELETE", api() + "/containers/" + url_escape(id) + "?v=true&force=true", {}};
  }

  Request update_resources(std::string_view id, const Resources& resources) const override {
    json::object body;
    set_resources(resources, body);
    return {"POST", api() + "/containers/" + url_escape(id) + "/update", json::serialize(body)};
  }

  Request create_network(const NetworkSpec& spec) const override {
    json::object pool{{"Subnet", spec.subnet}};
    if (!spec.gateway.empty()) pool["Gateway"] = spec.gateway;
    if (!spec.ip_range.empty()) pool["IPRange"] = spec.ip_range;
    json::object options;
    if (!spec.bridge_name.empty()) options["com.docker.network.bridge.name"] = spec.bridge_name;
    if (spec.mtu > 0) options["com.docker.network.driver.mtu"] = std::to_string(spec.mtu);
    json::object body{{"Name", spec.name},
                      // Without it a second network of the same name is made.
                      {"CheckDuplicate", true},
                      {"Driver", "bridge"},
                      {"Internal", spec.is_internal},
                      {"IPAM", json::object{{"Driver", "default"}, {"Config", json::array{std::move(pool)}}}},
                      {"Options", std::move(options)},
                      {"Labels", to_json(spec.labels)}};
    return {"POST", api() + "/networks/create", json::serialize(body)};
  }
  Request inspect_network(std::string_view name) const override {
    return {"GET", api() + "/networks/" + url_escape(name), {}};
  }
  Request list_networks(const std::map<std::string, std::string>& labels) const override {
    return {"GET", api() + "/networks?filters=" + label_filter(labels), {}};
  }
  NetworkDetails read_network(const json::value& network) const override {
    NetworkDetails out;
    out.id = json_string(network, "Id");
    out.name = json_string(network, "Name");
    const auto& pools = json_at(json_at(network, "IPAM"), "Config");
    if (pools.is_array() && !pools.get_array().empty()) {
      out.subnet = json_string(pools.get_array()[0], "Subnet");
      out.gateway = json_string(pools.get_array()[0], "Gateway");
    }
    out.bridge_name = json_string(json_at(network, "Options"), "com.docker.network.bridge.name");
    if (out.bridge_name.empty()) out.bridge_name = "br-" + out.id.substr(0, 12);  // Docker's own naming
    out.labels = json_map(network, "Labels");
    return out;
  }

  Status map_error(int status, std::string message) const override {
    auto has = [&message](std::string_view text) { return message.find(text) != std::string::npos; };
    if (has("Pool overlaps with other one")) return {409, reason::kPoolOverlap, std::move(message), nullptr};
    if (has("Address already in use") || has("port is already allocated") || has("address already in use"))
      return {409, reason::kAddressInUse, std::move(message), nullptr};
    if (has("is already in use by container") || (status == 409 && has("already exists")))
      return {409, "AlreadyExists", std::move(message), nullptr};
    if (has("invalid reference format")) return {400, reason::kInvalidImageName, std::move(message), nullptr};
    // A command that cannot be run: 400 `exec: "x": stat x: no such file`, or runc's own words.
    if (has("OCI runtime create failed") || has("failed to create task") || has("failed to create shim"))
      return {400, reason::kStartError, std::move(message), nullptr};
    if (status == 404) return {404, "NotFound", std::move(message), nullptr};
    if (status == 409) return {409, "Conflict", std::move(message), nullptr};
    if (status == 400) return {400, "Invalid", std::move(message), nullptr};
    return {status, "InternalError", std::move(message), nullptr};
  }

  EngineEvent read_event(const json::value& event) const override { return read_event_fields(event); }

 private:
  void set_namespaces(const ContainerSpec& spec, json::object& config, json::object& host) const {
    if (spec.attachment) {
      host["NetworkMode"] = spec.attachment->network;
      json::object endpoint;
      if (!spec.attachment->ipv4.empty())
        endpoint["IPAMConfig"] = json::object{{"IPv4Address", spec.attachment->ipv4}};
      if (!spec.attachment->aliases.empty()) endpoint["Aliases"] = to_json(spec.attachment->aliases);
      config["NetworkingConfig"] =
          json::object{{"EndpointsConfig", json::object{{spec.attachment->network, std::move(endpoint)}}}};
    } else {
      host["NetworkMode"] = namespace_mode(spec.network, "none");
    }
    if (spec.pid.kind != Namespace::Kind::own) host["PidMode"] = namespace_mode(spec.pid, "");
    host["IpcMode"] = namespace_mode(spec.ipc, "private");  // a pause that others join must be "shareable"
    if (spec.uts.kind == Namespace::Kind::host) host["UTSMode"] = "host";
  }

  void set_mounts(const ContainerSpec& spec, json::object& host) const {
    json::array mounts;
    // Mounts, not Binds: Binds makes a folder of a missing source, and splits at colons.
    for (const auto& mount : spec.mounts) mounts.push_back(bind_mount(mount));
    for (const auto& tmpfs : spec.tmpfs) {
      json::object options;
      if (tmpfs.size_bytes > 0) options["SizeBytes"] = tmpfs.size_bytes;
      mounts.push_back(json::object{
          {"Type", "tmpfs"}, {"Target", tmpfs.container_path}, {"TmpfsOptions", std::move(options)}});
    }
    if (spec.security.is_privileged && !host_.has_all_capabilities()) {
      for (const char* path : {"/dev", "/sys"}) {
        bool is_given = false;
        for (const auto& mount : spec.mounts) is_given |= mount.container_path == path;
        if (!is_given) mounts.push_back(bind_mount({path, path}));
      }
    }
    host["Mounts"] = std::move(mounts);
    json::array devices;
    for (const auto& device : spec.devices)
      devices.push_back(json::object{{"PathOnHost", device.host_path},
                                     {"PathInContainer", device.container_path},
                                     {"CgroupPermissions", device.permissions}});
    if (!devices.empty()) host["Devices"] = std::move(devices);
  }

  void set_resources(const Resources& resources, json::object& host) const {
    if (resources.cpu_shares > 0) host["CpuShares"] = resources.cpu_shares;
    if (resources.cpu_quota_us != 0) host["CpuQuota"] = resources.cpu_quota_us;
    if (resources.cpu_period_us > 0) host["CpuPeriod"] = resources.cpu_period_us;
    if (resources.memory_limit_bytes > 0) {
      auto limit = std::max(resources.memory_limit_bytes, kLeastMemory);
      host["Memory"] = limit;
      host["MemorySwap"] = limit;
    }
    if (!resources.cpuset_cpus.empty()) host["CpusetCpus"] = resources.cpuset_cpus;
    if (!resources.cpuset_mems.empty()) host["CpusetMems"] = resources.cpuset_mems;
    if (resources.pids_limit > 0) host["PidsLimit"] = resources.pids_limit;
    if (auto score = allowed_oom_score(resources, host_)) host["OomScoreAdj"] = *score;
  }

  Result<void> set_security(const Security& security, json::object& host) const {
    // Not needed by Docker, but then a container gets the daemon's own limits, whatever these are; above the
    // hard limit starting fails with "error setting rlimit type 7".
    host["Ulimits"] = json::array{
        json::object{{"Name", "nofile"}, {"Soft", host_.nofile_hard}, {"Hard", host_.nofile_hard}},
        json::object{{"Name", "nproc"}, {"Soft", host_.nproc_hard}, {"Hard", host_.nproc_hard}}};
    host["Init"] = false;
    if (!security.supplemental_groups.empty()) {
      json::array groups;
      for (auto group : security.supplemental_groups) groups.emplace_back(std::to_string(group));
      host["GroupAdd"] = std::move(groups);
    }
    host["ReadonlyRootfs"] = security.has_read_only_rootfs;
    json::array options;
    if (security.no_new_privileges) options.emplace_back("no-new-privileges:true");
    if (security.is_privileged && host_.has_all_capabilities()) {
      host["Privileged"] = true;
    } else if (security.is_privileged) {
      emulate_privileged(host, options);
    } else {
      host["CapAdd"] = to_json(expand_capabilities(security.add_capabilities, host_, known_capabilities()));
      host["CapDrop"] = to_json(drops(security));
      if (security.is_proc_unmasked) unmask(host);
      if (security.seccomp == SeccompKind::unconfined) options.emplace_back("seccomp=unconfined");
      if (security.seccomp == SeccompKind::localhost) {
        // The API takes the profile itself, never a path.
        auto profile = read_small_file(security.seccomp_profile_path);
        if (profile.empty())
          return Status{400, "Invalid",
                        "cannot load seccomp profile \"" + security.seccomp_profile_path + "\"", nullptr};
        options.emplace_back("seccomp=" + profile);
      }
      if (!security.apparmor_profile.empty() && info_.has_apparmor)
        options.emplace_back("apparmor=" + security.apparmor_profile);
    }
    if (!options.empty()) host["SecurityOpt"] = std::move(options);
    return {};
  }

  static std::vector<std::string> drops(const Security& security) {
    std::vector<std::string> out;
    for (auto name : security.drop_capabilities) {
      for (auto& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      out.push_back(name == "ALL" || name.starts_with("CAP_") ? name : "CAP_" + name);
    }
    return out;
  }

  // 20.10 rejects the three newest capabilities by name.
  int known_capabilities() const { return major_version(info_.version) < 23 ? 38 : kKnownCapabilities; }

  static void unmask(json::object& host) {
    host["MaskedPaths"] = json::array();
    host["ReadonlyPaths"] = json::array();
  }

  // Privileged asks runc for every capability, and fails on a host that lacks one ("unable to apply caps").
  // The parts that it stands for are asked for one by one; /dev and /sys come as binds (set_mounts).
  void emulate_privileged(json::object& host, json::array& options) const {
    host["CapAdd"] = to_json(expand_capabilities({"ALL"}, host_, known_capabilities()));
    unmask(host);
    host["DeviceCgroupRules"] = json::array{"a *:* rwm"};
    options.emplace_back("seccomp=unconfined");
    if (info_.has_apparmor) options.emplace_back("apparmor=unconfined");
  }
};

}  // namespace

std::unique_ptr<Dialect> make_docker_dialect(EngineInfo info, HostFacts host) {
  return std::make_unique<DockerDialect>(std::move(info), host);
}

}  // namespace rusternetes::engine
