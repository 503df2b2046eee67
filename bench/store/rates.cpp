// Creates, updates, deletes and gets, as many a second as there are answers.

#include <fmt/format.h>

#include <atomic>
#include <memory>

#include "store/fleet.h"
#include "store/requests.h"
#include "store/words.h"

namespace rusternetes::bench {
namespace {

// The revision that each key was last written at, which updates and deletes name.
using Revisions = std::vector<std::atomic<std::int64_t>>;

Result<std::size_t> number_of(const std::string& key) {
  const auto at = key.rfind('-');
  if (at == std::string::npos) return internal_error("a key that is not of this load: " + key);
  return std::stoul(key.substr(at + 1));
}

Result<void> read_revisions(grpc::Channel& channel, Revisions& revisions) {
  std::string from = objects_prefix;
  for (bool has_more = true; has_more;) {
    etcdserverpb::RangeRequest request;
    etcdserverpb::RangeResponse answer;
    make_page(from, objects_prefix, 20'000, 0, request);
    RN_CHECK(ask(channel, request, answer));
    for (const auto& kv : answer.kvs()) {
      RN_TRY(const auto n, number_of(kv.key()));
      if (n < revisions.size()) revisions[n] = kv.mod_revision();
    }
    has_more = answer.more() && answer.kvs_size() > 0;
    if (has_more) from = answer.kvs(answer.kvs_size() - 1).key() + '\0';
  }
  return {};
}

std::string refusal(const Operation& operation) {
  return operation.txn_answer.succeeded() ? "" : "the transaction's compare did not hold";
}

Work work_of(const std::string& word, const StoreFlags& flags, const std::shared_ptr<Revisions>& revisions) {
  const std::size_t keys = flags.keys, bytes = flags.value_bytes;
  if (word == "create")
    return {[bytes](std::size_t n, Operation& operation) {
              make_create(object_key(n), fresh_value(bytes), operation.txn);
            },
            [](std::size_t, const Operation& operation) { return refusal(operation); }};
  if (word == "update")
    return {[=](std::size_t n, Operation& operation) {
              const std::size_t key = n * 7919 % keys;
              make_update(object_key(key), (*revisions)[key], fresh_value(bytes), operation.txn);
            },
            [=](std::size_t n, const Operation& operation) {
              (*revisions)[n * 7919 % keys] = operation.txn_answer.header().revision();
              return refusal(operation);
            }};
  if (word == "delete")
    return {[=](std::size_t n, Operation& operation) {
              make_delete(object_key(n), (*revisions)[n], operation.txn);
            },
            [](std::size_t, const Operation& operation) { return refusal(operation); }};
  // A stride that meets every key, so that neighbours are not asked for one after the other.
  return {[=](std::size_t n, Operation& operation) {
            operation.is_range = true;
            make_get(object_key(n * 7919 % keys), operation.range);
          },
          [](std::size_t, const Operation& operation) {
            return std::string(operation.range_answer.kvs_size() == 1 ? "" : "the key is not there");
          }};
}

}  // namespace

Result<std::string> run_rate(const std::string& word, const Channels& channels, const StoreFlags& flags) {
  auto revisions = std::make_shared<Revisions>(word == "delete" ? flags.from + flags.count : flags.keys);
  if (word == "update" || word == "delete") RN_CHECK(read_revisions(*channels[0], *revisions));
  RN_TRY(const auto report, run_fleet(channels, flags.workers, flags.from, flags.count, work_of(word, flags, revisions),
                                    flags.server_pid));
  return fmt::format(
      R"({{"operations":{},"seconds":{:.4f},"per_second":{:.1f},"client_cpu_seconds":{:.3f},"server_cpu_seconds":{:.2f},"p50_ms":{:.3f},"p99_ms":{:.3f}}})",
      flags.count, report.seconds, static_cast<double>(flags.count) / report.seconds, report.client_cpu_seconds,
      report.server_cpu_seconds, percentile(report.latencies_ms, 50), percentile(report.latencies_ms, 99));
}

}  // namespace rusternetes::bench
