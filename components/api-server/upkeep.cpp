#include "api-server/upkeep.h"

#include <memory>
#include <string>
#include <utility>

#include "api-server/store_call.h"
#include "base/log.h"

namespace rusternetes::api_server {

Upkeep::Upkeep(storage::Store& store, asio::any_io_executor executor, UpkeepOptions options)
    : store_(store), options_(options), tasks_(std::move(executor)) {}

void Upkeep::start() {
  if (options_.compaction_interval.count() > 0) tasks_.spawn("compaction", compact_regularly());
  memory_.emplace("api-server", options_.memory);
}

Task<> Upkeep::stop() {
  co_await tasks_.stop();
  memory_.reset();
}

Task<> Upkeep::compact_regularly() {
  CompactionTurn turn;
  for (;;) {
    auto looked = co_await compact_in_turn(turn);
    if (!looked) log::warn("api-server", "compaction up to revision {}: {}", turn.revision, looked.error().message);
    co_await sleep_for(options_.compaction_interval);
  }
}

// All api-servers of a store agree on one key, whose version counts the turns: who writes it first compacts, up to the
// revision of its own last look; the others learn the turn (k8s.io/apiserver storage/etcd3/compact.go; a kube-apiserver on
// the same store takes part). So what is kept is never younger than an interval.
Task<Result<void>> Upkeep::compact_in_turn(CompactionTurn& turn) {
  const auto request = std::make_shared<storage::TxnRequest>();
  storage::Compare compare;
  compare.key = compaction_key;
  compare.target = storage::Compare::Target::version;
  compare.number = turn.number;
  request->compares.push_back(std::move(compare));
  storage::PutRequest put;
  put.key = compaction_key;
  put.value = std::make_shared<const std::string>(std::to_string(turn.revision));
  request->success.emplace_back(std::move(put));
  request->failure.emplace_back(storage::RangeRequest{.key = compaction_key});
  auto claim = [&store = store_, request](auto done) { store.txn(std::move(*request), std::move(done)); };
  RN_CO_TRY(const auto answer, co_await store_call<storage::TxnResponse>(claim));
  const storage::Revision old = std::exchange(turn.revision, answer.revision);
  if (!answer.succeeded) {
    const auto& found = std::get<storage::RangeResponse>(answer.responses.front());
    turn.number = found.kvs.empty() ? 0 : found.kvs.front().version;
    co_return Result<void>{};
  }
  ++turn.number;
  if (old == 0) co_return Result<void>{};  // the first look
  auto compact = [&store = store_, old](auto done) { store.compact(old, std::move(done)); };
  auto done = co_await store_call<void>(compact);
  if (!done && done.error().is(storage::reason_compacted)) co_return Result<void>{};
  co_return done;
}

}  // namespace rusternetes::api_server
