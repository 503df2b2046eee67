// NetworkPolicies (pkg/registry/networking/networkpolicy, pkg/apis/networking).

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <vector>

#include "api-server/strategy.h"
#include "api-server/strategy/checks.h"
#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/cidr.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using networking_v1::IPBlock;
using networking_v1::NetworkPolicy;
using networking_v1::NetworkPolicyEgressRule;
using networking_v1::NetworkPolicyIngressRule;
using networking_v1::NetworkPolicyPeer;
using networking_v1::NetworkPolicyPort;
using networking_v1::NetworkPolicySpec;

namespace {

// Calls `f` with each ipBlock and its path, which ends with the call.
template <class Rules, class PeersOf, class F>
void each_block_of(const Rules& rules, const FieldPath& list, std::string_view peers_name, PeersOf peers_of, F& f) {
  std::int64_t i = 0;
  for (const auto rule : rules) {
    const FieldPath at = list.index(i++), peers = at.child(peers_name);
    std::int64_t k = 0;
    for (const auto peer : peers_of(rule)) {
      const FieldPath one = peers.index(k++);
      if (peer.has_ipBlock()) f(peer.ipBlock(), one.child("ipBlock"));
    }
  }
}
template <class F>
void each_block(const NetworkPolicySpec& spec, F f) {
  const FieldPath path("spec"), ingress = path.child("ingress"), egress = path.child("egress");
  each_block_of(spec.ingress(), ingress, "from", [](const NetworkPolicyIngressRule& rule) { return rule.from(); }, f);
  each_block_of(spec.egress(), egress, "to", [](const NetworkPolicyEgressRule& rule) { return rule.to(); }, f);
}

class SpecCheck {
 public:
  // `old` gives leave for what it has already; absent at creation. Its blocks only count with `keeps_blocks`.
  SpecCheck(const NetworkPolicySpec& old, bool keeps_blocks, FieldErrorList& errors) : errors_(errors) {
    if (!old) return;
    FieldErrorList old_errors;
    check_label_selector(old.podSelector(), FieldPath("podSelector"), old_errors);
    options_.allow_invalid_values = !old_errors.empty();
    if (!keeps_blocks) return;
    each_block(old, [this](const IPBlock& block, const FieldPath&) {
      old_blocks_.push_back(block.cidr());
      for (const auto except : block.except()) old_blocks_.push_back(except);
    });
  }

  void check(const NetworkPolicySpec& spec) {
    const FieldPath path("spec"), ingress = path.child("ingress"), egress = path.child("egress"), types = path.child("policyTypes");
    check_label_selector(spec.podSelector(), path.child("podSelector"), errors_, options_);
    std::int64_t i = 0;
    for (const auto rule : spec.ingress()) check_rule(rule.ports(), rule.from(), ingress.index(i++), "from");
    i = 0;
    for (const auto rule : spec.egress()) check_rule(rule.ports(), rule.to(), egress.index(i++), "to");
    if (spec.policyTypes().size() > 2) {
      std::vector<std::string> shown;
      for (const auto type : spec.policyTypes()) shown.push_back(BadValue(type).text());
      errors_.push_back(field::invalid(types, BadValue::json(fmt::format("[{}]", fmt::join(shown, ","))), "may not specify more than two policyTypes"));
      return;
    }
    i = 0;
    for (const auto type : spec.policyTypes()) check_supported(type, types.index(i++), {"Ingress", "Egress"}, errors_);
  }

 private:
  void check_rule(const ListView<NetworkPolicyPort>& ports, const ListView<NetworkPolicyPeer>& peers, const FieldPath& path, std::string_view peers_name) {
    const FieldPath ports_path = path.child("ports"), peers_path = path.child(peers_name);
    std::int64_t i = 0;
    for (const auto port : ports) check_port(port, ports_path.index(i++));
    i = 0;
    for (const auto peer : peers) check_peer(peer, peers_path.index(i++));
  }

  void check_port(const NetworkPolicyPort& port, const FieldPath& path) {
    const FieldPath number_path = path.child("port"), end_path = path.child("endPort");
    if (port.has_protocol()) check_supported(port.protocol(), path.child("protocol"), {"TCP", "UDP", "SCTP"}, errors_);
    const Value* value = port.port().value();
    if (!value) {
      if (port.has_endPort()) errors_.push_back(field::invalid(end_path, port.endPort(), "may not be specified when `port` is not specified"));
      return;
    }
    if (value->kind == ValueKind::string) {
      if (port.has_endPort()) errors_.push_back(field::invalid(end_path, port.endPort(), "may not be specified when `port` is non-numeric"));
      errors_.push_invalid(number_path, value->str(), is_valid_port_name(value->str()));
      return;
    }
    check_number(value->integer, number_path);
    if (!port.has_endPort()) return;
    if (port.endPort() < value->integer) errors_.push_back(field::invalid(end_path, value->integer, "must be greater than or equal to `port`"));
    check_number(port.endPort(), end_path);
  }
  void check_number(std::int64_t number, const FieldPath& path) {
    for (const auto& problem : is_valid_port_num(number)) errors_.push_back(field::invalid(path, number, problem));
  }

