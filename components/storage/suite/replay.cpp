#include "storage/suite/replay.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

namespace rusternetes::storage::suite {
namespace {

namespace json = boost::json;

std::string text(const json::object& o, std::string_view name) {
  const json::value* v = o.if_contains(name);
  return v ? std::string(v->as_string()) : std::string();
}
std::int64_t number(const json::object& o, std::string_view name) {
  const json::value* v = o.if_contains(name);
  return v ? v->as_int64() : 0;
}
bool flag(const json::object& o, std::string_view name) {
  const json::value* v = o.if_contains(name);
  return v && v->as_bool();
}
const json::array& list(const json::object& o, std::string_view name) {
  static const json::array none;
  const json::value* v = o.if_contains(name);
  return v ? v->as_array() : none;
}

RangeRequest range_of(const json::object& o) {
  return {.key = text(o, "key"),
          .range_end = text(o, "end"),
          .limit = number(o, "limit"),
          .revision = number(o, "revision"),
          .keys_only = flag(o, "keys_only"),
          .count_only = flag(o, "count_only")};
}
PutRequest put_request(const json::object& o) {
  PutRequest request = put_of(text(o, "key"), text(o, "value"), number(o, "lease"));
  request.previous = flag(o, "previous");
  request.ignore_value = flag(o, "ignore_value");
  request.ignore_lease = flag(o, "ignore_lease");
  if (request.ignore_value) request.value = nullptr;
  return request;
}

template <class T>
T word(const json::object& o, std::string_view name, const std::map<std::string, T>& words) {
  const auto it = words.find(text(o, name));
  REQUIRE(it != words.end());
  return it->second;
}

Compare compare_of(const json::object& o) {
  using T = Compare::Target;
  using R = Compare::Relation;
  static const std::map<std::string, T> targets = {{"version", T::version},
                                                   {"create", T::create_revision},
                                                   {"mod", T::mod_revision},
                                                   {"value", T::value},
                                                   {"lease", T::lease}};
  static const std::map<std::string, R> relations = {
      {"equal", R::equal}, {"greater", R::greater}, {"less", R::less}, {"not_equal", R::not_equal}};
  return {text(o, "key"),      text(o, "end"), word(o, "target", targets), word(o, "relation", relations),
          number(o, "number"), text(o, "text")};
}

std::vector<Operation> operations_of(const json::array& list) {
  std::vector<Operation> out;
  for (const auto& item : list) {
    const auto& [kind, value] = *item.as_object().begin();
    const json::object& o = value.as_object();
    if (kind == "range")
      out.emplace_back(range_of(o));
    else if (kind == "put")
      out.emplace_back(put_request(o));
    else
      out.emplace_back(delete_of(text(o, "key"), text(o, "end"), flag(o, "previous")));
  }
  return out;
}

// Answers in the recording's own form, so that both are compared, and shown, as text.
json::array shapes(const std::vector<KeyValue>& kvs, bool keys_only) {
  json::array out;
  for (KeyValue kv : kvs) {
    if (keys_only && kv.value && kv.value->empty()) kv.value = nullptr;
    out.emplace_back(shape(kv));
  }
  return out;
}
json::object answer_of(const RangeResponse& response, bool keys_only) {
  json::object out{{"count", response.count}, {"kvs", shapes(response.kvs, keys_only)}};
  if (response.more) out["more"] = true;
  return out;
}
json::object answer_of(const OperationResponse& response, const Operation& operation) {
  if (auto* range = std::get_if<RangeResponse>(&response)) {
    auto* request = std::get_if<RangeRequest>(&operation);
    return {{"range", answer_of(*range, request && request->keys_only)}};
  }
  json::object out;
  if (auto* put = std::get_if<PutResponse>(&response)) {
    if (put->previous) out["previous"] = shape(*put->previous);
    return {{"put", out}};
  }
  auto* removed = std::get_if<DeleteResponse>(&response);
  if (!removed) return {{"other", out}};
  out["deleted"] = removed->deleted;
  if (!removed->previous.empty()) out["previous"] = shapes(removed->previous, false);
  return {{"delete", out}};
}

std::string difference(const json::object& got, const json::object& recorded) {
  if (json::value(got) == json::value(recorded)) return {};
  return fmt::format("answered {} instead of {}", json::serialize(got), json::serialize(recorded));
}
template <class T>
json::object refusal(const Result<T>& result) {
  return {{"error", result.error().reason}};
}

}  // namespace

std::string Replay::line(const json::object& line) {
  const json::value* answered = line.if_contains("answer");
  const json::object answer = answered ? answered->as_object() : json::object{};
  for (const auto& [kind, value] : line) {
    if (kind == "answer") continue;
    ++counts_[std::string(kind)];
    const json::object& request = value.as_object();
    if (kind == "range") return range(request, answer);
    if (kind == "txn") return txn(request, answer);
    if (kind == "compact") return compact(request, answer);
    if (kind == "grant") return grant(request, answer);
    if (kind == "revoke") return revoke(request, answer);
    if (kind == "watch") return watch(request);
    if (kind == "unwatch") return unwatch(request);
  }
  return "a line of no known kind: " + json::serialize(line);
}

std::string Replay::range(const json::object& request, const json::object& answer) {
  const auto asked = range_of(request);
  auto response = store_.range(asked);
  if (!response) return difference(refusal(response), answer);
  auto got = answer_of(*response, asked.keys_only);
  got["revision"] = response->revision;
  return difference(got, answer);
}

std::string Replay::txn(const json::object& request, const json::object& answer) {
  TxnRequest asked;
  for (const auto& compare : list(request, "compare"))
    asked.compares.push_back(compare_of(compare.as_object()));
  asked.success = operations_of(list(request, "success"));
  asked.failure = operations_of(list(request, "failure"));
  auto response = run(store_, asked);
  if (!response) return difference(refusal(response), answer);
  json::array responses;
  const auto& branch = response->succeeded ? asked.success : asked.failure;
  for (std::size_t i = 0; i < response->responses.size() && i < branch.size(); ++i)
    responses.emplace_back(answer_of(response->responses[i], branch[i]));
  return difference(
      {{"revision", response->revision}, {"succeeded", response->succeeded}, {"responses", responses}},
      answer);
}

// Watches that the recording had given what is compacted now must have it here too; a store in a hurry could
// else lose the race that etcd had won.
std::string Replay::compact(const json::object& request, const json::object& answer) {
  const Revision revision = number(request, "revision");
  for (auto& [id, receiver] : watches_)
    if (!receiver->wait_revision(revision) && receiver->error().empty())
      return fmt::format("watch {} does not get to revision {}", id, revision);
  auto done = suite::compact(store_, revision);
  if (!done) return difference(refusal(done), answer);
  return difference({{"revision", revision_of(store_)}}, answer);
}

// An hour more than recorded: leases end here where the recording says so, and not by themselves.
std::string Replay::grant(const json::object& request, const json::object& answer) {
  const std::int64_t ttl_s = number(request, "ttl") + 3600;
  auto lease = suite::grant(store_, number(request, "id"), ttl_s);
  if (!lease) return difference(refusal(lease), answer);
  if (lease->id != number(request, "id") || lease->granted_ttl_s != ttl_s)
    return fmt::format("granted lease {} for {} s", lease->id, lease->granted_ttl_s);
  return difference({{"revision", revision_of(store_)}}, answer);
}

std::string Replay::revoke(const json::object& request, const json::object& answer) {
  auto done = suite::revoke(store_, number(request, "id"));
  if (!done) return difference(refusal(done), answer);
  return difference({{"revision", revision_of(store_)}}, answer);
}

std::string Replay::watch(const json::object& request) {
  WatchRequest asked{text(request, "key"), text(request, "end"), number(request, "start"),
                     flag(request, "previous")};
  watches_[number(request, "id")] = std::make_unique<Receiver>(store_, std::move(asked));
  return {};
}

std::string Replay::unwatch(const json::object& request) {
  const auto it = watches_.find(number(request, "id"));
  if (it == watches_.end()) return "a watch ends that never began";
  auto receiver = std::move(it->second);
  watches_.erase(it);
  const Revision until = number(request, "until");
  json::object got{{"id", number(request, "id")}};
  if (until) got["until"] = until;
  if (request.contains("error")) {
    got["error"] = receiver->wait_error();
    // A store that refuses the watch at once says no number.
    got["compact_revision"] =
        receiver->batches().empty() ? number(request, "compact_revision") : receiver->compact_revision();
  } else if (!receiver->wait_revision(until)) {
    return fmt::format("watch {} does not get to revision {}: {}", number(request, "id"), until,
                       receiver->error());
  }
  json::array events;
  for (const auto& event : receiver->events())
    if (event.kv.mod_revision <= until) events.emplace_back(shape(event));
  if (!events.empty()) got["events"] = events;
  return difference(got, request);
}

std::string Replay::finish() { return watches_.empty() ? "" : "watches of the recording are still open"; }

}  // namespace rusternetes::storage::suite
