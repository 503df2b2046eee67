// What the proxy takes from its Node, and what it tells of itself.
#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube-proxy/kube_proxy.h"
#include "network/names.h"

namespace rusternetes::kube_proxy {

using client::Document;
using namespace apimachinery;

namespace {

constexpr const char* kPart = "kube-proxy";
// As long as rules that are not up to date are thought to be on their way.
constexpr std::chrono::seconds kHealthTimeout{60};
constexpr std::chrono::milliseconds kServeAgain{5'000};

std::vector<IpAddress> internal_addresses(const core_v1::Node& node) {
  std::vector<IpAddress> out;
  for (const auto each : node.status().addresses())
    if (const auto address = IpAddress::parse(each.address()); address && each.type() == "InternalIP")
      out.push_back(*address);
  return out;
}

// A family without any range, or with one of everything, has no limit.
void set_nodeport_addresses(const std::vector<std::string>& wanted, Settings& out) {
  Base& base = out.base;
  for (const auto& text : wanted) {
    if (text == "primary") {
      for (const auto& address : out.node.addresses)
        base.nodeport_addresses.push_back(IpPrefix::host(address));
      base.limits_nodeports[0] = base.limits_nodeports[1] = true;
    } else if (const auto range = IpPrefix::parse(text)) {
      base.nodeport_addresses.push_back(*range);
      base.limits_nodeports[static_cast<int>(family_of(range->address()))] = true;
    }
  }
  for (const auto& range : base.nodeport_addresses)
    if (range.is_everything()) base.limits_nodeports[static_cast<int>(family_of(range.address()))] = false;
}

}  // namespace

Result<BindAddress> BindAddress::parse(std::string_view text, std::uint16_t default_port) {
  BindAddress out{std::string(text), default_port};
  const Status wrong{400, "BadRequest",
                     fmt::format("\"{}\" is no address with a port, such as 0.0.0.0:{}", text, default_port)};
  const auto colon = text.rfind(':');
  const bool is_plain_v6 = !text.starts_with('[') && std::ranges::count(text, ':') > 1;
  if (colon != text.npos && !is_plain_v6 && !(text.ends_with(']'))) {
    const std::string port(text.substr(colon + 1));
    if (port.empty() || port.size() > 5 ||
        !std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; }) || std::stoi(port) > 65535)
      return wrong;
    out.port = static_cast<std::uint16_t>(std::stoi(port));
    out.address = std::string(text.substr(0, colon));
  }
  if (out.address.starts_with('[') && out.address.ends_with(']'))
    out.address = out.address.substr(1, out.address.size() - 2);
  if (!IpAddress::parse(out.address)) return wrong;
  return out;
}

Document KubeProxy::node() const { return nodes_.get(options_.node_name); }

Settings KubeProxy::settings() const {
  Settings out;
  out.base.table = Loader::table(options_.cluster);
  out.base.own_links = network::interface_prefix(options_.cluster);
  out.base.masquerade_mark = 1u << options_.masquerade_bit;
  out.base.masquerade_all = options_.masquerade_all;
  out.base.pod_cidrs = options_.pod_cidrs;
  out.node.name = options_.node_name;
  const Document document = node();
  const core_v1::Node node(document ? &document.root() : nullptr);
  out.node.zone = node.metadata().labels().get("topology.kubernetes.io/zone");
  out.node.addresses = internal_addresses(node);
  if (options_.uses_node_cidr) {
    out.base.pod_cidrs.clear();
    for (const auto text : node.spec().podCIDRs())
      if (const auto range = IpPrefix::parse(text)) out.base.pod_cidrs.push_back(*range);
  }
  set_nodeport_addresses(options_.nodeport_addresses, out);
  return out;
}

std::vector<IpPrefix> KubeProxy::service_ranges() const {
  auto out = options_.service_ranges;
  for (const auto& document : service_cidrs_.list())
    for (const auto text : networking_v1::ServiceCIDR(&document.root()).spec().cidrs())
      if (const auto range = IpPrefix::parse(text)) out.push_back(*range);
  return out;
}

// Where ports of health checks are opened: as NodePorts are.
std::vector<std::string> KubeProxy::listen_addresses() const {
  const auto base = settings().base;
  if (!base.limits_nodeports_of(Family::v4) && !base.limits_nodeports_of(Family::v6)) return {"0.0.0.0"};
  std::vector<std::string> out;
  const Document document = node();
  for (const auto& address : internal_addresses(core_v1::Node(document ? &document.root() : nullptr)))
    if (!base.limits_nodeports_of(family_of(address)) ||
        std::ranges::any_of(base.nodeport_addresses,
                            [&](const IpPrefix& range) { return range.contains(address); }))
      out.push_back(address.to_string());
  return out;
}

