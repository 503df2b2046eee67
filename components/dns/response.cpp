#include "dns/response.h"

#include <algorithm>

namespace rusternetes::dns {

namespace {
constexpr std::size_t opt_size = 11;
}

std::size_t answer_limit(const Query& query, Transport transport, const AnswerLimits& limits) {
  if (transport == Transport::tcp) return most_message;
  return std::max<std::size_t>(std::min(query.udp_size, limits.udp_size), most_udp_plain);
}

Response::Response(std::string& buffer, const Query& query, std::size_t limit, const AnswerLimits& limits)
    : buffer_(buffer),
      limit_(limit - (query.has_edns ? opt_size : 0)),
      flags_(static_cast<std::uint16_t>(
          flag_response | (query.flags & (mask_opcode | flag_recursion_desired | flag_checking_disabled)) |
          (limits.offers_recursion ? flag_recursion_available : 0))),
      udp_size_(limits.udp_size),
      has_edns_(query.has_edns),
      wants_dnssec_(query.wants_dnssec) {
  buffer_.clear();
  buffer_.resize(header_size);
  write16(&buffer_[0], query.id);
  write16(&buffer_[4], query.question.empty() ? 0 : 1);
  buffer_ += query.question;
}

void Response::set_rcode(Rcode rcode) { rcode_ = rcode; }
void Response::set_flag(std::uint16_t flag) { flags_ |= flag; }

void Response::put16(std::uint16_t value) {
  const char bytes[] = {static_cast<char>(value >> 8), static_cast<char>(value)};
  buffer_.append(bytes, 2);
}
void Response::put32(std::uint32_t value) {
  put16(static_cast<std::uint16_t>(value >> 16));
  put16(static_cast<std::uint16_t>(value));
}
void Response::put_name(Name name) {
  buffer_ += name.labels;
  if (name.rest != 0)
    put16(static_cast<std::uint16_t>(0xc000 | name.rest));
  else
    buffer_ += '\0';
}

bool Response::begin(Name owner, std::uint16_t type, std::uint16_t klass, std::uint32_t ttl) {
  if (is_truncated_) return false;
  record_at_ = buffer_.size();
  put_name(owner);
  put16(type);
  put16(klass);
  put32(ttl);
  length_at_ = buffer_.size();
  put16(0);
  return true;
}

bool Response::end(Section section) {
  if (buffer_.size() > limit_ || counts_[static_cast<int>(section)] == 0xffff) {
    buffer_.resize(record_at_);
    // Losing what is only a kindness is no truncation (RFC 2181 section 9).
    if (section == Section::answer) is_truncated_ = true;
    return false;
  }
  write16(&buffer_[length_at_], static_cast<std::uint16_t>(buffer_.size() - length_at_ - 2));
  ++counts_[static_cast<int>(section)];
  return true;
}

bool Response::add_address(Section section, Name owner, std::uint32_t ttl, std::string_view bytes) {
  if (!begin(owner, bytes.size() == 4 ? type_a : type_aaaa, class_in, ttl)) return false;
  buffer_ += bytes;
  return end(section);
}

bool Response::add_name(Section section, std::uint16_t type, Name owner, std::uint32_t ttl, Name target) {
  if (!begin(owner, type, class_in, ttl)) return false;
  put_name(target);
  return end(section);
}

bool Response::add_srv(Name owner, std::uint32_t ttl, std::uint16_t weight, std::uint16_t port,
                       std::string_view target, std::size_t* target_at) {
  if (!begin(owner, type_srv, class_in, ttl)) return false;
  put16(0);  // priority
  put16(weight);
  put16(port);
  if (target_at) *target_at = buffer_.size();
  buffer_ += target;
  return end(Section::answer);
}

bool Response::add_text(Name owner, std::uint32_t ttl, std::string_view text) {
  if (!begin(owner, type_txt, class_in, ttl)) return false;
  buffer_ += static_cast<char>(text.size());
  buffer_ += text;
  return end(Section::answer);
}

bool Response::add_soa(Section section, const Soa& soa) {
  if (!begin(soa.owner, type_soa, class_in, soa.ttl)) return false;
  put_name({soa.server, soa.owner.rest});
  put_name({soa.mailbox, soa.owner.rest});
  put32(soa.serial);
  put32(7200);  // refresh, retry and expire as CoreDNS has them; nobody transfers this zone
  put32(1800);
  put32(86400);
  put32(soa.minimum);
  return end(section);
}

bool Response::add_record(Section section, std::string_view owner, std::uint16_t type, std::uint16_t klass,
                          std::uint32_t ttl, std::string_view data) {
  if (is_truncated_) return false;
  record_at_ = buffer_.size();
  buffer_ += owner;
  put16(type);
  put16(klass);
  put32(ttl);
  length_at_ = buffer_.size();
  put16(0);
  buffer_ += data;
  return end(section);
}

void Response::finish() {
  if (has_edns_) {
    buffer_ += '\0';
    put16(type_opt);
    put16(udp_size_);
    buffer_ += static_cast<char>(static_cast<unsigned>(rcode_) >> 4);
    buffer_ += '\0';  // version
    put16(wants_dnssec_ ? 0x8000 : 0);
    put16(0);
    ++counts_[2];
  }
  if (is_truncated_) flags_ |= flag_truncated;
  write16(&buffer_[2], static_cast<std::uint16_t>(flags_ | (static_cast<unsigned>(rcode_) & 0x0f)));
  for (int i = 0; i < 3; ++i) write16(&buffer_[6 + 2 * i], counts_[i]);
}

std::string error_answer(const Query& query, Rcode rcode, const AnswerLimits& limits) {
  std::string buffer;
  Response response(buffer, query, most_udp_plain, limits);
  response.set_rcode(rcode);
  response.finish();
  return buffer;
}

}  // namespace rusternetes::dns
