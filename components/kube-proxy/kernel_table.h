#pragma once
// A table of ours in the kernel's nftables: replaced whole, or changed, and remembered for as long as nobody
// else touches the namespace's rules. Everything here blocks and belongs to one worker thread, which is in
// the namespace.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "kube-proxy/transaction.h"
#include "kube-proxy/whole_table.h"
#include "network/namespace.h"
#include "network/nft.h"
#include "network/nft_state.h"

namespace rusternetes::kube_proxy {

// A namespace's nftables, for all tables that one process keeps in it: their transactions are told from other
// people's by the kernel's count.
class NftSession {
 public:
  explicit NftSession(network::NetworkNamespace where);
  ~NftSession();
  const network::NetworkNamespace& where() const { return where_; }
  Result<void> open();  // again without harm
  // One transaction. The answer is what foreign_changes() was before it.
  Result<std::uint64_t> run(const std::string& commands);
  Result<std::string> run_json(const std::string& commands);
  // As JSON, without sets' elements. NotFound: there is no such table of family inet.
  Result<std::string> list_table(const std::string& table);
  // Goes up whenever somebody else has changed any rule of the namespace, or may have. One small question to
  // the kernel.
  Result<std::uint64_t> foreign_changes();
  Result<std::uint32_t> chain_uses(const std::string& table, const std::string& chain) const;
  Result<std::uint64_t> counted_packets(const std::string& table, const std::string& counter);

 private:
  void note(const Result<std::uint32_t>& generation, std::uint32_t own);
  network::NetworkNamespace where_;
  std::unique_ptr<network::Nft> nft_;
  std::unique_ptr<network::NftState> state_;
  std::optional<std::uint32_t> generation_;  // the kernel's count, when it was asked last
  std::uint64_t foreign_ = 0;
};

// How long what nothing leads to any more is kept: the kernel may still hold it for a while (see
// change_transactions()).
constexpr std::chrono::milliseconds kSweepDelay{1'000};

class KernelTable {
 public:
  using Time = std::chrono::steady_clock::time_point;
  KernelTable(std::shared_ptr<NftSession> session, std::string name);
  const std::string& name() const { return name_; }

  bool is_loaded() const { return is_loaded_; }
  // What the kernel has is not what it should be.
  void forget() { is_loaded_ = false; }
  std::uint64_t next_mark() { return ++mark_; }  // of the table that is loaded next
  // Puts it in the place of whatever has its name; the kernel has one or the other at each moment. Over a
  // table of the same layout connections that begin meanwhile go by the one or the other, too, and affinity
  // sets and counters keep what they have. Answers whether it was so.
  Result<bool> load(const WholeTable& table);
  // Only of a table that is loaded; after an error it no longer counts as loaded. True: there was a change.
  template <class E>
  Result<bool> change(const BasicDifference<E>& difference);
  // When the oldest of what nothing leads to any more is to be swept; nothing: there is none.
  std::optional<Time> sweep_at() const;
  // Takes away those whose time has come, each by its own age. What it returns is sweep_at() of the rest.
  Result<std::optional<Time>> sweep(Time now);
  // Whether what was loaded still stands, or somebody has taken all of it away, or all its rules.
  Result<bool> is_intact();

  // Absent is success.
  static Result<void> remove(const network::NetworkNamespace& where, std::string_view name);

 private:
  Result<bool> refill(const WholeTable& table);
  Result<void> run_changes(const std::vector<std::string>& transactions);
  std::shared_ptr<NftSession> session_;
  std::string name_;
  std::map<std::string, Time> stale_chains_, stale_sets_;  // since when
  std::uint64_t mark_;                 // of the table, by this and no other process
  std::optional<std::uint64_t> seen_;  // foreign_changes() when the table was known to stand
  bool is_loaded_ = false;
};

template <class E>
Result<bool> KernelTable::change(const BasicDifference<E>& difference) {
  if (difference.is_empty()) return false;
  // What was to be swept may be wanted again. A set that still is there need not be made.
  for (const auto& [name, unused] : difference.chains) stale_chains_.erase(name);
  for (const auto& [name, unused] : difference.sets) stale_sets_.erase(name);
  RN_CHECK(run_changes(change_transactions(name_, difference)));
  const Time now = std::chrono::steady_clock::now();
  for (const auto& name : difference.stale_chains) stale_chains_.emplace(name, now);
  for (const auto& name : difference.stale_sets) stale_sets_.emplace(name, now);
  return true;
}

}  // namespace rusternetes::kube_proxy
