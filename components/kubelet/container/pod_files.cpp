#include "kubelet/container/pod_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/task.h"

namespace rusternetes::kubelet {

namespace fs = std::filesystem;

std::string read_text_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string hosts_file(const core_v1::Pod& pod, const std::vector<std::string>& pod_ips, std::string_view cluster_domain,
                       std::string_view node_hosts) {
  std::string out;
  if (is_host_network(pod)) {
    out = "# Kubernetes-managed hosts file (host network).\n";
    out += node_hosts;
  } else {
    out =
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n";
    const std::string name = pod_hostname(pod), domain = pod_domain(pod, cluster_domain);
    for (const auto& ip : pod_ips)
      out += domain.empty() ? fmt::format("{}\t{}\n", ip, name) : fmt::format("{0}\t{1}.{2}\t{1}\n", ip, name, domain);
  }
  if (pod.spec().hostAliases().empty()) return out;
  out += "\n# Entries added by HostAliases.\n";
  for (const auto alias : pod.spec().hostAliases()) {
    out += alias.ip();
    for (const auto name : alias.hostnames()) (out += '\t') += name;
    out += '\n';
  }
  return out;
}

namespace {

void add_missing(std::vector<std::string>& to, std::string_view one) {
  if (std::find(to.begin(), to.end(), one) == to.end()) to.emplace_back(one);
}

// "ndots:5" replaces an earlier "ndots:2".
void set_option(std::vector<std::string>& options, std::string_view option) {
  const auto name = option.substr(0, option.find(':'));
  std::erase_if(options, [&](const std::string& one) { return std::string_view(one).substr(0, one.find(':')) == name; });
  options.emplace_back(option);
}

}  // namespace

DnsConfig parse_resolv_conf(std::string_view text) {
  DnsConfig out;
  std::stringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::stringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "nameserver" && words >> word) out.servers.push_back(word);
    if (key == "search") {
      out.searches.clear();  // the last one counts
      while (words >> word) {
        if (word == ".") continue;
        if (word.ends_with('.')) word.pop_back();
        out.searches.push_back(word);
      }
    }
    if (key == "options")
      while (words >> word) set_option(out.options, word);
  }
  return out;
}

