#pragma once
// Writes an answer by hand into a buffer: the question exactly as it came (clients check its case), records
// with names that point into it, EDNS if the client speaks it, and never more bytes than the client takes.

#include <cstdint>
#include <string>
#include <string_view>

#include "dns/message.h"
#include "network/address.h"

namespace rusternetes::dns {

// What all answers of a server have in common.
struct AnswerLimits {
  std::uint16_t udp_size = 1232;  // what is announced and sent at most over UDP (no fragments on any path)
  bool offers_recursion = true;
};

enum class Transport { udp, tcp };

// How large an answer may be.
std::size_t answer_limit(const Query& query, Transport transport, const AnswerLimits& limits);

class Response {
 public:
  // A record's owner or the name in its data: labels, then either a place in this message or the end.
  struct Name {
    std::string_view labels;  // without the root
    std::size_t rest = 0;     // 0: nothing follows
  };

  // Begins an answer in `buffer` (emptied first), which outlives this.
  Response(std::string& buffer, const Query& query, std::size_t limit, const AnswerLimits& limits);

  void set_rcode(Rcode rcode);
  void set_flag(std::uint16_t flag);
  // Where the part of the question's name begins that `suffix_at` bytes of it stand before.
  static std::size_t in_question(std::size_t suffix_at) { return header_size + suffix_at; }
  static Name whole_question() { return {{}, header_size}; }

  // Each is false when it did not fit; in the answer section that sets the TC flag, and what follows is
  // refused. Sections are written in their order.
  enum class Section { answer, authority, additional };
  bool add_address(Section section, Name owner, std::uint32_t ttl,
                   std::string_view bytes);  // 4 or 16 of them
  bool add_name(Section section, std::uint16_t type, Name owner, std::uint32_t ttl, Name target);
  // `target` is written in full (RFC 2782); `target_at` gets its place.
  bool add_srv(Name owner, std::uint32_t ttl, std::uint16_t weight, std::uint16_t port,
               std::string_view target, std::size_t* target_at);
  bool add_text(Name owner, std::uint32_t ttl, std::string_view text);
  struct Soa {
    Name owner;
    std::uint32_t ttl = 0, serial = 0, minimum = 0;
    std::string_view server, mailbox;  // labels in front of the owner
  };
  bool add_soa(Section section, const Soa& soa);
  // Any record, its data as it is.
  bool add_record(Section section, std::string_view owner, std::uint16_t type, std::uint16_t klass,
                  std::uint32_t ttl, std::string_view data);

  bool is_truncated() const { return is_truncated_; }
  std::size_t size() const { return buffer_.size(); }
  // Writes the counts and the OPT record; the buffer is the message then.
  void finish();

 private:
  bool begin(Name owner, std::uint16_t type, std::uint16_t klass, std::uint32_t ttl);
  bool end(Section section);
  void put16(std::uint16_t value);
  void put32(std::uint32_t value);
  void put_name(Name name);

  std::string& buffer_;
  std::size_t limit_, record_at_ = 0, length_at_ = 0;
  std::uint16_t flags_, counts_[3] = {};
  std::uint16_t udp_size_;
  Rcode rcode_ = Rcode::no_error;
  bool has_edns_, wants_dnssec_, is_truncated_ = false;
};

// An answer without records. For what could not be read at all the question is left out.
std::string error_answer(const Query& query, Rcode rcode, const AnswerLimits& limits);

}  // namespace rusternetes::dns
