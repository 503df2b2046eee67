#include "dns/cache.h"

#include <algorithm>

namespace rusternetes::dns {

namespace {

// A list node, a slot of the index and their allocations.
constexpr std::size_t entry_overhead = 160;

bool is_address(const RecordAt& record) {
  return record.klass == class_in && (record.type == type_a || record.type == type_aaaa);
}

// Two neighbours of one set: their data may change places.
bool is_same_set(std::string_view message, const RecordAt& a, const RecordAt& b) {
  return is_address(a) && a.type == b.type && a.klass == b.klass && a.ttl == b.ttl &&
         message.substr(a.name, a.ttl_at - a.name) == message.substr(b.name, b.ttl_at - b.name);
}

}  // namespace

ForeignAnswer::ForeignAnswer(std::string_view message, const Walk& walk, SteadyTime now)
    : question_end_(walk.question_end),
      answers_(walk.answer.size()),
      flags_(walk.flags),
      rcode_(static_cast<Rcode>(walk.rcode())),
      received_(now) {
  // OPT is between neighbours (RFC 6891 section 6.1.1). Cutting at the end is safe, since names only point
  // backwards; in the middle it is not, and then the additional section goes as a whole.
  std::size_t additional = walk.additional.size();
  const auto opt = std::ranges::find(walk.additional, type_opt, &RecordAt::type);
  if (opt != walk.additional.end()) {
    additional = opt + 1 == walk.additional.end() ? additional - 1 : 0;
    if (const auto high = static_cast<std::uint8_t>(message[opt->ttl_at]); high != 0)
      rcode_ = Rcode::server_failure;
  }
  std::size_t size = question_end_;
  const auto take = [&](const std::vector<RecordAt>& section, std::size_t count, std::uint8_t number) {
    for (std::size_t i = 0; i < count; ++i) {
      const RecordAt& each = section[i];
      const bool has_peer = (i > 0 && is_same_set(message, section[i - 1], each)) ||
                            (i + 1 < count && is_same_set(message, each, section[i + 1]));
      records_.push_back({each.ttl, static_cast<std::uint32_t>(each.ttl_at),
                          static_cast<std::uint32_t>(each.end), number,
                          static_cast<std::uint8_t>(has_peer ? each.data_size : 0)});
      size = each.end;
    }
  };
  take(walk.answer, walk.answer.size(), 0);
  take(walk.authority, walk.authority.size(), 1);
  take(walk.additional, additional, 2);
  records_.shrink_to_fit();
  message_ = message.substr(0, size);
  write16(&message_[10], static_cast<std::uint16_t>(additional));
  lifetime_s_ = lifetime_of(walk);
}

std::shared_ptr<const ForeignAnswer> ForeignAnswer::failure(Rcode rcode, SteadyTime now) {
  return std::shared_ptr<const ForeignAnswer>(new ForeignAnswer(rcode, now));
}

std::uint32_t ForeignAnswer::lifetime_of(const Walk& walk) const {
  if (is_truncated()) return 0;
  if (rcode_ == Rcode::server_failure) return ~0u;  // bounded by the cache's own time for failures
  if (rcode_ != Rcode::no_error && rcode_ != Rcode::name_error) return 0;
  std::uint32_t least = ~0u;
  for (const auto& record : walk.answer) least = std::min(least, record.ttl);
  // An absence, also at the end of CNAMEs, lasts as long as its SOA record says, and without one is not kept.
  const bool has_wanted = std::ranges::any_of(
      walk.answer, [&](const RecordAt& record) { return record.type == walk.type || walk.type == type_any; });
  if (rcode_ == Rcode::no_error && has_wanted) return least;
  for (const auto& record : walk.authority)
    if (record.type == type_soa && record.data_size >= 20)
      return std::min({least, record.ttl, read32(&message_[record.end - 4])});
  return 0;
}

void ForeignAnswer::age(std::string& message, SteadyTime now) const {
  const auto passed = std::chrono::duration_cast<std::chrono::seconds>(now - received_).count();
  for (const auto& record : records_) {
    if (record.end > message.size()) break;
    const auto left = static_cast<std::int64_t>(record.ttl) - std::max<std::int64_t>(passed, 0);
    write32(&message[record.ttl_at], static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0)));
  }
}

void ForeignAnswer::shuffle(std::string& message, std::minstd_rand& random) const {
  for (std::size_t first = 0; first < records_.size();) {
    std::size_t last = first + 1;
    const auto [ttl, ttl_at, end, section, size] = records_[first];
    const std::size_t stride = end - records_[first].ttl_at;
    // Neighbours of equal size; is_same_set() has looked at the names already.
    while (size != 0 && last < records_.size() && records_[last].address_size == size &&
           records_[last].section == section && records_[last].ttl == ttl &&
           records_[last].end - records_[last].ttl_at == stride &&
           message_.compare(records_[last - 1].end, records_[last].ttl_at - records_[last - 1].end, message_,
                            first == 0 ? question_end_ : records_[first - 1].end,
                            ttl_at - (first == 0 ? question_end_ : records_[first - 1].end)) == 0)
      ++last;
    for (std::size_t i = last - first; i > 1; --i) {
      const std::size_t other = random() % i;
      const auto a = message.begin() + (records_[first + i - 1].end - size),
                 b = message.begin() + (records_[first + other].end - size);
      if (a != b) std::swap_ranges(a, a + size, b);
    }
    first = last;
  }
}

