#include "apimachinery/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <limits>

#include "apimachinery/cidr.h"
#include "apimachinery/quote.h"
#include "apimachinery/uid.h"

namespace rusternetes::apimachinery {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_or_digit(char c) { return is_lower(c) || is_digit(c); }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_alphanumeric(char c) { return is_letter(c) || is_digit(c); }
bool is_key_char(char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; }

// The expressions that messages quote. The checks below are written out: they run for every name of every
// request.
#define DNS1123_LABEL "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define DNS1123_SUBDOMAIN DNS1123_LABEL "(\\." DNS1123_LABEL ")*"
#define DNS1123_LABEL_WITH_UNDERSCORE "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define LABEL_KEY "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

constexpr std::string_view kLabelError =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with "
    "an alphanumeric character";
constexpr std::string_view kSubdomainError =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and "
    "end with an alphanumeric character";
constexpr std::string_view kUnderscoreSubdomainError =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and "
    "must start "
    "and end with an alphanumeric character";
constexpr std::string_view kDns1035Error =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, "
    "and end with an alphanumeric character";
constexpr std::string_view kWildcardError =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
    "consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
constexpr std::string_view kLabelKeyError =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character";
constexpr std::string_view kLabelValueError =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and "
    "end with an alphanumeric character";
constexpr std::string_view kEnvVarError =
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and "
    "must not "
    "start with a digit";
constexpr std::string_view kRelaxedEnvVarError =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
constexpr std::string_view kDecimalError = "must be a valid decimal integer in canonical form";

std::string regex_message(std::string_view message, std::string_view regex,
                          std::initializer_list<std::string_view> examples) {
  std::string out(message);
  out += " (e.g. ";
  bool is_first = true;
  for (const std::string_view example : examples) {
    out += fmt::format("{}'{}', ", is_first ? "" : " or ", example);
    is_first = false;
  }
  out += fmt::format("regex used for validation is '{}')", regex);
  return out;
}

// The newer checks count in "bytes", the older in "characters".
std::string max_bytes_message(std::size_t length) {
  return fmt::format("must be no more than {} bytes", length);
}

template <class First, class Middle, class Last>
bool has_form(std::string_view value, First first, Middle middle, Last last) {
  return !value.empty() && first(value.front()) && last(value.back()) && std::ranges::all_of(value, middle);
}

bool matches_label(std::string_view value) {
  const auto middle = [](char c) { return is_lower_or_digit(c) || c == '-'; };
  return has_form(value, is_lower_or_digit, middle, is_lower_or_digit);
}

bool matches_label_with_underscore(std::string_view value) {
  if (value.starts_with('_')) value.remove_prefix(1);
  const auto middle = [](char c) { return is_lower_or_digit(c) || c == '-' || c == '_'; };
  return has_form(value, is_lower_or_digit, middle, is_lower_or_digit);
}

template <class Label>
bool all_labels(std::string_view value, Label matches) {
  for (;;) {
    const auto dot = value.find('.');
    if (!matches(value.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    value.remove_prefix(dot + 1);
  }
}

bool matches_subdomain(std::string_view value) { return all_labels(value, matches_label); }
bool matches_label_key(std::string_view value) {
  return has_form(value, is_alphanumeric, is_key_char, is_alphanumeric);
}

std::string subdomain_message() { return regex_message(kSubdomainError, DNS1123_SUBDOMAIN, {"example.com"}); }

void append_parent_directory_faults(std::string_view value, Messages& out) {
  if (value == ".")
    out.emplace_back("must not be '.'");
  else if (value == "..")
    out.emplace_back("must not be '..'");
  else if (value.starts_with(".."))
    out.emplace_back("must not start with '..'");
}

void append_path_faults(std::string_view name, Messages& out) {
  for (const char c : {'/', '%'})
    if (name.find(c) != std::string_view::npos) out.push_back(fmt::format("may not contain '{}'", c));
}

std::string canonical_message(std::string_view canonical) {
  return fmt::format("must be in canonical form ({})", quote(canonical));
}

}  // namespace

std::string max_length_message(std::size_t length) {
  return fmt::format("must be no more than {} characters", length);
}

std::string inclusive_range_message(std::int64_t low, std::int64_t high) {
  return fmt::format("must be between {} and {}, inclusive", low, high);
}

Messages is_dns1123_label(std::string_view value) {
  Messages out;
  if (value.size() > kMaxLabelLength) out.push_back(max_length_message(kMaxLabelLength));
  if (!matches_label(value))
    out.push_back(matches_subdomain(value)
                      ? "must not contain dots"
                      : regex_message(kLabelError, DNS1123_LABEL, {"my-name", "123-abc"}));
  return out;
}

Messages is_dns1123_subdomain(std::string_view value) {
  Messages out;
  if (value.size() > kMaxSubdomainLength) out.push_back(max_length_message(kMaxSubdomainLength));
  if (!matches_subdomain(value)) out.push_back(subdomain_message());
  return out;
}

Messages is_dns1123_subdomain_with_underscore(std::string_view value) {
  Messages out;
  if (value.size() > kMaxSubdomainLength) out.push_back(max_length_message(kMaxSubdomainLength));
  if (!all_labels(value, matches_label_with_underscore))
    out.push_back(regex_message(kUnderscoreSubdomainError,
                                DNS1123_LABEL_WITH_UNDERSCORE "(\\." DNS1123_LABEL_WITH_UNDERSCORE ")*",
                                {"example.com"}));
  return out;
}

Messages is_dns1035_label(std::string_view value) {
  Messages out;
  if (value.size() > kMaxLabelLength) out.push_back(max_length_message(kMaxLabelLength));
  if (!matches_label(value) || !is_lower(value[0]))
    out.push_back(regex_message(kDns1035Error, "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  return out;
}

Messages is_wildcard_dns1123_subdomain(std::string_view value) {
  Messages out;
  if (value.size() > kMaxSubdomainLength) out.push_back(max_length_message(kMaxSubdomainLength));
  if (!value.starts_with("*.") || !matches_subdomain(value.substr(2)))
    out.push_back(regex_message(kWildcardError, "\\*\\." DNS1123_SUBDOMAIN, {"*.example.com"}));
  return out;
}

Messages is_qualified_name(std::string_view value) {
  Messages out;
  const auto key_message = [] {
    return regex_message(kLabelKeyError, LABEL_KEY, {"MyName", "my.name", "123-abc"});
  };
  const auto slash = value.find('/');
  if (slash != value.rfind('/')) {
    out.push_back("a valid label key " + key_message() +
                  " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
    return out;
  }
  std::string_view name = value;
  if (slash != std::string_view::npos) {
    const std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (prefix.empty()) {
      out.emplace_back("prefix part must be non-empty");
    } else {
      if (prefix.size() > kMaxSubdomainLength)
        out.push_back("prefix part " + max_bytes_message(kMaxSubdomainLength));
      if (!matches_subdomain(prefix)) out.push_back("prefix part " + subdomain_message());
    }
  }
  if (name.empty())
    out.emplace_back("name part must be non-empty");
  else if (name.size() > kMaxLabelLength)
    out.push_back("name part " + max_bytes_message(kMaxLabelLength));
  if (!matches_label_key(name)) out.push_back("name part " + key_message());
  return out;
}

Messages is_valid_label_value(std::string_view value) {
  Messages out;
  if (value.size() > kMaxLabelLength) out.push_back(max_bytes_message(kMaxLabelLength));
  if (!value.empty() && !matches_label_key(value))
    out.push_back(regex_message(kLabelValueError, "(" LABEL_KEY ")?", {"MyValue", "my_value", "12345"}));
  return out;
}

Messages is_config_map_key(std::string_view value) {
  Messages out;
  if (value.size() > kMaxSubdomainLength) out.push_back(max_length_message(kMaxSubdomainLength));
  if (!has_form(value, is_key_char, is_key_char, is_key_char))
    out.push_back(regex_message("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                                "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  append_parent_directory_faults(value, out);
  return out;
}

Messages is_env_var_name(std::string_view value) {
  Messages out;
  const auto first = [](char c) { return is_key_char(c) && !is_digit(c); };
  if (!has_form(value, first, is_key_char, is_key_char))
    out.push_back(regex_message(kEnvVarError, "[-._a-zA-Z][-._a-zA-Z0-9]*",
                                {"my.env-name", "MY_ENV.NAME", "MyEnvName1"}));
  append_parent_directory_faults(value, out);
  return out;
}

Messages is_relaxed_env_var_name(std::string_view value) {
  if (value.empty()) return {"environment variable name must be non-empty"};
  const auto is_allowed = [](char c) { return c >= 0x20 && c < 0x7F && c != '='; };
  if (!std::ranges::all_of(value, is_allowed)) return {std::string(kRelaxedEnvVarError)};
  return {};
}

Messages is_c_identifier(std::string_view value) {
  const auto first = [](char c) { return is_letter(c) || c == '_'; };
  const auto rest = [](char c) { return is_alphanumeric(c) || c == '_'; };
  if (has_form(value, first, rest, rest)) return {};
  return {
      regex_message("a valid C identifier must start with alphabetic character or '_', followed by a string "
                    "of alphanumeric "
                    "characters or '_'",
                    "[A-Za-z_][A-Za-z0-9_]*", {"my_name", "MY_NAME", "MyName"})};
}

Messages is_http_header_name(std::string_view value) {
  const auto is_allowed = [](char c) { return is_alphanumeric(c) || c == '-'; };
  if (has_form(value, is_allowed, is_allowed, is_allowed)) return {};
  return {regex_message("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                        {"X-Header-Name"})};
}

Messages is_valid_percent(std::string_view value) {
  if (value.size() > 1 && value.back() == '%' &&
      std::ranges::all_of(value.substr(0, value.size() - 1), is_digit))
    return {};
  return {regex_message("a valid percent string must be a numeric string followed by an ending '%'",
                        "[0-9]+%", {"1%", "93%"})};
}

Messages is_decimal_integer(std::string_view value) {
  if (value.empty()) return {"must be non-empty"};
  if (value == "0") return {};
  if (value[0] == '-') value.remove_prefix(1);
  if (value.empty() || value[0] == '0' || !std::ranges::all_of(value, is_digit))
    return {std::string(kDecimalError)};
  return {};
}

Messages is_in_range(std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return {};
  return {inclusive_range_message(low, high)};
}

Messages is_valid_port_num(std::int64_t port) { return is_in_range(port, 1, 65535); }
Messages is_valid_user_id(std::int64_t id) {
  return is_in_range(id, 0, std::numeric_limits<std::int32_t>::max());
}
Messages is_valid_group_id(std::int64_t id) { return is_valid_user_id(id); }

Messages is_valid_port_name(std::string_view port) {
  Messages out;
  const auto is_allowed = [](char c) { return is_lower_or_digit(c) || c == '-'; };
  if (port.size() > 15) out.push_back(max_length_message(15));
  if (!has_form(port, is_allowed, is_allowed, is_allowed))
    out.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (std::ranges::none_of(port, is_lower)) out.emplace_back("must contain at least one letter (a-z)");
  if (port.find("--") != std::string_view::npos) out.emplace_back("must not contain consecutive hyphens");
  if (port.starts_with('-') || port.ends_with('-')) out.emplace_back("must not begin or end with a hyphen");
  return out;
}

Messages is_valid_ip_legacy(std::string_view value, bool is_strict) {
  const auto ip = IpAddress::parse_sloppy(value);
  if (!ip) return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
  if (!is_strict) return {};
  if (!IpAddress::parse(value)) return {"must not have leading 0s"};
  if (ip->is_v4_mapped()) return {"must not be an IPv4-mapped IPv6 address"};
  return {};
}

Messages is_valid_ip(std::string_view value) {
  Messages out = is_valid_ip_legacy(value, true);
  if (!out.empty()) return out;
  const std::string canonical = IpAddress::parse_sloppy(value)->to_string();
  if (value != canonical) out.push_back(canonical_message(canonical));
  return out;
}

Messages ip_warnings(std::string_view field, std::string_view value) {
  const auto ip = IpAddress::parse_sloppy(value);
  if (!ip) return {};
  const auto strict = IpAddress::parse(value);
  if (!strict || strict->is_v4_mapped())
    return {fmt::format(
        "{}: non-standard IP address {} will be considered invalid in a future Kubernetes release: use {}",
        field, quote(value), quote(ip->unmap().to_string()))};
  if (strict->is_v6() && strict->to_string() != value)
    return {fmt::format("{}: IPv6 address {} should be in RFC 5952 canonical format ({})", field,
                        quote(value), quote(strict->to_string()))};
  return {};
}

Messages is_valid_cidr_legacy(std::string_view value, bool is_strict) {
  const auto cidr = Cidr::parse_sloppy(value);
  if (!cidr) return {"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"};
  if (!is_strict) return {};
  if (!Cidr::parse(value)) return {"must not have leading 0s in IP or prefix length"};
  if (cidr->address().is_v4_mapped()) return {"must not have an IPv4-mapped IPv6 address"};
  if (cidr->address() != cidr->first()) return {"must not have bits set beyond the prefix length"};
  return {};
}

Messages is_valid_cidr(std::string_view value) {
  Messages out = is_valid_cidr_legacy(value, true);
  if (!out.empty()) return out;
  const std::string canonical = Cidr::parse_sloppy(value)->to_net_string();
  if (value != canonical) out.push_back(canonical_message(canonical));
  return out;
}

Messages is_valid_interface_address(std::string_view value) {
  const auto cidr = Cidr::parse_sloppy(value);
  if (!cidr) return {"must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"};
  int length = cidr->prefix_length();
  if (cidr->address().is_v4_mapped() && length > 32) length -= 96;
  const std::string canonical = fmt::format("{}/{}", cidr->address().unmap().to_string(), length);
  if (value == canonical) return {};
  return {canonical_message(canonical)};
}

Messages cidr_warnings(std::string_view field, std::string_view value) {
  Messages out;
  const auto cidr = Cidr::parse_sloppy(value);
  if (!cidr) return out;
  const auto strict = Cidr::parse(value);
  const IpAddress& address = cidr->address();
  if (address != cidr->first())
    out.push_back(
        fmt::format("{}: CIDR value {} is ambiguous in this context (should be {} or {}?)", field,
                    quote(value), quote(cidr->to_net_string()),
                    quote(fmt::format("{}/{}", address.unmap().to_string(), address.bit_length()))));
  if (!strict || address.is_v4_mapped())
    out.push_back(fmt::format(
        "{}: non-standard CIDR value {} will be considered invalid in a future Kubernetes release: use {}",
        field, quote(value), quote(cidr->to_net_string())));
  if (out.empty() && address.is_v6() && strict->to_string() != value)
    out.push_back(fmt::format("{}: IPv6 CIDR value {} should be in RFC 5952 canonical format ({})", field,
                              quote(value), quote(strict->to_string())));
  return out;
}

Messages is_valid_path_segment_name(std::string_view name) {
  if (name == "." || name == "..") return {fmt::format("may not be '{}'", name)};
  return is_valid_path_segment_prefix(name);
}

Messages is_valid_path_segment_prefix(std::string_view name) {
  Messages out;
  append_path_faults(name, out);
  return out;
}

std::string mask_trailing_dash(std::string_view name) {
  // Kubernetes takes the two last characters away and puts one "a".
  if (name.size() > 1 && name.ends_with('-')) return std::string(name.substr(0, name.size() - 2)) + "a";
  return std::string(name);
}

std::string generate_name(std::string_view base) {
  return std::string(base.substr(0, kMaxGenerateNameBase)) + random_suffix();
}

}  // namespace rusternetes::apimachinery
