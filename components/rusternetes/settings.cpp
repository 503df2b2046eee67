#include "rusternetes/settings.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cstddef>
#include <cstring>

#include "apimachinery/names.h"
#include "certs/file.h"
#include "network/names.h"
#include "network/node_link.h"
#include "state/pools.h"

namespace rusternetes {

namespace json = boost::json;
using network::IpPrefix;
using network::NetworkNamespace;

namespace {

constexpr const char* file_name = "cluster.json";

Status bad(std::string text) { return Status{400, "BadRequest", std::move(text)}; }

struct Field {
  const char* key;
  const char* flag;
  std::string ClusterSettings::*member;
  std::string ProcessOptions::*option;
};
constexpr Field fields[] = {
    {"clusterName", "--cluster-name", &ClusterSettings::cluster_name, &ProcessOptions::cluster_name},
    {"nodeName", "--node-name", &ClusterSettings::node_name, &ProcessOptions::node_name},
    {"podCIDR", "--pod-cidr", &ClusterSettings::pod_cidr, &ProcessOptions::pod_cidr},
    {"serviceCIDR", "--service-cluster-ip-range", &ClusterSettings::service_cluster_ip_range,
     &ProcessOptions::service_cluster_ip_range},
    {"nodeAddress", "--node-address", &ClusterSettings::node_address, &ProcessOptions::node_address},
    {"hostAddress", "--host-address", &ClusterSettings::host_address, &ProcessOptions::host_address},
};

std::vector<state::Range> state_ranges(const std::vector<IpPrefix>& prefixes) {
  std::vector<state::Range> out;
  for (const auto& prefix : prefixes)
    if (auto range = state::Range::parse(prefix.masked().to_string())) out.push_back(*range);
  return out;
}

Result<void> check_free(const char* flag, const std::string& list, const std::vector<IpPrefix>& used) {
  for (const auto& text : split_list(list)) {
    RN_TRY(const IpPrefix wanted,
           IpPrefix::parse(text.find('/') == std::string::npos
                               ? IpPrefix::host(*network::IpAddress::parse(text)).to_string()
                               : text));
    for (const auto& one : used)
      if (!one.is_everything() && one.overlaps(wanted))
        return Status{409, "AlreadyExists",
                      fmt::format("{} {} overlaps {}, which this host uses already: stop what uses it, or "
                                  "start a new cluster with another range",
                                  flag, text, one.masked().to_string())};
  }
  return {};
}

// The controllers, the kubelet and kube-proxy serve Pods of one family. (The data of a cluster that was made
// with two stay usable.)
Result<void> check_one_family(const char* flag, const std::string& list) {
  int first = 0;
  for (const auto& text : split_list(list)) {
    RN_TRY(const IpPrefix range, IpPrefix::parse(text));
    if (first != 0 && range.address().family() != first)
      return bad(fmt::format(
          "{} {} has ranges of two address families: a cluster has one, IPv4 or IPv6, so name one range",
          flag, list));
    first = range.address().family();
  }
  return {};
}

// Labels of containers and names of links carry the cluster, so that two folders must not end up with one
// name.
std::string name_of_folder(const std::string& data_dir) {
  return "rusternetes-" + network::cluster_hash(data_dir);
}

std::string node_name_of(std::string host_name) {
  for (char& c : host_name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return apimachinery::is_dns1123_subdomain(host_name).empty() ? host_name : "node";
}

Result<std::string> pick(state::Pool (*pool)(state::Family), std::vector<state::Range>& taken,
                         const std::vector<state::Range>& used) {
  RN_TRY(const auto range, state::pick_range(pool(state::Family::ipv4), taken, used));
  taken.push_back(range);
  return range.to_string();
}

}  // namespace

std::string to_json(const ClusterSettings& settings) {
  json::object out;
  for (const auto& field : fields)
    if (!(settings.*field.member).empty()) out[field.key] = settings.*field.member;
  return json::serialize(out) + "\n";
}

Result<ClusterSettings> settings_from_json(std::string_view text) {
  boost::json::error_code error;
  const auto value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return internal_error("not a JSON object");
  ClusterSettings out;
  for (const auto& field : fields) {
    const auto* found = value.get_object().if_contains(field.key);
    if (!found) continue;
    if (!found->is_string()) return internal_error(fmt::format("{} is no string", field.key));
    out.*field.member = std::string(found->get_string());
  }
  return out;
}

Result<ClusterSettings> choose_settings(const ProcessOptions& flags,
                                        const std::optional<ClusterSettings>& kept, const HostFacts& host) {
  ClusterSettings out = kept.value_or(ClusterSettings{});
  if (out.pod_cidr.empty()) RN_CHECK(check_one_family("--pod-cidr", flags.pod_cidr));
  if (out.service_cluster_ip_range.empty())
    RN_CHECK(check_one_family("--service-cluster-ip-range", flags.service_cluster_ip_range));
  for (const auto& field : fields) {
    const std::string& given = flags.*field.option;
    std::string& value = out.*field.member;
    if (!given.empty() && !value.empty() && given != value)
      return bad(fmt::format(
          "{} {}: the data in {} are of a cluster with {}; leave the flag out, or take another --data-dir",
          field.flag, given, flags.data_dir, value));
    if (!given.empty()) value = given;
  }
  if (out.cluster_name.empty()) out.cluster_name = name_of_folder(flags.data_dir);
  if (out.node_name.empty()) out.node_name = node_name_of(host.host_name);
  RN_CHECK(check_free("--pod-cidr", out.pod_cidr, host.used_ranges));
  RN_CHECK(check_free("--service-cluster-ip-range", out.service_cluster_ip_range, host.used_ranges));
  const auto used = state_ranges(host.used_ranges);
  std::vector<state::Range> taken;
  for (const auto& list : {out.pod_cidr, out.service_cluster_ip_range})
    for (const auto& text : split_list(list))
      if (auto range = state::Range::parse(text)) taken.push_back(*range);
  if (out.pod_cidr.empty()) {
    RN_TRY(out.pod_cidr, pick(state::pod_pool, taken, used));
  }
  if (out.service_cluster_ip_range.empty()) {
    RN_TRY(out.service_cluster_ip_range, pick(state::service_pool, taken, used));
  }
  if (!flags.has_own_node()) {
    if (out.node_address.empty()) out.node_address = host.address;
    if (out.node_address.empty())
      return bad("this host has no default route to tell its address by: give it by --node-address");
    out.host_address = out.node_address;
    return out;
  }
  if (out.node_address.empty() != out.host_address.empty())
    return bad("--node-address and --host-address go together");
  if (out.node_address.empty()) {
    RN_TRY(const auto link, state::pick_range(state::link_pool(state::Family::ipv4), taken, used));
    out.host_address = link.at(1).to_string();
    out.node_address = link.at(2).to_string();
  }
  RN_CHECK(check_free("--node-address", out.node_address, host.used_ranges));
  return out;
}

// An abstract socket belongs to the network namespace, as links and rules do, and vanishes with its process.
Result<std::unique_ptr<ClusterClaim>> ClusterClaim::take(const std::string& cluster) {
  const std::string name = "rusternetes/" + cluster;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) return bad(fmt::format("--cluster-name {}: too long", cluster));
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_error("socket", errno);
  std::unique_ptr<ClusterClaim> claim(new ClusterClaim(fd));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0) return claim;
  if (errno == EADDRINUSE)
    return Status{
        409, "AlreadyExists",
        fmt::format(
            "a cluster \"{}\" runs on this host already: stop it, or give this one another --cluster-name",
            cluster)};
  return errno_error(fmt::format("claim the cluster \"{}\"", cluster), errno);
}

