#pragma once
// The Services that rules are made of, as JSON text: each has a port and one EndpointSlice of addresses that
// occur nowhere else, so that a rule can be told by the address in it.

#include <cstddef>
#include <cstdint>
#include <string>

namespace rusternetes::bench {

inline constexpr const char* kNode = "bench-node";

// An endpoint's number, at most 65,535, as the last two bytes of 10.244.0.0/16.
std::string endpoint_address(std::uint16_t number);

struct Scale {
  std::size_t services = 0;
  std::size_t endpoints = 0;  // of each Service
  std::uint16_t number(std::size_t service, std::size_t endpoint) const {
    return static_cast<std::uint16_t>(1 + service * endpoints + endpoint);
  }
  std::size_t total() const { return services * endpoints; }
};

std::string node(const std::string& address);
std::string service_name(std::size_t service);
std::string service(std::size_t number);
std::string slice(const Scale& scale, std::size_t service);
// A merge patch that gives the first endpoint another address, as a Pod's successor does.
std::string slice_patch(const Scale& scale, std::size_t service, std::uint16_t first);

}  // namespace rusternetes::bench
