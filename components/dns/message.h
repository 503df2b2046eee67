#pragma once
// DNS messages as bytes (RFC 1035 section 4, RFC 6891): reading questions and walking over foreign answers
// without copying them. Everything here takes bytes from anybody and never reads past their end.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::dns {

inline constexpr std::uint16_t type_a = 1, type_ns = 2, type_cname = 5, type_soa = 6, type_ptr = 12,
                               type_hinfo = 13, type_mx = 15, type_txt = 16, type_aaaa = 28, type_srv = 33,
                               type_opt = 41, type_https = 65, type_ixfr = 251, type_axfr = 252,
                               type_any = 255;
inline constexpr std::uint16_t class_in = 1, class_any = 255;

enum class Rcode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,
  not_implemented = 4,
  refused = 5,
  bad_version = 16,  // in an OPT record only (RFC 6891 section 6.1.3)
};
std::string_view name_of(Rcode rcode);  // "NXDOMAIN"

inline constexpr std::size_t header_size = 12, most_udp_plain = 512, most_message = 65535, most_name = 255;
inline constexpr std::size_t most_query = 4096;  // none that makes sense is larger

// The bits of the header's third and fourth byte.
inline constexpr std::uint16_t flag_response = 0x8000, flag_authoritative = 0x0400, flag_truncated = 0x0200,
                               flag_recursion_desired = 0x0100, flag_recursion_available = 0x0080,
                               flag_authentic = 0x0020, flag_checking_disabled = 0x0010, mask_opcode = 0x7800;

inline std::uint16_t read16(const char* at) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(at);
  return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}
inline std::uint32_t read32(const char* at) { return std::uint32_t{read16(at)} << 16 | read16(at + 2); }
inline void write16(char* at, std::uint16_t value) {
  at[0] = static_cast<char>(value >> 8);
  at[1] = static_cast<char>(value);
}
inline void write32(char* at, std::uint32_t value) {
  write16(at, static_cast<std::uint16_t>(value >> 16));
  write16(at + 2, static_cast<std::uint16_t>(value));
}
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// A name in wire form: labels with their length before them, up to and with the root's empty one.
// From text ("web.default.svc.cluster.local", with or without a dot at its end); lower case. BadRequest for
// empty or too long labels and too long names. No escapes.
Result<std::string> name_from_text(std::string_view text);
// For logs and tests; with the dot at the end.
std::string name_to_text(std::string_view wire);
void lower_name(std::string& wire);
// Whether `name` is `zone` or below it; both lower case, in wire form. `at` is where the zone begins.
bool is_within(std::string_view name, std::string_view zone, std::size_t* at = nullptr);

// What a client asks. The views point into its message.
struct Query {
  std::uint16_t id = 0, flags = 0;
  std::string_view question;  // name, type and class, as they came
  std::string_view name;      // wire form, in the client's case
  std::string lower_name;     // wire form, lower case
  std::uint16_t type = 0, klass = 0;
  bool has_edns = false, wants_dnssec = false;
  std::uint16_t udp_size = most_udp_plain;  // never less
  std::uint8_t edns_version = 0;
};

enum class QueryError {
  none,
  ignore,           // no answer at all: shorter than a header, or itself a response
  format_error,     // answered from the header alone
  not_implemented,  // another opcode
};
// Fills what could be read, also beside an error: `id` and `flags` at least, unless ignored.
QueryError parse_query(std::string_view message, Query& out);

// One record of a message; offsets into it.
struct RecordAt {
  std::uint16_t type = 0, klass = 0;
  std::uint32_t ttl = 0;  // with the highest bit set it counts as 0 (RFC 2181 section 8)
  std::size_t name = 0, ttl_at = 0, data = 0, data_size = 0, end = 0;
};

struct Walk {
  std::uint16_t id = 0, flags = 0;
  std::string name;  // the question's, lower case
  std::uint16_t type = 0, klass = 0;
  std::size_t question_end = 0;
  std::vector<RecordAt> answer, authority, additional;
  std::uint8_t rcode() const { return flags & 0x0f; }
};
// Of a response with exactly one question. BadRequest: malformed in any part, with bytes after its end, with
// a compressed question (there is nothing before it to point at), or with names that reach into what may
// change (TTLs, addresses): no honest server points there.
Result<Walk> walk_message(std::string_view message);

// Reads a name at `at`, following compression, into lower case. False: malformed, or with a byte of
// `forbidden` (one bit a byte of the message). `at` is then behind it.
bool read_name(std::string_view message, std::size_t& at, std::string* lower_case,
               const std::vector<bool>* forbidden = nullptr);

}  // namespace rusternetes::dns