ClusterClaim::~ClusterClaim() { ::close(fd_); }

namespace {

Result<std::optional<ClusterSettings>> read_kept(const std::string& path) {
  auto text = certs::read_text(path);
  if (!text && text.error().is("NotFound")) return std::optional<ClusterSettings>{};
  if (!text) return text.error();
  auto settings = settings_from_json(*text);
  if (!settings) return internal_error(fmt::format("{}: {}", path, settings.error().message));
  return std::optional<ClusterSettings>(*std::move(settings));
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

Result<std::unique_ptr<ClusterClaim>> settle(ProcessOptions& options, const NetworkNamespace& host) {
  if (!options.is_by_hand()) {
    for (const auto& field : fields)
      if ((options.*field.option).empty())
        return bad(fmt::format(
            "{} is missing: with a node prepared by somebody else every name, range and address is given",
            field.flag));
    return ClusterClaim::take(options.cluster_name);
  }
  const std::string path = options.data_dir + "/" + file_name;
  RN_TRY(const auto kept, read_kept(path));
  const std::string cluster = kept && !kept->cluster_name.empty() ? kept->cluster_name
                              : options.cluster_name.empty()      ? name_of_folder(options.data_dir)
                                                                  : options.cluster_name;
  RN_TRY(auto claim, ClusterClaim::take(cluster));
  // Of a process that was killed: the kernel takes the links away, but not at once, and Pods of a host that
  // is the node stay.
  RN_TRY(const auto stale, network::delete_cluster_links(host, cluster));
  HostFacts facts;
  facts.host_name = host_name();
  RN_TRY(facts.used_ranges, network::used_prefixes(host));
  RN_TRY(const auto uplink, network::find_uplink(host, AF_INET));
  if (uplink && uplink->source) facts.address = uplink->source->to_string();
  RN_TRY(const auto chosen, choose_settings(options, kept, facts));
  for (const auto& field : fields) options.*field.option = chosen.*field.member;
  if (!kept || *kept != chosen) RN_CHECK(certs::write_atomically(path, to_json(chosen), certs::public_mode));
  return claim;
}

}  // namespace rusternetes