namespace {

// 0.0.0.0 and :: reach the own host, too. A scope ("::1%lo") changes nothing.
bool is_own_host(std::string_view server) {
  boost::system::error_code error;
  auto address = asio::ip::make_address(server.substr(0, server.find('%')), error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address.is_loopback() || address.is_unspecified();
}

}  // namespace

DnsConfig seen_from_outside(DnsConfig node, const std::vector<std::string>& servers) {
  if (!node.is_disabled && !servers.empty() && std::all_of(node.servers.begin(), node.servers.end(), is_own_host))
    node.servers = servers;
  return node;
}

DnsConfig node_dns(const core_v1::Pod& pod, const KubeletOptions& options) {
  auto out = parse_resolv_conf(options.resolv_conf.empty() ? "" : read_text_file(options.resolv_conf));
  out.is_disabled = options.resolv_conf.empty();
  if (is_host_network(pod) && options.netns_path.empty()) return out;
  return seen_from_outside(std::move(out), options.node_dns.empty() ? options.cluster_dns : options.node_dns);
}

std::string DnsConfig::to_string() const {
  std::string out;
  if (!searches.empty()) out += fmt::format("search {}\n", fmt::join(searches, " "));
  for (const auto& server : servers) out += fmt::format("nameserver {}\n", server);
  if (!options.empty()) out += fmt::format("options {}\n", fmt::join(options, " "));
  return out;
}

namespace {

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

void limit(DnsConfig& config, std::vector<DnsNote>& notes) {
  constexpr std::size_t kServers = 3, kSearches = 32, kSearchCharacters = 2048, kDomainCharacters = 253;
  if (config.servers.size() > kServers) {
    config.servers.resize(kServers);
    notes.push_back({"DNSConfigForming",
                     "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: " + joined(config.servers)});
  }
  const auto before = config.searches.size();
  if (config.searches.size() > kSearches) config.searches.resize(kSearches);
  std::erase_if(config.searches, [](const auto& search) { return search.size() > kDomainCharacters; });  // glibc ends itself on them
  std::size_t length = 0, kept = 0;
  for (; kept < config.searches.size(); ++kept) {
    length += config.searches[kept].size() + (kept ? 1 : 0);
    if (length > kSearchCharacters) break;
  }
  config.searches.resize(kept);
  if (config.searches.size() != before)
    notes.push_back({"DNSConfigForming",
                     "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: " + joined(config.searches)});
}

}  // namespace

DnsConfig pod_dns(const core_v1::Pod& pod, const DnsConfig& node, const std::vector<std::string>& cluster_dns,
                  std::string_view cluster_domain, std::vector<DnsNote>* notes) {
  std::vector<DnsNote> unheard;
  auto& told = notes ? *notes : unheard;
  const auto policy = pod.spec().dnsPolicy();
  const bool wants_cluster = policy == "ClusterFirstWithHostNet" || (!is_host_network(pod) && (policy.empty() || policy == "ClusterFirst"));
  DnsConfig out;
  if (policy == "None") {
    // dnsConfig alone.
  } else if (wants_cluster && !cluster_dns.empty()) {
    out.servers = cluster_dns;
    if (!cluster_domain.empty())
      out.searches = {fmt::format("{}.svc.{}", pod.metadata().namespace_(), cluster_domain), fmt::format("svc.{}", cluster_domain),
                      std::string(cluster_domain)};
    for (const auto& search : node.searches) add_missing(out.searches, search);
    out.options = {"ndots:5"};
  } else {
    out = node;
    if (node.is_disabled) {
      out.servers = {"127.0.0.1"};
      out.searches = {"."};
    }
    if (wants_cluster)
      told.push_back({"MissingClusterDNS", fmt::format("pod: \"{}\". kubelet does not have ClusterDNS IP configured and cannot create Pod "
                                                       "using \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
                                                       full_name(pod))});
  }
  for (const auto server : pod.spec().dnsConfig().nameservers()) add_missing(out.servers, server);
  for (const auto search : pod.spec().dnsConfig().searches()) add_missing(out.searches, search);
  for (const auto option : pod.spec().dnsConfig().options())
    set_option(out.options, option.value_().empty() ? std::string(option.name()) : fmt::format("{}:{}", option.name(), option.value_()));
  limit(out, told);
  return out;
}

namespace {

// Written in place: containers have the file itself mounted, so a rename would not reach them.
Result<void> write_if_changed(const std::string& path, const std::string& text) {
  std::error_code ec;
  if (fs::exists(path, ec) && read_text_file(path) == text) return {};
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) return errno_error("write " + path, errno);
  ::chmod(path.c_str(), 0644);
  return {};
}

}  // namespace

Result<std::vector<engine::Mount>> write_pod_files(const PodFiles& files, const core_v1::Container& container) {
  std::error_code ec;
  fs::create_directories(files.folder, ec);
  if (ec) return internal_error(fmt::format("make {}: {}", files.folder, ec.message()));
  std::vector<engine::Mount> out;
  const std::pair<const char*, const std::string*> all[] = {
      {"hosts", &files.hosts}, {"resolv.conf", &files.resolv_conf}, {"hostname", &files.hostname}};
  for (const auto& [name, text] : all) {
    const std::string target = fmt::format("/etc/{}", name);
    bool is_taken = false;
    for (const auto mount : container.volumeMounts()) is_taken = is_taken || mount.mountPath() == target;
    if (is_taken) continue;
    const std::string path = fmt::format("{}/etc-{}", files.folder, name);
    RN_CHECK(write_if_changed(path, *text));
    engine::Mount mount;
    mount.host_path = path;
    mount.container_path = target;
    out.push_back(std::move(mount));
  }
  return out;
}

std::string termination_file(const KubeletOptions& options, std::string_view pod_uid, std::string_view container, std::uint32_t attempt) {
  return fmt::format("{}/pods/{}/containers/{}/{}", options.root_dir, pod_uid, container, attempt);
}

Result<engine::Mount> make_termination_file(const std::string& path, std::string_view container_path) {
  std::error_code ec;
  fs::create_directories(fs::path(path).parent_path(), ec);
  if (ec) return internal_error(fmt::format("make the folder of {}: {}", path, ec.message()));
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return errno_error("make " + path, errno);
  ::fchmod(fd, 0666);
  ::close(fd);
  engine::Mount mount;
  mount.host_path = path;
  mount.container_path = container_path;
  return mount;
}

std::string read_termination_message(const std::string& path) {
  constexpr std::size_t kMost = 4096;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return {};
  std::string out(kMost, '\0');
  const auto got = ::read(fd, out.data(), out.size());
  ::close(fd);
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

}  // namespace rusternetes::kubelet
