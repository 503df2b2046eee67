#include "kubelet/container/pod_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

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
      while (words >> word)
        if (word != ".") out.searches.push_back(word);
    }
    if (key == "options")
      while (words >> word) out.options.push_back(word);
  }
  return out;
}

std::string DnsConfig::to_string() const {
  std::string out;
  if (!searches.empty()) out += fmt::format("search {}\n", fmt::join(searches, " "));
  for (const auto& server : servers) out += fmt::format("nameserver {}\n", server);
  if (!options.empty()) out += fmt::format("options {}\n", fmt::join(options, " "));
  return out;
}

namespace {

void add_missing(std::vector<std::string>& to, std::string_view one) {
  if (std::find(to.begin(), to.end(), one) == to.end()) to.emplace_back(one);
}

// "ndots:5" replaces an earlier "ndots:2".
void set_option(std::vector<std::string>& options, std::string_view name, std::string_view value) {
  std::erase_if(options, [&](const std::string& option) { return option.substr(0, option.find(':')) == name; });
  options.push_back(value.empty() ? std::string(name) : fmt::format("{}:{}", name, value));
}

void limit(DnsConfig& config) {
  constexpr std::size_t kServers = 3, kSearches = 32, kSearchCharacters = 2048;
  if (config.servers.size() > kServers) config.servers.resize(kServers);
  if (config.searches.size() > kSearches) config.searches.resize(kSearches);
  std::size_t length = 0, kept = 0;
  for (; kept < config.searches.size(); ++kept) {
    length += config.searches[kept].size() + (kept ? 1 : 0);
    if (length > kSearchCharacters) break;
  }
  config.searches.resize(kept);
}

}  // namespace

DnsConfig pod_dns(const core_v1::Pod& pod, const DnsConfig& node, const std::vector<std::string>& cluster_dns,
                  std::string_view cluster_domain) {
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
  }
  for (const auto server : pod.spec().dnsConfig().nameservers()) add_missing(out.servers, server);
  for (const auto search : pod.spec().dnsConfig().searches()) add_missing(out.searches, search);
  for (const auto option : pod.spec().dnsConfig().options()) set_option(out.options, option.name(), option.value_());
  limit(out);
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
