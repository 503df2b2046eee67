#pragma once
// Answers of other servers, kept for as long as their records may be (RFC 2181, RFC 2308) and handed out with
// what is left of that. Bounded in entries and bytes; who was not asked for longest goes first.

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "dns/message.h"
#include "dns/response.h"

namespace rusternetes::dns {

// A message of another server that has been checked, without its OPT record. Immutable.
class ForeignAnswer {
 public:
  // `message` has passed walk_message() as `walk`.
  ForeignAnswer(std::string_view message, const Walk& walk, SteadyTime now);
  // For want of one: what the client is told. SERVFAIL is kept for a second, the least that RFC 9520
  // section 3.2 asks for, so that clients who try again do not wait for the same silence.
  static std::shared_ptr<const ForeignAnswer> failure(Rcode rcode, SteadyTime now);

  Rcode rcode() const { return rcode_; }
  bool is_truncated() const { return flags_ & flag_truncated; }
  bool has_answer() const { return answers_ > 0; }
  // For how long it may be kept: the least TTL of its records, for an absence that of its SOA record; 0: not
  // at all.
  std::uint32_t lifetime_s() const { return lifetime_s_; }
  SteadyTime received() const { return received_; }
  std::size_t bytes() const { return sizeof *this + message_.size() + records_.size() * sizeof(Record); }

  // The whole answer to a client's question of the same name, type and class; TTLs are less by the time since
  // it was received, addresses in a random order. What does not fit is cut, with TC.
  std::string to(const Query& query, std::size_t limit, const AnswerLimits& limits, SteadyTime now,
                 std::minstd_rand& random) const;
  // The message as it came, with TTLs aged; for those who take it apart.
  std::string aged(SteadyTime now) const;

 private:
  struct Record {
    std::uint32_t ttl, ttl_at, end;
    std::uint8_t section;
    std::uint8_t address_size;  // 4 or 16 for an address beside others of its name; else 0
  };
  ForeignAnswer(Rcode rcode, SteadyTime now)
      : rcode_(rcode), lifetime_s_(rcode == Rcode::server_failure ? 1 : 0), received_(now) {}
  void age(std::string& message, SteadyTime now) const;
  void shuffle(std::string& message, std::minstd_rand& random) const;
  std::uint32_t lifetime_of(const Walk& walk) const;

  std::string message_;  // header, question, records
  std::vector<Record> records_;
  std::size_t question_end_ = 0, answers_ = 0;
  std::uint16_t flags_ = 0;
  Rcode rcode_;
  std::uint32_t lifetime_s_ = 0;
  SteadyTime received_{};
};

struct CacheOptions {
  std::size_t entries = 10'000, bytes = 8 << 20;
  std::chrono::seconds longest{30};  // as kubeadm sets CoreDNS
  std::chrono::seconds longest_denial{30};
  std::chrono::seconds server_failure{5};
};

class Cache {
 public:
  Cache(const Clock& clock, CacheOptions options) : clock_(clock), options_(options) {}

  // Name, type, class and what else an answer depends on.
  static std::string key_of(const Query& query);

  std::shared_ptr<const ForeignAnswer> find(std::string_view key);
  // Does nothing for what may not be kept.
  void put(const std::string& key, std::shared_ptr<const ForeignAnswer> answer);

  void clear();

  struct Counters {
    std::uint64_t requests = 0, hits = 0, denial_hits = 0, misses = 0, evictions = 0;
  };
  const Counters& counters() const { return counters_; }
  std::size_t entries() const { return entries_.size(); }
  std::size_t denials() const { return denials_; }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const ForeignAnswer> answer;
    SteadyTime until;
    std::size_t size() const;
    bool is_denial() const { return answer->rcode() != Rcode::no_error || !answer->has_answer(); }
  };
  using List = std::list<Entry>;  // the latest asked for first
  void erase(List::iterator it);

  const Clock& clock_;
  CacheOptions options_;
  List entries_;
  std::unordered_map<std::string_view, List::iterator> index_;
  std::size_t bytes_ = 0, denials_ = 0;
  Counters counters_;
};

}  // namespace rusternetes::dns
