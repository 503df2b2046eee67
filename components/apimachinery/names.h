#pragma once
// Which texts may be names, keys, ports and addresses in the API. Every check returns what is wrong, in
// Kubernetes' words, one message a fault; an empty list means valid. Lengths are in bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::apimachinery {

using Messages = std::vector<std::string>;

inline constexpr std::size_t kMaxLabelLength = 63;  // DNS labels, label keys without prefix, label values
inline constexpr std::size_t kMaxSubdomainLength = 253;  // DNS subdomains
inline constexpr std::size_t kMaxGenerateNameBase = 58;  // 63 less the random suffix
inline constexpr std::size_t kMaxAnnotationsSize_bytes =
    256 * 1024;  // keys and values of one object together

// The parts that other messages are made of.
std::string max_length_message(std::size_t length);  // in "characters"
std::string inclusive_range_message(std::int64_t low, std::int64_t high);

// Most names: lower-case letters, digits and '-', 63 bytes (RFC 1123), and with dots 253 bytes.
Messages is_dns1123_label(std::string_view value);
Messages is_dns1123_subdomain(std::string_view value);
// Names of searched DNS domains may hold '_'.
Messages is_dns1123_subdomain_with_underscore(std::string_view value);
// Names of Services: does not start with a digit (RFC 1035).
Messages is_dns1035_label(std::string_view value);
// "*.example.com" (RFC 1034 section 4.3.3).
Messages is_wildcard_dns1123_subdomain(std::string_view value);

// Keys of labels and annotations (these after lower-casing), finalizers, resources: "example.com/MyName".
Messages is_qualified_name(std::string_view value);
Messages is_valid_label_value(std::string_view value);

// Keys of ConfigMaps and Secrets.
Messages is_config_map_key(std::string_view value);
// The strict rule, and the one that Pods follow since RelaxedEnvironmentVariableValidation.
Messages is_env_var_name(std::string_view value);
Messages is_relaxed_env_var_name(std::string_view value);
Messages is_c_identifier(std::string_view value);
Messages is_http_header_name(std::string_view value);
// "25%"
Messages is_valid_percent(std::string_view value);
// A whole number in canonical form, as resourceVersions are.
Messages is_decimal_integer(std::string_view value);

Messages is_valid_port_num(std::int64_t port);
Messages is_valid_port_name(std::string_view port);
Messages is_in_range(std::int64_t value, std::int64_t low, std::int64_t high);
Messages is_valid_user_id(std::int64_t id);
Messages is_valid_group_id(std::int64_t id);

// Canonical addresses and blocks, for fields that never took others.
Messages is_valid_ip(std::string_view value);
Messages is_valid_cidr(std::string_view value);
// "192.168.1.5/24": an address with its network's length.
Messages is_valid_interface_address(std::string_view value);
// For older fields: not necessarily canonical, and unless `is_strict` also with leading zeros, IPv4-mapped,
// or with bits beyond the prefix. Kubernetes is not strict unless its feature gate StrictIPCIDRValidation is
// on.
Messages is_valid_ip_legacy(std::string_view value, bool is_strict = false);
Messages is_valid_cidr_legacy(std::string_view value, bool is_strict = false);
// What a client is warned about if such a field, at `field`, holds an unusual form; nothing for invalid
// values.
Messages ip_warnings(std::string_view field, std::string_view value);
Messages cidr_warnings(std::string_view field, std::string_view value);

// What may stand in a URL path and a storage key; RBAC names obey only this.
Messages is_valid_path_segment_name(std::string_view name);
// The same for a generateName, which a suffix follows.
Messages is_valid_path_segment_prefix(std::string_view name);

// A generateName as the name checks above see it: a trailing '-' will be followed by a suffix.
std::string mask_trailing_dash(std::string_view name);
// `base`, cut to 58 bytes, and five random characters.
std::string generate_name(std::string_view base);

}  // namespace rusternetes::apimachinery