  void check_peer(const NetworkPolicyPeer& peer, const FieldPath& path) {
    if (peer.has_podSelector()) check_label_selector(peer.podSelector(), path.child("podSelector"), errors_, options_);
    if (peer.has_namespaceSelector()) check_label_selector(peer.namespaceSelector(), path.child("namespaceSelector"), errors_, options_);
    if (peer.has_ipBlock()) check_block(peer.ipBlock(), path.child("ipBlock"));
    const bool selects = peer.has_podSelector() || peer.has_namespaceSelector();
    if (!selects && !peer.has_ipBlock())
      errors_.push_back(field::required(path, "must specify a peer"));
    else if (selects && peer.has_ipBlock())
      errors_.push_back(field::forbidden(path, "may not specify both ipBlock and another peer"));
  }

  void check_block(const IPBlock& block, const FieldPath& path) {
    const FieldPath cidr_path = path.child("cidr"), excepts = path.child("except");
    if (block.cidr().empty()) {
      errors_.push_back(field::required(cidr_path));
      return;
    }
    check_cidr(block.cidr(), cidr_path);
    const auto range = Cidr::parse_sloppy(block.cidr());
    if (!range) return;
    std::int64_t i = 0;
    for (const auto text : block.except()) {
      const FieldPath at = excepts.index(i++);
      check_cidr(text, at);
      const auto except = Cidr::parse_sloppy(text);
      if (except && (!range->contains(except->first()) || range->prefix_length() >= except->prefix_length()))
        errors_.push_back(field::invalid(at, text, "must be a strict subset of `cidr`"));
    }
  }
  void check_cidr(std::string_view text, const FieldPath& path) {
    for (const auto old : old_blocks_)
      if (old == text) return;
    errors_.push_invalid(path, text, is_valid_cidr_legacy(text));
  }

  FieldErrorList& errors_;
  SelectorOptions options_;
  std::vector<std::string_view> old_blocks_;
};

class NetworkPolicyStrategy final : public Strategy {
 public:
  bool has_generation() const override { return true; }

  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    Value& spec = ensure(arena, object, NetworkPolicy::f_spec);
    const auto each_port = [&](Value& rule, int ports) {
      each_item(rule, ports, [&](Value& port) { default_text(arena, port, NetworkPolicyPort::f_protocol, "TCP"); });
    };
    each_item(spec, NetworkPolicySpec::f_ingress, [&](Value& rule) { each_port(rule, NetworkPolicyIngressRule::f_ports); });
    each_item(spec, NetworkPolicySpec::f_egress, [&](Value& rule) { each_port(rule, NetworkPolicyEgressRule::f_ports); });
    const NetworkPolicySpec view(&spec);
    if (!view.policyTypes().empty()) return;
    const bool has_egress = !view.egress().empty();
    Value& types = ensure(arena, spec, NetworkPolicySpec::f_policyTypes, ValueKind::list);
    append_string(arena, types, "Ingress");
    if (has_egress) append_string(arena, types, "Egress");
  }

  void validate(const StrategyContext& context, const Value& object, FieldErrorList& errors) const override {
    const NetworkPolicySpec spec = NetworkPolicy(&object).spec();
    SpecCheck(NetworkPolicySpec(), false, errors).check(spec);
    warn(context, spec);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const NetworkPolicySpec spec = NetworkPolicy(&object).spec(), old_spec = NetworkPolicy(&old).spec();
    // As a whole, and as a change: Kubernetes names what is wrong with both twice.
    SpecCheck(old_spec, false, errors).check(spec);
    SpecCheck(old_spec, true, errors).check(spec);
    warn(context, spec);
  }

 private:
  static void warn(const StrategyContext& context, const NetworkPolicySpec& spec) {
    if (!context.warnings) return;
    const auto add = [&](const FieldPath& path, std::string_view text) {
      for (auto& each : cidr_warnings(path.to_string(), text)) context.warnings->add(std::move(each));
    };
    each_block(spec, [&](const IPBlock& block, const FieldPath& path) {
      add(path.child("cidr"), block.cidr());
      const FieldPath excepts = path.child("except");
      std::int64_t i = 0;
      for (const auto except : block.except()) add(excepts.index(i++), except);
    });
  }
};

}  // namespace

const Strategy& networkpolicies_strategy() {
  static const NetworkPolicyStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
