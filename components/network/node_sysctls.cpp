#include "network/node_sysctls.h"

#include <unistd.h>

#include "network/sysctl.h"

namespace rusternetes::network {

namespace {
bool has_ipv6() { return access("/proc/sys/net/ipv6", F_OK) == 0; }
const char* digit(bool is_on) { return is_on ? "1" : "0"; }
}  // namespace

Result<> prepare_node(const NetworkNamespace& node, std::string uplink) {
  return inside(node, [&]() -> Result<> {
    // `all` does not switch off what an interface has on by itself (the two are or-ed).
    RN_CHECK(write_sysctls({{"net/ipv4/ip_forward", "1"},
                            {"net/ipv4/conf/all/send_redirects", "0"},
                            {"net/ipv4/conf/default/send_redirects", "0"},
                            {"net/ipv4/conf/" + uplink + "/send_redirects", "0"},
                            {"net/ipv4/icmp_ratelimit", "0"},
                            {"net/ipv4/ip_unprivileged_port_start", "0"},
                            {"net/ipv4/ping_group_range", "0 2147483647"}}));
    if (!has_ipv6()) return {};
    return write_sysctls({{"net/ipv6/conf/all/disable_ipv6", "0"},
                          {"net/ipv6/conf/default/disable_ipv6", "0"},
                          {"net/ipv6/conf/all/forwarding", "1"},
                          {"net/ipv6/icmp/ratelimit", "0"}});
  });
}

Result<> prepare_pod(const NetworkNamespace& pod, PodSysctls wanted) {
  return inside(pod, [&]() -> Result<> {
    if (wanted.unprivileged_port_start)
      RN_CHECK(write_sysctl("net/ipv4/ip_unprivileged_port_start", std::to_string(*wanted.unprivileged_port_start)));
    if (wanted.ping_group_range) RN_CHECK(write_sysctl("net/ipv4/ping_group_range", *wanted.ping_group_range));
    if (!has_ipv6()) return {};
    const char* disabled = digit(!wanted.is_ipv6_enabled);
    return write_sysctls(
        {{"net/ipv6/conf/all/disable_ipv6", disabled}, {"net/ipv6/conf/default/disable_ipv6", disabled}});
  });
}

Result<Forwarding> set_forwarding(const NetworkNamespace& host, Forwarding wanted) {
  return inside(host, [&]() -> Result<Forwarding> {
    Forwarding before;
    if (wanted.ipv4) {
      RN_TRY(const std::string ipv4, write_sysctl("net/ipv4/ip_forward", digit(*wanted.ipv4)));
      before.ipv4 = ipv4 == "1";
    }
    if (wanted.ipv6 && has_ipv6()) {
      RN_TRY(const std::string ipv6, write_sysctl("net/ipv6/conf/all/forwarding", digit(*wanted.ipv6)));
      before.ipv6 = ipv6 == "1";
    }
    return before;
  });
}

Result<> set_route_localnet(const NetworkNamespace& where, std::string interface, bool is_on) {
  return inside(where, [&]() -> Result<> {
    RN_CHECK(write_sysctl("net/ipv4/conf/" + interface + "/route_localnet", digit(is_on)));
    return {};
  });
}

}  // namespace rusternetes::network
