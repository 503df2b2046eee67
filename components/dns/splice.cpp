#include "dns/splice.h"

#include <memory>

// After the standard library, whose names it takes for macros.
#include <ldns/ldns.h>

namespace rusternetes::dns {

namespace {
struct Free {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
  void operator()(std::uint8_t* bytes) const { std::free(bytes); }
};
}  // namespace

bool append_answers(std::string_view message, Response& response) {
  ldns_pkt* parsed = nullptr;
  if (ldns_wire2pkt(&parsed, reinterpret_cast<const std::uint8_t*>(message.data()), message.size()) !=
      LDNS_STATUS_OK)
    return false;
  const std::unique_ptr<ldns_pkt, Free> packet(parsed);
  const ldns_rr_list* answers = ldns_pkt_answer(packet.get());
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(answers); ++i) {
    std::uint8_t* raw = nullptr;
    std::size_t size = 0;
    // Without compression.
    if (ldns_rr2wire(&raw, ldns_rr_list_rr(answers, i), LDNS_SECTION_ANSWER, &size) != LDNS_STATUS_OK)
      return false;
    const std::unique_ptr<std::uint8_t, Free> owner(raw);
    const std::string_view record(reinterpret_cast<const char*>(raw), size);
    std::size_t at = 0;  // behind the owner's name
    while (at < size && record[at] != 0) at += static_cast<unsigned char>(record[at]) + 1u;
    if (++at + 10 > size) return false;
    response.add_record(Response::Section::answer, record.substr(0, at), read16(&record[at]),
                        read16(&record[at + 2]), read32(&record[at + 4]), record.substr(at + 10));
  }
  return true;
}

}  // namespace rusternetes::dns
