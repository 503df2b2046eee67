#include "kubelet/node/routes.h"

#include "apimachinery/api/core_v1.h"
#include "base/log.h"

namespace rusternetes::kubelet {

namespace core_v1 = apimachinery::core_v1;
using network::IpAddress;
using network::IpPrefix;

namespace {
constexpr client::Resource nodes{"", "v1", "nodes"};
constexpr auto kRepeat = std::chrono::minutes(1);  // routes that somebody removed come back
}  // namespace

std::vector<network::PodCidrRoute> routes_to(const std::vector<apimachinery::Document>& nodes, std::string_view own_name) {
  std::vector<network::PodCidrRoute> out;
  for (const auto& document : nodes) {
    const core_v1::Node node(&document.root());
    if (node.metadata().name() == own_name) continue;
    for (const auto text : node.spec().podCIDRs()) {
      const auto cidr = IpPrefix::parse(text);
      if (!cidr) continue;
      for (const auto address : node.status().addresses()) {
        if (address.type() != "InternalIP") continue;
        const auto gateway = IpAddress::parse(address.address());
        if (!gateway || gateway->family() != cidr->address().family()) continue;
        out.push_back({cidr->masked(), *gateway});
        break;
      }
    }
  }
  return out;
}

Routes::Routes(client::ApiClient& client, const KubeletOptions& options, PodNetwork& network)
    : options_(options), network_(network), nodes_(client, nodes), changed_(client.executor()) {
  nodes_.add_handler({[this](const apimachinery::Document&, const apimachinery::Document&) { changed_.set(); }});
}

void Routes::start(TaskGroup& tasks) {
  nodes_.start(tasks);
  tasks.spawn("routes to other nodes", run());
}

Task<> Routes::run() {
  co_await nodes_.wait_for_sync();
  for (;;) {
    auto wanted = routes_to(nodes_.list(), options_.node_name);
    auto synced = co_await network_.sync_routes(wanted);
    if (!synced) log::warn("kubelet", "routes to other nodes: {}", synced.error().message);
    (void)co_await changed_.wait_until(std::chrono::steady_clock::now() + (synced ? kRepeat : std::chrono::seconds(5)));
  }
}

}  // namespace rusternetes::kubelet
