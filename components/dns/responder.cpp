#include "dns/responder.h"

#include <algorithm>

#include "dns/splice.h"

namespace rusternetes::dns {

using SteadyClock = std::chrono::steady_clock;

namespace {
constexpr std::string_view by_kubernetes = "kubernetes", by_cache = "cache", by_forward = "forward";
}

Responder::Responder(Zone& zone, Forwarder& forwarder, Metrics& metrics, const Clock& clock,
                     AnswerLimits limits, std::function<bool()> is_synced)
    : zone_(zone),
      forwarder_(forwarder),
      metrics_(metrics),
      clock_(clock),
      limits_(limits),
      is_synced_(std::move(is_synced)) {}

void Responder::count(const std::string& answer, std::string_view by, Transport transport,
                      SteadyClock::time_point began) {
  metrics_.on_response(static_cast<Rcode>(answer[3] & 0x0f), by, transport, answer.size(),
                       SteadyClock::now() - began);
}

Responder::Outcome Responder::refuse(Rcode rcode, std::string& out, std::string_view& by) {
  out = error_answer(query_, rcode, limits_);
  by = {};
  return Outcome::answered;
}

Responder::Outcome Responder::answer(std::string_view message, Transport transport, bool is_v6,
                                     std::string& out) {
  const auto began = SteadyClock::now();
  const QueryError problem = parse_query(message, query_);
  if (problem == QueryError::ignore) return Outcome::nothing;
  metrics_.on_request(query_, message.size(), transport, is_v6);
  std::string_view by;
  Outcome outcome = Outcome::answered;
  if (problem == QueryError::none) {
    outcome = decide(transport, out, by);
  } else {
    Query bare;  // nothing of it is to be trusted
    bare.id = query_.id;
    bare.flags = query_.flags;
    const bool is_other_opcode = problem == QueryError::not_implemented;
    out = error_answer(bare, is_other_opcode ? Rcode::not_implemented : Rcode::format_error, limits_);
  }
  if (outcome == Outcome::answered) count(out, by, transport, began);
  return outcome;
}

Responder::Outcome Responder::decide(Transport transport, std::string& out, std::string_view& by) {
  chain_.clear();
  if (query_.has_edns && query_.edns_version != 0) return refuse(Rcode::bad_version, out, by);
  if (query_.klass != class_in || query_.type == type_axfr || query_.type == type_ixfr)
    return refuse(Rcode::refused, out, by);
  if (forwarder_.takes_probe(query_)) return refuse(Rcode::server_failure, out, by);
  const Zone::Scope scope = zone_.scope_of(query_);
  // A stub for a part of the cluster's domain is asked about that part.
  const bool is_ours = scope == Zone::Scope::reverse ||
                       (scope == Zone::Scope::cluster &&
                        forwarder_.stub_of(query_.lower_name).size() <= zone_.domain().size());
  if (!is_ours) return forward(transport, out, by);
  by = by_kubernetes;
  if (!is_synced_() && scope == Zone::Scope::cluster) return refuse(Rcode::server_failure, out, by);
  Response response(out, query_, answer_limit(query_, transport, limits_), limits_);
  switch (zone_.answer(query_, response, chain_)) {
    case Zone::Outcome::answered:
      break;
    case Zone::Outcome::chase:
      return forward(transport, out, by);
    case Zone::Outcome::not_here:
      if (!is_synced_()) return refuse(Rcode::server_failure, out, by);
      if (forwarder_.has_servers(query_.lower_name)) return forward(transport, out, by);
      zone_.answer_missing_reverse(query_, response);
  }
  response.finish();
  return Outcome::answered;
}

namespace {
// The question that others are asked: the client's, or where an ExternalName leads.
Query asked_of_others(const Query& query, const std::vector<std::string>& chain) {
  Query out = query;
  if (!chain.empty()) out.lower_name = chain.back();
  return out;
}
}  // namespace

Responder::Outcome Responder::forward(Transport transport, std::string& out, std::string_view& by) {
  const Query asked = asked_of_others(query_, chain_);
  if (!forwarder_.has_servers(asked.lower_name)) {
    if (chain_.empty()) return refuse(Rcode::refused, out, by);
    // An ExternalName's own part of the answer, as from a server that resolves nothing for others.
    Response response(out, query_, answer_limit(query_, transport, limits_), limits_);
    response.set_flag(flag_authoritative);
    zone_.add_chain(chain_, response);
    response.finish();
    return Outcome::answered;
  }
  const auto found = forwarder_.cached(asked);
  if (!found) return Outcome::later;
  by = by_cache;
  out = chain_.empty() ? found->to(query_, answer_limit(query_, transport, limits_), limits_,
                                   clock_.steady_now(), random_)
                       : join(query_, chain_, transport, *found);
  return Outcome::answered;
}

std::string Responder::join(const Query& query, const std::vector<std::string>& chain, Transport transport,
                            const ForeignAnswer& answer) {
  // A name that does not exist leaves the CNAME standing, as with CoreDNS.
  if (answer.rcode() != Rcode::no_error && answer.rcode() != Rcode::name_error)
    return error_answer(query, Rcode::server_failure, limits_);
  std::string out;
  Response response(out, query, answer_limit(query, transport, limits_), limits_);
  response.set_flag(flag_authoritative);
  if (answer.is_truncated()) response.set_flag(flag_truncated);
  zone_.add_chain(chain, response);
  if (!append_answers(answer.aged(clock_.steady_now()), response))
    return error_answer(query, Rcode::server_failure, limits_);
  response.finish();
  return out;
}

void Responder::answer_later(std::string_view message, Transport transport, bool is_v6, Later done) {
  auto pending = std::make_shared<Pending>();
  pending->message = message;
  pending->transport = transport;
  pending->is_v6 = is_v6;
  pending->chain = chain_;
  pending->began = SteadyClock::now();
  parse_query(pending->message, pending->query);
  const Query asked = asked_of_others(pending->query, pending->chain);
  forwarder_.resolve(
      asked, [this, pending, done = std::move(done)](std::shared_ptr<const ForeignAnswer> answer) {
        const auto limit = answer_limit(pending->query, pending->transport, limits_);
        std::string out = pending->chain.empty()
                              ? answer->to(pending->query, limit, limits_, clock_.steady_now(), random_)
                              : join(pending->query, pending->chain, pending->transport, *answer);
        count(out, by_forward, pending->transport, pending->began);
        done(std::move(out));
      });
}

}  // namespace rusternetes::dns
