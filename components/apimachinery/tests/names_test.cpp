#include "apimachinery/names.h"

#include <catch2/catch.hpp>

#include "apimachinery/hash.h"

using namespace rusternetes::apimachinery;

namespace {

const std::string kLabelMessage =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const std::string kSubdomainMessage =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const std::string kKeyMessage =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

std::string repeat(std::string_view text, int times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

}  // namespace

TEST_CASE("DNS labels and subdomains are checked with Kubernetes' messages") {
  for (const std::string& good :
       {std::string("a"), std::string("my-name"), std::string("123-abc"), repeat("a", 63)}) {
    INFO(good);
    CHECK(is_dns1123_label(good).empty());
    CHECK(is_dns1123_subdomain(good + "." + good).empty());
  }
  CHECK(is_dns1123_label("a.b") == Messages{"must not contain dots"});
  for (const char* bad : {"", "-a", "a-", "A", "a_b", "a.", ".a", "a..b", "a b", "\xC3\xA9"}) {
    INFO(bad);
    CHECK(is_dns1123_label(bad) == Messages{kLabelMessage});
    CHECK(is_dns1123_subdomain(bad) == Messages{kSubdomainMessage});
  }
  CHECK(is_dns1123_label(repeat("a", 64)) == Messages{"must be no more than 63 characters"});
  CHECK(is_dns1123_subdomain(repeat("a", 253)).empty());
  CHECK(is_dns1123_subdomain(repeat("a", 254)) == Messages{"must be no more than 253 characters"});
  CHECK(is_dns1123_subdomain_with_underscore("_dmarc._x.com").empty());
  CHECK(is_dns1123_subdomain_with_underscore("__x").size() == 1);
  CHECK(is_dns1035_label("a1").empty());
  CHECK(
      is_dns1035_label("1a") ==
      Messages{
          "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
          "alphabetic "
          "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
          "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"});
  CHECK(is_dns1035_label("").size() == 1);
  CHECK(is_wildcard_dns1123_subdomain("*.example.com").empty());
  for (const char* bad : {"*", "*.", "example.com", "*.*.com", "a*.com"})
    CHECK(is_wildcard_dns1123_subdomain(bad).size() == 1);
}

TEST_CASE("label keys and values are checked with Kubernetes' messages") {
  for (const char* good : {"simple", "1.2.3.4/5678", "example.com/Uppercase_Is_OK_123", "a"})
    CHECK(is_qualified_name(good).empty());
  CHECK(is_qualified_name("a/b/c") == Messages{"a valid label key " + kKeyMessage +
                                               " with an optional DNS subdomain prefix and '/' (e.g. "
                                               "'example.com/MyName')"});
  CHECK(is_qualified_name("/x") == Messages{"prefix part must be non-empty"});
  CHECK(is_qualified_name("x/") == Messages{"name part must be non-empty", "name part " + kKeyMessage});
  CHECK(is_qualified_name("X/y") == Messages{"prefix part " + kSubdomainMessage});
  CHECK(is_qualified_name(repeat("a", 254) + "/" + repeat("b", 64)) ==
        Messages{"prefix part must be no more than 253 bytes", "name part must be no more than 63 bytes"});
  CHECK(is_valid_label_value("").empty());
  CHECK(is_valid_label_value("My_Value.1").empty());
  CHECK(is_valid_label_value(repeat("a", 64)) == Messages{"must be no more than 63 bytes"});
  CHECK(is_valid_label_value("-a") ==
        Messages{"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                 "'.', and must "
                 "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
                 "regex used "
                 "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"});
}

TEST_CASE("keys of maps, variables and headers are checked") {
  for (const char* good : {"key.name", "KEY_NAME", ".hidden", "a..b"}) CHECK(is_config_map_key(good).empty());
  CHECK(is_config_map_key(".") == Messages{"must not be '.'"});
  CHECK(is_config_map_key("..") == Messages{"must not be '..'"});
  CHECK(is_config_map_key("..a") == Messages{"must not start with '..'"});
  CHECK(is_config_map_key("a/b").size() == 1);
  CHECK(is_config_map_key("").size() == 1);
  CHECK(is_config_map_key(repeat("a", 254)) == Messages{"must be no more than 253 characters"});
  CHECK(is_env_var_name("my.env-name").empty());
  CHECK(is_env_var_name("1a").size() == 1);
  CHECK(is_env_var_name("..a") == Messages{"must not start with '..'"});
  CHECK(is_relaxed_env_var_name("1 a:~").empty());
  CHECK(is_relaxed_env_var_name("") == Messages{"environment variable name must be non-empty"});
  for (const char* bad : {"a=b", "a\n", "\xC3\xA9", "\x7F"})
    CHECK(is_relaxed_env_var_name(bad) ==
          Messages{"a valid environment variable name must consist only of printable "
                   "ASCII characters other than '='"});
  CHECK(is_c_identifier("_a1").empty());
  CHECK(is_c_identifier("1a").size() == 1);
  CHECK(is_c_identifier("").size() == 1);
  CHECK(is_http_header_name("X-Header-Name").empty());
  CHECK(is_http_header_name("X_Header").size() == 1);
  CHECK(is_valid_percent("50%").empty());
  for (const char* bad : {"%", "5", "5%%", "-5%", ""}) CHECK(is_valid_percent(bad).size() == 1);
  for (const char* good : {"0", "7", "-7", "120"}) CHECK(is_decimal_integer(good).empty());
  CHECK(is_decimal_integer("") == Messages{"must be non-empty"});
  for (const char* bad : {"-", "00", "-0", "01", "+1", "1a"})
    CHECK(is_decimal_integer(bad) == Messages{"must be a valid decimal integer in canonical form"});
}

TEST_CASE("ports and numbers are checked") {
  CHECK(is_valid_port_num(1).empty());
  CHECK(is_valid_port_num(65535).empty());
  for (const int bad : {0, -1, 65536})
    CHECK(is_valid_port_num(bad) == Messages{"must be between 1 and 65535, inclusive"});
  CHECK(is_valid_user_id(2147483647).empty());
  CHECK(is_valid_user_id(2147483648) == Messages{"must be between 0 and 2147483647, inclusive"});
  CHECK(is_valid_group_id(-1).size() == 1);
  CHECK(is_valid_port_name("http-1").empty());
  CHECK(is_valid_port_name("") ==
        Messages{"must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                 "must contain at least one letter (a-z)"});
  CHECK(is_valid_port_name("-1--2-") == Messages{"must contain at least one letter (a-z)",
                                                 "must not contain consecutive hyphens",
                                                 "must not begin or end with a hyphen"});
  CHECK(is_valid_port_name("abcdefghijklmnop") == Messages{"must be no more than 15 characters"});
}

TEST_CASE("addresses are strict for new fields and lenient for old ones") {
  CHECK(is_valid_ip("10.9.8.7").empty());
  CHECK(is_valid_ip("2001:db8::ffff").empty());
  CHECK(is_valid_ip("x") == Messages{"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"});
  CHECK(is_valid_ip("010.0.0.1") == Messages{"must not have leading 0s"});
  CHECK(is_valid_ip("::ffff:1.2.3.4") == Messages{"must not be an IPv4-mapped IPv6 address"});
  CHECK(is_valid_ip("FE80::1") == Messages{"must be in canonical form (\"fe80::1\")"});
  for (const char* old : {"010.0.0.1", "::ffff:1.2.3.4", "FE80::1"}) CHECK(is_valid_ip_legacy(old).empty());
  CHECK(is_valid_ip_legacy("FE80::1", true).empty());
  CHECK(is_valid_ip_legacy("010.0.0.1", true).size() == 1);

  CHECK(is_valid_cidr("10.0.0.0/8").empty());
  CHECK(is_valid_cidr("10.0.0.0") ==
        Messages{"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"});
  CHECK(is_valid_cidr("10.0.0.1/8") == Messages{"must not have bits set beyond the prefix length"});
  CHECK(is_valid_cidr("10.0.0.0/08") == Messages{"must not have leading 0s in IP or prefix length"});
  CHECK(is_valid_cidr("::ffff:0.0.0.0/96") == Messages{"must not have an IPv4-mapped IPv6 address"});
  CHECK(is_valid_cidr("FE80::/10") == Messages{"must be in canonical form (\"fe80::/10\")"});
  CHECK(is_valid_cidr_legacy("10.0.0.1/08").empty());
  CHECK(is_valid_interface_address("192.168.1.5/24").empty());
  CHECK(is_valid_interface_address("192.168.01.5/24") ==
        Messages{"must be in canonical form (\"192.168.1.5/24\")"});
}

TEST_CASE("unusual addresses in old fields are warned about") {
  CHECK(ip_warnings("spec.ip", "1.2.3.4").empty());
  CHECK(ip_warnings("spec.ip", "not one").empty());
  CHECK(ip_warnings("spec.ip", "01.2.3.4") ==
        Messages{
            "spec.ip: non-standard IP address \"01.2.3.4\" will be considered invalid in a future Kubernetes "
            "release: use \"1.2.3.4\""});
  CHECK(ip_warnings("spec.ip", "::0:1") ==
        Messages{"spec.ip: IPv6 address \"::0:1\" should be in RFC 5952 canonical format (\"::1\")"});
  CHECK(cidr_warnings("f", "10.0.0.1/8") ==
        Messages{"f: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should "
                 "be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"});
  CHECK(cidr_warnings("f", "::ffff:1.2.3.0/120") ==
        Messages{"f: non-standard CIDR value \"::ffff:1.2.3.0/120\" will be considered invalid in a future "
                 "Kubernetes "
                 "release: use \"1.2.3.0/24\""});
}

TEST_CASE("names in paths may hold all but dots alone, slashes and percent signs") {
  CHECK(is_valid_path_segment_name("system:node:a b").empty());
  CHECK(is_valid_path_segment_name("..") == Messages{"may not be '..'"});
  CHECK(is_valid_path_segment_name("%/") == Messages{"may not contain '/'", "may not contain '%'"});
  CHECK(is_valid_path_segment_prefix("..").empty());
}

TEST_CASE("a generated name keeps its base and never grows beyond 63 bytes") {
  const std::string name = generate_name("web-");
  CHECK(name.size() == 9);
  CHECK(name.starts_with("web-"));
  CHECK(name.find_first_not_of(kSafeAlphabet, 4) == std::string::npos);
  CHECK(generate_name(repeat("a", 100)).size() == 63);
  CHECK(generate_name("web-") != generate_name("web-"));
  CHECK(is_dns1123_label(mask_trailing_dash("web-")).empty());
  CHECK(mask_trailing_dash("web-") == "wea");
  CHECK(mask_trailing_dash("-") == "-");
}
