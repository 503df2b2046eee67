#include "kubelet/node/pod_network.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>

#include "base/log.h"
#include "network/netlink.h"
#include "network/node_sysctls.h"
#include "network/pod_link.h"

namespace rusternetes::kubelet {

using network::IpAddress;
using network::IpPrefix;
using network::NetworkNamespace;

namespace {

constexpr std::chrono::milliseconds kSettle{1'000};  // of changes of the node's rules

Result<std::vector<IpPrefix>> parse_prefixes(const std::vector<std::string>& texts) {
  std::vector<IpPrefix> out;
  for (const auto& text : texts) {
    RN_TRY(auto prefix, IpPrefix::parse(text.find('/') == std::string::npos ? text + (text.find(':') == std::string::npos ? "/32" : "/128") : text));
    out.push_back(prefix.masked());
  }
  return out;
}

}  // namespace

PodNetwork::PodNetwork(KubeletOptions& options)
    : options_(options), worker_(std::make_unique<WorkerThread>("kubelet-network")) {}
PodNetwork::~PodNetwork() = default;

Task<Result<void>> PodNetwork::start() {
  struct Opened {
    std::shared_ptr<const NetworkNamespace> node;
    int mtu = 0;
    std::string address;
  };
  RN_CO_TRY(service_ranges_, parse_prefixes(options_.service_ranges));
  if (!service_ranges_.empty()) missing_drop_ = "the drop rule of the service ranges has not been seen yet";
  const bool wants_address = options_.node_ip.empty();
  const std::string path = options_.netns_path, uplink = options_.uplink;
  const bool prepares = options_.prepares_node_network;
  auto work = [path, uplink, prepares, wants_address]() -> Result<Opened> {
    RN_TRY(auto node, path.empty() ? NetworkNamespace::current() : NetworkNamespace::open(path));
    if (prepares && !uplink.empty()) RN_CHECK(network::prepare_node(node, uplink));
    // The host as the node: what it needs to forward, and nothing that other programs on it would notice.
    if (prepares && uplink.empty()) {
      RN_TRY([[maybe_unused]] const auto before, network::set_forwarding(node, {.ipv4 = true}));
    }
    RN_TRY(const int mtu, network::uplink_mtu(node));
    Opened out{nullptr, mtu, {}};
    if (wants_address) {
      RN_TRY(const auto way, network::find_uplink(node, AF_INET));
      if (way && way->source) out.address = way->source->to_string();
    }
    out.node = std::make_shared<const NetworkNamespace>(std::move(node));
    return out;
  };
  auto opened = co_await worker_->run(work);
  if (!opened) {
    failure_ = opened.error().message;
    co_return opened.error();
  }
  if (wants_address) {
    if (opened->address.empty()) co_return internal_error("the node has no address: give one by --node-ip");
    options_.node_ip = opened->address;
  }
  node_ = opened->node;
  mtu_ = opened->mtu;
  failure_.clear();
  co_return Result<void>{};
}

std::string PodNetwork::not_ready() const {
  if (!failure_.empty()) return failure_;
  if (!missing_drop_.empty()) return missing_drop_;
  if (!pool_.has_cidrs()) return "the node has no Pod CIDR yet";
  return {};
}

Result<bool> PodNetwork::check_node(const std::string& netns_path) const {
  if (!node_) return internal_error("the node's network namespace is not open yet");
  const auto other = NetworkNamespace::open(netns_path);
  if (other) return *other == *node_;
  if (other.error().is("NotFound") || other.error().is("BadRequest")) return false;
  return other.error();
}

bool PodNetwork::is_node(const std::string& netns_path) const {
  const auto is_ours = check_node(netns_path);
  if (!is_ours) log::warn("kubelet", "taken for the node's network: {}", is_ours.error().message);
  return !is_ours || *is_ours;
}

std::string PodNetwork::pinned_path() const {
  // That of another process, a supervisor's, outlives this one. A path in the file system means nothing within a container.
  const std::string& given = options_.netns_path;
  if (given.starts_with("/proc/") && given.size() > 6 && std::isdigit(static_cast<unsigned char>(given[6]))) return given;
  return node_ ? fmt::format("/proc/{}/fd/{}", ::getpid(), node_->fd()) : std::string();
}

Task<Result<void>> PodNetwork::set_pod_cidrs(std::vector<std::string> cidrs) {
  if (cidrs == cidrs_ || cidrs.empty() || !node_) co_return Result<void>{};
  auto done = co_await load_masquerade(cidrs);
  if (done) done = pool_.set_cidrs(cidrs);
  if (done) {
    cidrs_ = std::move(cidrs);
    failure_.clear();
  } else {
    failure_ = done.error().message;
  }
  co_return done;
}

Task<Result<void>> PodNetwork::load_masquerade(std::vector<std::string> cidrs) {
  if (options_.cluster_cidrs.empty()) co_return Result<void>{};
  network::Masquerade rule;
  rule.cluster = options_.cluster;
  RN_CO_TRY(rule.sources, parse_prefixes(cidrs));
  RN_CO_TRY(rule.except_destinations, parse_prefixes(options_.cluster_cidrs));
  RN_CO_TRY(auto more, parse_prefixes(options_.no_masquerade_cidrs));
  rule.except_destinations.insert(rule.except_destinations.end(), more.begin(), more.end());
  auto node = node_;
  // Ended on the worker, too: its end is waited for. kube-proxy changes rules all the time, hence the pause.
  auto keeper = std::make_shared<std::unique_ptr<network::RuleKeeper>>(std::move(keeper_));
  auto work = [node, rule, keeper]() -> Result<void> {
    keeper->reset();
    RN_CHECK(network::load_masquerade(*node, rule));
    const auto mend = [node, rule]() -> Result<bool> {
      RN_TRY(const bool stands, network::has_masquerade(*node, rule));
      if (!stands) RN_CHECK(network::load_masquerade(*node, rule));
      return !stands;
    };
    *keeper = std::make_unique<network::RuleKeeper>(*node, "node-rules", kSettle, std::vector<network::RuleKeeper::Rule>{{"the masquerade of Pods", mend}});
    return (*keeper)->start();
  };
  auto done = co_await worker_->run(work);
  keeper_ = std::move(*keeper);
  co_return done;
}

Task<Result<void>> PodNetwork::wire(std::string pod_uid, std::vector<std::string> addresses, std::string netns_path) {
  network::PodLink wanted;
  wanted.cluster = options_.cluster;
  wanted.id = pod_uid;
  wanted.mtu = mtu_;
  RN_CO_TRY(wanted.gateway, IpAddress::parse(options_.node_ip));
  for (const auto& text : addresses) {
    RN_CO_TRY(auto address, IpAddress::parse(text));
    wanted.addresses.push_back(address);
  }
  auto node = node_;
  auto work = [node, wanted, netns_path]() -> Result<void> {
    RN_TRY(const auto pod, NetworkNamespace::open(netns_path));
    RN_CHECK(network::prepare_pod(pod));  // IPv6 alone: what else a Pod's spec may set, the sandbox was made with
    return network::wire_pod(*node, pod, wanted);
  };
  co_return co_await worker_->run(work);
}

Task<Result<void>> PodNetwork::unwire(std::string pod_uid) {
  if (!node_) co_return Result<void>{};
  auto node = node_;
  const std::string cluster = options_.cluster;
  auto work = [node, cluster, pod_uid] { return network::unwire_pod(*node, cluster, pod_uid); };
  co_return co_await worker_->run(work);
}

Task<Result<std::vector<std::string>>> PodNetwork::wired() {
  auto node = node_;
  const std::string cluster = options_.cluster;
  auto work = [node, cluster] { return network::wired_pods(*node, cluster); };
  co_return co_await worker_->run(work);
}

Task<Result<void>> PodNetwork::sync_routes(std::vector<network::PodCidrRoute> routes) {
  RN_CO_TRY(auto ranges, parse_prefixes(options_.cluster_cidrs));
  auto node = node_;
  auto work = [node, ranges, routes] { return network::sync_pod_cidr_routes(*node, ranges, routes); };
  co_return co_await worker_->run(work);
}

}  // namespace rusternetes::kubelet