// A port that somebody else has is tried again, also where no Service changes; told once.
Task<> KubeProxy::serve_health_checks() {
  retry_health_at_.reset();
  std::map<std::string, std::string> problems;
  auto refused = [&problems](const std::string& service, const std::string& message) {
    problems.emplace(service, message);
  };
  auto addresses = listen_addresses();
  auto wanted = health_;
  co_await health_checks_.set(std::move(wanted), std::move(addresses), refused);
  for (const auto& [service, message] : problems) {
    if (const auto told = health_problems_.find(service);
        told != health_problems_.end() && told->second == message)
      continue;
    log::warn(kPart, "the health check of Service {} is not served: {}", service, message);
    if (const Document object = services_.get(service))
      events_.warning(object, "v1", "Service", "FailedToStartServiceHealthcheck",
                      fmt::format("node {} failed to start healthcheck \"{}\": {}", options_.node_name,
                                  service, message));
  }
  health_problems_ = std::move(problems);
  if (!health_problems_.empty())
    retry_health_at_ = std::chrono::steady_clock::now() + options_.health_retry_period;
}

bool KubeProxy::is_healthy() const {
  return !queued_at_ || std::chrono::steady_clock::now() - *queued_at_ < kHealthTimeout;
}

// A node that is about to go takes no more connections.
bool KubeProxy::is_eligible() const {
  const Document document = node();
  if (!document) return false;
  const core_v1::Node node(&document.root());
  if (node.metadata().has_deletionTimestamp()) return false;
  for (const auto each : node.spec().taints())
    if (each.key() == "ToBeDeletedByClusterAutoscaler") return false;
  return true;
}

// Where who looks at the cluster sees it: nothing else is wrong with the proxy.
void KubeProxy::tell_refusal() {
  if (!policies_ || policies_->refusal() == told_refusal_) return;
  const Document object = node();
  if (!object) return;
  told_refusal_ = policies_->refusal();
  if (!told_refusal_.empty())
    events_.warning(object, "v1", "Node", "NetworkPoliciesNotServed",
                    fmt::format("node {} does not serve NetworkPolicies: {}", options_.node_name,
                                told_refusal_));
}

Answer KubeProxy::healthz(const std::string& path) {
  const bool is_live = path == "/livez";
  if (!is_live && path != "/healthz") return {404, "text/plain; charset=utf-8", "404 page not found\n", {}};
  const bool is_good = is_healthy() && (is_live || is_eligible());
  ++(is_live ? metrics_.livez : metrics_.healthz)[is_good ? 0 : 1];
  const auto text = [](SystemTime time) { return format_micro_time(to_microseconds(time)); };
  const std::string eligible = is_live ? "" : fmt::format(",\"nodeEligible\": {}", is_eligible());
  return {is_good ? 200 : 503,
          "application/json",
          fmt::format("{{\"lastUpdated\": \"{}\",\"currentTime\": \"{}\"{}}}", text(last_updated_),
                      text(Clock::system().now()), eligible),
          {}};
}

void KubeProxy::serve(std::unique_ptr<PlainServer>& server, const std::optional<BindAddress>& where,
                      const char* name, std::uint16_t& port, std::function<Answer(std::string)> answer) {
  if (!where || server) return;
  auto made = std::make_unique<PlainServer>(client_->executor(), name, std::move(answer));
  const auto bound = made->start(node_, where->address, where->port);
  if (bound) {
    server = std::move(made);
    port = *bound;
    return;
  }
  if (bound.error().message != serving_problem_)
    log::warn(kPart, "{} is not served: {}", name, bound.error().message);
  serving_problem_ = bound.error().message;
}

Task<> KubeProxy::keep_serving() {
  for (;;) {
    serve(healthz_server_, options_.healthz, "healthz", healthz_port_,
          [this](std::string path) { return healthz(path); });
    serve(metrics_server_, options_.metrics, "metrics", metrics_port_, [this](std::string path) {
      if (path == "/proxyMode") return Answer{200, "text/plain; charset=utf-8", "nftables", {}};
      if (path == "/healthz") return Answer{200, "text/plain; charset=utf-8", "ok", {}};
      if (path != "/metrics") return Answer{404, "text/plain; charset=utf-8", "404 page not found\n", {}};
      return Answer{200,
                    "text/plain; version=0.0.4; charset=utf-8",
                    metrics_.text() + (policies_ ? policies_->metrics().text() : ""),
                    {}};
    });
    if ((!options_.healthz || healthz_server_) && (!options_.metrics || metrics_server_)) co_return;
    co_await sleep_for(kServeAgain);
  }
}

}  // namespace rusternetes::kube_proxy
