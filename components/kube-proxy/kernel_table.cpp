#include "kube-proxy/kernel_table.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"

namespace rusternetes::kube_proxy {

using network::Nft;

NftSession::NftSession(network::NetworkNamespace where) : where_(std::move(where)) {}
NftSession::~NftSession() = default;

Result<void> NftSession::open() {
  if (nft_) return {};
  auto opened = network::inside(where_, [] { return Nft::open(); });
  if (!opened) return opened.error();
  RN_TRY(auto state, network::NftState::open(where_));
  nft_ = std::make_unique<Nft>(std::move(*opened));
  state_ = std::make_unique<network::NftState>(std::move(state));
  return {};
}

// `own` transactions were ours since it was asked last.
void NftSession::note(const Result<std::uint32_t>& generation, std::uint32_t own) {
  if (!generation || !generation_ || *generation != *generation_ + own) ++foreign_;
  generation_ = generation ? std::optional(*generation) : std::nullopt;
}

Result<std::uint64_t> NftSession::run(const std::string& commands) {
  RN_CHECK(open());
  note(state_->generation(), 0);
  const std::uint64_t before = foreign_;
  RN_CHECK(network::inside(where_, [&] { return nft_->run(commands); }));
  note(state_->generation(), 1);
  return before;
}

Result<std::string> NftSession::run_json(const std::string& commands) {
  RN_CHECK(open());
  return network::inside(where_, [&] { return nft_->run_json(commands); });
}

Result<std::string> NftSession::list_table(const std::string& table) {
  RN_CHECK(open());
  return network::inside(where_,
                         [&] { return nft_->run_terse_json(fmt::format("list table inet {}", table)); });
}

Result<std::uint64_t> NftSession::foreign_changes() {
  RN_CHECK(open());
  const auto generation = state_->generation();
  note(generation, 0);
  RN_CHECK(generation);
  return foreign_;
}

Result<std::uint32_t> NftSession::chain_uses(const std::string& table, const std::string& chain) const {
  return state_->chain_uses(table, chain);
}

Result<std::uint64_t> NftSession::counted_packets(const std::string& table, const std::string& counter) {
  RN_CHECK(open());
  return state_->counted_packets(table, counter);
}

// Another process's marks are others: the clock has gone on since it began.
KernelTable::KernelTable(std::shared_ptr<NftSession> session, std::string name)
    : session_(std::move(session)),
      name_(std::move(name)),
      mark_(static_cast<std::uint64_t>(Clock::system().now().time_since_epoch().count())) {}

Result<bool> KernelTable::load(const WholeTable& table) {
  is_loaded_ = false;
  stale_chains_.clear();
  stale_sets_.clear();
  // What the kernel refuses of it, for instance since somebody has put something else there, may do anew.
  const auto refilled = refill(table);
  if (refilled && *refilled) return is_loaded_ = true;
  RN_TRY(seen_, session_->run(whole_transaction(table)));
  if (!refilled)
    log::info("kube-proxy",
              "the table {} was made anew, with a moment without it, since it could not be filled: {}", name_,
              refilled.error().message);
  is_loaded_ = true;
  return false;
}

// False: there is no table of the same layout.
Result<bool> KernelTable::refill(const WholeTable& table) {
  const auto listed = session_->list_table(name_);
  if (!listed && listed.error().is("NotFound")) return false;
  RN_CHECK(listed);
  const auto standing = read_standing(*listed, table);
  if (!standing) return false;
  const auto plan = replacement(table, *standing);
  // What others did before the last one matters no more.
  for (const auto& commands : plan.transactions) {
    RN_TRY(seen_, session_->run(commands));
  }
  const Time now = std::chrono::steady_clock::now();
  for (const auto& name : plan.stale_chains) stale_chains_.emplace(name, now);
  for (const auto& name : plan.stale_sets) stale_sets_.emplace(name, now);
  return true;
}

Result<void> KernelTable::run_changes(const std::vector<std::string>& transactions) {
  for (const auto& commands : transactions)
    if (auto done = session_->run(commands); !done) {
      is_loaded_ = false;
      return done.error();
    }
  return {};
}

std::optional<KernelTable::Time> KernelTable::sweep_at() const {
  if (!is_loaded_) return std::nullopt;
  std::optional<Time> out;
  for (const auto* stale : {&stale_chains_, &stale_sets_})
    for (const auto& [name, since] : *stale)
      out = std::min(out.value_or(since + kSweepDelay), since + kSweepDelay);
  return out;
}

Result<std::optional<KernelTable::Time>> KernelTable::sweep(Time now) {
  if (!is_loaded_) return std::optional<Time>();
  const auto due = [&](const std::map<std::string, Time>& stale) {
    std::vector<std::string> out;
    for (const auto& [name, since] : stale)
      if (since + kSweepDelay <= now) out.push_back(name);
    return out;
  };
  const auto chains = due(stale_chains_), sets = due(stale_sets_);
  if (!chains.empty() || !sets.empty()) RN_CHECK(session_->run(sweep_transaction(name_, chains, sets)));
  for (const auto& name : chains) stale_chains_.erase(name);
  for (const auto& name : sets) stale_sets_.erase(name);
  return sweep_at();
}

Result<bool> KernelTable::is_intact() {
  if (!is_loaded_) return false;
  RN_TRY(const auto foreign, session_->foreign_changes());
  if (seen_ == foreign) return true;
  const auto uses = session_->chain_uses(name_, mark_chain(mark_));
  if (!uses && uses.error().is("NotFound")) return false;
  RN_CHECK(uses);
  if (*uses > 0) seen_ = foreign;
  return *uses > 0;
}

Result<void> KernelTable::remove(const network::NetworkNamespace& where, std::string_view name) {
  return network::inside(where, [&]() -> Result<void> {
    RN_TRY(auto nft, Nft::open());
    RN_CHECK(nft.run(fmt::format("add table inet {0}\ndelete table inet {0}\n", name)));
    return {};
  });
}

}  // namespace rusternetes::kube_proxy
