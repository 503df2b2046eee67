#pragma once
// What the parts of Zone share: the labels of a name, and what they ask for.

#include <array>
#include <string>
#include <string_view>

#include "dns/zone.h"

namespace rusternetes::dns {

using network::IpAddress;

inline std::string_view bytes_of(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()};
}
inline bool is_of_type(const IpAddress& address, std::uint16_t type) {
  return address.is_v4() ? type == type_a : type == type_aaaa;
}
inline bool is_address_type(std::uint16_t type) { return type == type_a || type == type_aaaa; }

inline std::string to_label(std::string_view text) {
  return std::string(1, static_cast<char>(text.size())).append(text);
}

// What stands in front of the domain.
struct Zone::Labels {
  static constexpr std::size_t most = 5;  // _port._protocol.service.namespace.svc
  std::string_view name;
  std::size_t zone_at = 0, count = 0;  // count is most + 1 for more than can mean anything
  std::array<std::string_view, most> text;
  std::array<std::size_t, most> at;

  Labels(std::string_view name, std::size_t zone_at) : name(name), zone_at(zone_at) {
    for (std::size_t from = 0; from < zone_at; ++count) {
      if (count == most) {
        ++count;
        return;
      }
      const std::size_t size = static_cast<unsigned char>(name[from]);
      at[count] = from;
      text[count] = name.substr(from + 1, size);
      from += size + 1;
    }
  }
  std::string_view from_end(std::size_t i) const { return text[count - 1 - i]; }
};

// An address with a port that a question may ask for.
struct Zone::Item {
  IpAddress address;
  std::string host;  // labels in front of "svc.DOMAIN"
  std::uint16_t port = 0;
  bool has_port = true;
};

// Which of them; what is empty matches all.
struct Zone::Wanted {
  std::string_view endpoint, port, protocol;
  std::size_t most = ~std::size_t{0};
  bool matches(const NamedPort& each) const {
    return (port.empty() || port == each.name) && (protocol.empty() || protocol == each.protocol);
  }
  bool matches_portless() const { return port.empty() && protocol.empty(); }
};

}  // namespace rusternetes::dns
