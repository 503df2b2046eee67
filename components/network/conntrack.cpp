#include "network/conntrack.h"

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace rusternetes::network {

namespace {

struct CloseHandle {
  void operator()(nfct_handle* handle) const { nfct_close(handle); }
};
struct DestroyFlow {
  void operator()(nf_conntrack* flow) const { nfct_destroy(flow); }
};
struct DestroyFilter {
  void operator()(nfct_filter_dump* filter) const { nfct_filter_dump_destroy(filter); }
};
using Handle = std::unique_ptr<nfct_handle, CloseHandle>;
using Owned = std::unique_ptr<nf_conntrack, DestroyFlow>;

IpAddress address(const nf_conntrack* flow, int family, nf_conntrack_attr v4, nf_conntrack_attr v6) {
  return IpAddress::from_bytes(family, nfct_get_attr(flow, family == AF_INET ? v4 : v6));
}

Flow read(const nf_conntrack* flow, int family, std::uint8_t protocol) {
  Flow out;
  out.protocol = protocol;
  out.source = address(flow, family, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
  out.destination = address(flow, family, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
  out.reply_source = address(flow, family, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
  out.source_port = ntohs(nfct_get_attr_u16(flow, ATTR_ORIG_PORT_SRC));
  out.destination_port = ntohs(nfct_get_attr_u16(flow, ATTR_ORIG_PORT_DST));
  out.reply_source_port = ntohs(nfct_get_attr_u16(flow, ATTR_REPL_PORT_SRC));
  return out;
}

struct Search {
  int family;
  std::uint8_t protocol;
  const std::function<bool(const Flow&)>& each;
  std::vector<Owned> found;
};

int take(nf_conntrack_msg_type, nf_conntrack* flow, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (nfct_get_attr_u8(flow, ATTR_L3PROTO) != search.family ||
      nfct_get_attr_u8(flow, ATTR_L4PROTO) != search.protocol)
    return NFCT_CB_CONTINUE;
  if (!search.each(read(flow, search.family, search.protocol))) return NFCT_CB_CONTINUE;
  search.found.emplace_back(flow);
  return NFCT_CB_STOLEN;
}

}  // namespace

Result<int> end_flows(const NetworkNamespace& where, int family, std::uint8_t protocol,
                      const std::function<bool(const Flow&)>& each) {
  return inside(where, [&]() -> Result<int> {
    const Handle handle(nfct_open(CONNTRACK, 0));
    if (!handle) return errno_error("conntrack: open", errno);
    Search search{family, protocol, each, {}};
    nfct_callback_register(handle.get(), NFCT_T_ALL, take, &search);
    const std::unique_ptr<nfct_filter_dump, DestroyFilter> filter(nfct_filter_dump_create());
    if (!filter) return errno_error("conntrack: filter", errno);
    nfct_filter_dump_set_attr_u8(filter.get(), NFCT_FILTER_DUMP_L3NUM, static_cast<std::uint8_t>(family));
    if (nfct_query(handle.get(), NFCT_Q_DUMP_FILTER, filter.get()) < 0)
      return errno_error("conntrack: list", errno);
    // On another socket: this one's callback is the search's.
    const Handle ender(nfct_open(CONNTRACK, 0));
    if (!ender) return errno_error("conntrack: open", errno);
    int ended = 0;
    for (const auto& flow : search.found) {
      if (nfct_query(ender.get(), NFCT_Q_DESTROY, flow.get()) == 0)
        ++ended;
      else if (errno != ENOENT)
        return errno_error("conntrack: delete", errno);
    }
    return ended;
  });
}

}  // namespace rusternetes::network
