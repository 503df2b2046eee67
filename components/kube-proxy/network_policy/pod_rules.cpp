// A Pod's part of the decision.
#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "kube-proxy/lenient.h"
#include "kube-proxy/network_policy/policy_rules.h"
#include "network/names.h"

namespace rusternetes::kube_proxy::network_policy {

using namespace apimachinery;

namespace {

using Labels = MapView<std::string_view>;

bool matches(const LabelSelector& selector, const Labels& labels) {
  return selector.matches([&](std::string_view key) {
    const Value* found = labels.find(key);
    return found ? std::optional(found->str()) : std::nullopt;
  });
}

bool is_over(const core_v1::Pod& pod) {
  const auto phase = pod.status().phase();
  return phase == "Succeeded" || phase == "Failed";
}

std::vector<IpAddress> addresses_of(const core_v1::Pod& pod) {
  std::vector<IpAddress> out;
  const auto take = [&](std::string_view text) {
    if (const auto address = lenient_address(text))
      if (std::ranges::find(out, *address) == out.end()) out.push_back(*address);
  };
  for (const auto each : pod.status().podIPs()) take(each.ip());
  take(pod.status().podIP());
  return out;
}

bool is_of(Protocol protocol, std::string_view text) {
  switch (protocol) {
    case Protocol::tcp:
      return text.empty() || text == "TCP";
    case Protocol::udp:
      return text == "UDP";
    case Protocol::sctp:
      return text == "SCTP";
  }
  return false;
}

// The first of the name: of containers, then of sidecars among the init containers.
std::uint16_t number_of(const core_v1::Pod& pod, const NamedPort& wanted) {
  const auto find = [&](const core_v1::Container& container) -> std::uint16_t {
    for (const auto port : container.ports())
      if (port.name() == wanted.name && is_of(wanted.protocol, port.protocol()))
        return static_cast<std::uint16_t>(port.containerPort());
    return 0;
  };
  for (const auto container : pod.spec().containers())
    if (const auto number = find(container)) return number;
  for (const auto container : pod.spec().initContainers())
    if (container.restartPolicy() == "Always")
      if (const auto number = find(container)) return number;
  return 0;
}

class PodWriter {
 public:
  PodWriter(const Document& document, const Labels& namespace_labels, const PolicyIndex& policies,
            const PolicySettings& settings)
      : document_(document),
        pod_(&document.root()),
        name_space_(pod_.metadata().namespace_()),
        namespace_labels_(namespace_labels),
        policies_(policies),
        settings_(settings) {}

  PodRules write() {
    // On its node's own network nobody can tell it from the node.
    if (pod_.spec().hostNetwork()) return {};
    if (!settings_.node_name.empty() && pod_.spec().nodeName() == settings_.node_name) protect();
    if (!is_over(pod_)) {  // its address may be another's by now
      const auto addresses = addresses_of(pod_);
      if (!addresses.empty()) be_peer(addresses);
    }
    out_.rules.normalise();
    return std::move(out_);
  }

 private:
  void protect() {
    const std::string link = fmt::format("\"{}\"", link_of(document_, settings_.cluster));
    for (const auto direction : kDirections) {
      const std::string chain = isolation(direction);
      out_.is_isolated[static_cast<int>(direction)] = !chain.empty();
      out_.rules.add({fmt::format("{}-links", word(direction)), link},
                     chain.empty() ? "accept" : fmt::format("goto {}", chain));
    }
    if (out_.is_isolated[0] || out_.is_isolated[1])
      out_.rules.add({"own-links", fmt::format("{0} . {0}", link)});
  }

  // The chain that all Pods share to which the same policies apply; empty: none applies.
  std::string isolation(Direction direction) {
    std::vector<std::string> lines;
    std::string all;
    for (const auto& [key, policy] : policies_.in(name_space_)) {
      if (!policy->isolates[static_cast<int>(direction)] || !matches(policy->targets, labels())) continue;
      lines.push_back(fmt::format("jump {}", policy->chain(direction)));
      all += key + "\n";
    }
    if (lines.empty()) return {};
    lines.push_back(fmt::format("counter name {} drop", kDeniedCounters[static_cast<int>(direction)]));
    std::string name = fmt::format("isolated-{}-{}", word(direction), hash_of(all));
    out_.rules.chains.emplace(name, std::move(lines));
    return name;
  }

  void be_peer(const std::vector<IpAddress>& addresses) {
    const auto select = [&](const PolicyIndex::Selections& selections) {
      for (const auto& [id, counted] : selections) {
        const PodSelection& each = counted.selection;
        if (each.namespaces && !matches(*each.namespaces, namespace_labels_)) continue;
        if (!matches(each.pods, labels())) continue;
        for (const auto& address : addresses)
          out_.rules.add({fmt::format("pods-{}-{}", id, digit(family_of(address))), address.to_string()});
      }
    };
    select(policies_.selections_in(name_space_));
    select(policies_.wide_selections());
    const auto name = [&](const PolicyIndex::Names& names) {
      for (const auto& [port, unused] : names) {
        const std::uint16_t number = number_of(pod_, port);
        if (number == 0) continue;
        for (const auto& address : addresses)
          out_.rules.add(
              {fmt::format("port-{}-{}-{}", word(port.protocol), port.name, digit(family_of(address))),
               fmt::format("{} . {}", address.to_string(), number)});
      }
    };
    name(policies_.names_in(name_space_));
    name(policies_.wide_names());
  }

  Labels labels() const { return pod_.metadata().labels(); }

  const Document& document_;
  const core_v1::Pod pod_;
  const std::string_view name_space_;
  const Labels namespace_labels_;
  const PolicyIndex& policies_;
  const PolicySettings& settings_;
  PodRules out_;
};

bool is_equal(const View& a, const View& b) {
  if (!a.value() || !b.value()) return a.value() == b.value();
  return equal(*a.value(), *b.value());
}

}  // namespace

std::string link_of(const Document& pod, const std::string& cluster) {
  // By the uid alone, which the API gives: what its user may write (such as the annotation of mirror Pods)
  // must not say which link's policies are meant.
  return network::interface_name(cluster, network::LinkPurpose::pod,
                                 core_v1::Pod(&pod.root()).metadata().uid());
}

PodRules rules_of(const Document& pod, const Document& name_space, const PolicyIndex& policies,
                  const PolicySettings& settings) {
  if (!pod) return {};
  const Labels labels = name_space ? core_v1::Namespace(&name_space.root()).metadata().labels() : Labels();
  return PodWriter(pod, labels, policies, settings).write();
}

bool is_same_to_policies(const Document& before, const Document& now) {
  if (!before || !now) return false;
  const core_v1::Pod a(&before.root()), b(&now.root());
  const auto value = [](const auto& map) { return View(map.value()); };
  // A spec's containers and network are never changed, but for ephemeral ones and images.
  return a.metadata().uid() == b.metadata().uid() &&
         is_equal(value(a.metadata().labels()), value(b.metadata().labels())) &&
         a.spec().nodeName() == b.spec().nodeName() && is_over(a) == is_over(b) &&
         addresses_of(a) == addresses_of(b);
}

}  // namespace rusternetes::kube_proxy::network_policy