std::string ForeignAnswer::aged(SteadyTime now) const {
  std::string message = message_;
  age(message, now);
  return message;
}

std::string ForeignAnswer::to(const Query& query, std::size_t limit, const AnswerLimits& limits,
                              SteadyTime now, std::minstd_rand& random) const {
  constexpr std::size_t opt_size = 11;
  if (message_.empty()) return error_answer(query, rcode_, limits);
  std::string out = message_;
  out.replace(header_size, query.question.size(), query.question);
  age(out, now);
  shuffle(out, random);
  // What does not fit goes from the end; only a lost answer is a truncation (RFC 2181 section 9).
  std::size_t fits = records_.size(), counts[3] = {};
  const std::size_t most = limit - (query.has_edns ? opt_size : 0);
  while (fits > 0 && records_[fits - 1].end > most) --fits;
  for (std::size_t i = 0; i < fits; ++i) ++counts[records_[i].section];
  out.resize(fits == 0 ? question_end_ : records_[fits - 1].end);
  const bool is_cut = is_truncated() || counts[0] < answers_;
  std::uint16_t flags = flag_response | flag_recursion_available;
  flags |= query.flags & (flag_recursion_desired | flag_checking_disabled);
  // "Authentic" is told to those who ask for it (RFC 6840 section 5.7).
  if (query.wants_dnssec || (query.flags & flag_authentic)) flags |= flags_ & flag_authentic;
  if (is_cut) flags |= flag_truncated;
  write16(&out[0], query.id);
  write16(&out[2], static_cast<std::uint16_t>(flags | static_cast<std::uint16_t>(rcode_)));
  if (query.has_edns) {
    const char opt[opt_size] = {0,
                                0,
                                type_opt,
                                static_cast<char>(limits.udp_size >> 8),
                                static_cast<char>(limits.udp_size),
                                0,
                                0,
                                static_cast<char>(query.wants_dnssec ? 0x80 : 0),
                                0,
                                0,
                                0};
    out.append(opt, opt_size);
    ++counts[2];
  }
  for (int i = 0; i < 3; ++i) write16(&out[6 + 2 * i], static_cast<std::uint16_t>(counts[i]));
  return out;
}

std::string Cache::key_of(const Query& query) {
  std::string key = query.lower_name;
  const char rest[] = {
      static_cast<char>(query.type >> 8), static_cast<char>(query.type), static_cast<char>(query.klass),
      static_cast<char>((query.wants_dnssec ? 1 : 0) | (query.flags & flag_checking_disabled ? 2 : 0))};
  return key.append(rest, sizeof rest);
}

std::size_t Cache::Entry::size() const { return answer->bytes() + key.size() + entry_overhead; }

void Cache::erase(List::iterator it) {
  bytes_ -= it->size();
  denials_ -= it->is_denial();
  index_.erase(it->key);
  entries_.erase(it);
}

void Cache::clear() {
  index_.clear();
  entries_.clear();
  bytes_ = denials_ = 0;
}

std::shared_ptr<const ForeignAnswer> Cache::find(std::string_view key) {
  ++counters_.requests;
  const auto found = index_.find(key);
  if (found != index_.end() && found->second->until > clock_.steady_now()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    ++(entries_.front().is_denial() ? counters_.denial_hits : counters_.hits);
    return entries_.front().answer;
  }
  if (found != index_.end()) erase(found->second);
  ++counters_.misses;
  return nullptr;
}

void Cache::put(const std::string& key, std::shared_ptr<const ForeignAnswer> answer) {
  Entry entry{key, std::move(answer), {}};
  auto most = entry.is_denial() ? options_.longest_denial : options_.longest;
  if (entry.answer->rcode() == Rcode::server_failure) most = options_.server_failure;
  const auto lifetime =
      std::min<std::chrono::seconds>(std::chrono::seconds(entry.answer->lifetime_s()), most);
  const std::size_t size = entry.size();
  if (lifetime.count() <= 0 || size > options_.bytes || options_.entries == 0) return;
  entry.until = entry.answer->received() + lifetime;
  if (const auto old = index_.find(key); old != index_.end()) erase(old->second);
  while (entries_.size() >= options_.entries || bytes_ + size > options_.bytes) {
    ++counters_.evictions;
    erase(std::prev(entries_.end()));
  }
  bytes_ += size;
  denials_ += entry.is_denial();
  entries_.push_front(std::move(entry));
  index_.emplace(entries_.front().key, entries_.begin());
}

}  // namespace rusternetes::dns
