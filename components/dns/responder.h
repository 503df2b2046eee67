#pragma once
// What becomes of one message of a client: an answer at once, one that comes later, or none. Knows nothing of
// sockets.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "dns/forwarder.h"
#include "dns/metrics.h"
#include "dns/zone.h"

namespace rusternetes::dns {

class Responder {
 public:
  // Parts that live on one executor with it and outlive it. Before `is_synced` names of the cluster get
  // SERVFAIL.
  Responder(Zone& zone, Forwarder& forwarder, Metrics& metrics, const Clock& clock, AnswerLimits limits,
            std::function<bool()> is_synced);

  enum class Outcome { answered, nothing, later };
  using Later = std::function<void(std::string answer)>;

  // `answered`: `out` is the message to send. `later`: follow with answer_later().
  Outcome answer(std::string_view message, Transport transport, bool is_v6, std::string& out);
  // The rest of the work on the message that answer() was last called with. `done` is called once, unless the
  // forwarder is stopped before.
  void answer_later(std::string_view message, Transport transport, bool is_v6, Later done);

 private:
  // A question with the bytes that it points into.
  struct Pending {
    std::string message;
    Query query;
    std::vector<std::string> chain;
    Transport transport;
    bool is_v6;
    std::chrono::steady_clock::time_point began;
  };
  Outcome decide(Transport transport, std::string& out, std::string_view& by);
  Outcome refuse(Rcode rcode, std::string& out, std::string_view& by);
  Outcome forward(Transport transport, std::string& out, std::string_view& by);
  // An ExternalName's CNAMEs, and what the other servers say of the last.
  std::string join(const Query& query, const std::vector<std::string>& chain, Transport transport,
                   const ForeignAnswer& answer);
  void count(const std::string& answer, std::string_view by, Transport transport,
             std::chrono::steady_clock::time_point began);

  Zone& zone_;
  Forwarder& forwarder_;
  Metrics& metrics_;
  const Clock& clock_;
  AnswerLimits limits_;
  std::function<bool()> is_synced_;
  Query query_;                     // of the message at hand; its memory serves the next, too
  std::vector<std::string> chain_;  // likewise
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace rusternetes::dns
