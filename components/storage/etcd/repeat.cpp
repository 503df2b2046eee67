#include "storage/etcd/repeat.h"

#include <algorithm>

namespace rusternetes::storage::etcd {
namespace {

bool is_exact(const Compare& compare) {
  return compare.range_end.empty() && compare.target == Compare::Target::mod_revision &&
         compare.relation == Compare::Relation::equal;
}

// Whether the operation gives the key another revision.
bool changes(const Operation& operation, std::string_view key) {
  if (const auto* put = std::get_if<PutRequest>(&operation)) return put->key == key;
  if (const auto* removal = std::get_if<DeleteRequest>(&operation))
    return removal->range_end.empty() && removal->key == key;
  return false;
}

// Whether its answer says nothing but that it happened.
bool is_plain(const Operation& operation) {
  if (const auto* put = std::get_if<PutRequest>(&operation)) return !put->previous;
  if (const auto* removal = std::get_if<DeleteRequest>(&operation)) return !removal->previous;
  return false;
}

}  // namespace

Repeat repeat_of(const TxnRequest& request) {
  Repeat out;
  for (const auto& compare : request.compares)
    out.is_safe |= is_exact(compare) && compare.number > 0 &&
                   std::ranges::any_of(request.success, [&](const auto& operation) {
                     return changes(operation, compare.key);
                   });
  if (!request.has_unique_value || request.success.empty() || !request.failure.empty()) return out;
  const auto* made = std::get_if<PutRequest>(&request.success.front());
  out.is_recognizable = made && !made->ignore_value && std::ranges::all_of(request.success, is_plain) &&
                        std::ranges::any_of(request.compares, [&](const Compare& compare) {
                          return is_exact(compare) && compare.number == 0 && compare.key == made->key;
                        });
  out.is_safe |= out.is_recognizable;
  return out;
}

Verdict judge(const Repeat& repeat, const Refusal& refusal, Others others, Revision begun_at) {
  if (!repeat.is_recognizable)
    return others == Others::none        ? Verdict::refused
           : others == Others::in_flight ? Verdict::wait
                                         : Verdict::unknown;
  if (refusal.found && refusal.found->is_ours) return Verdict::happened;
  if (!refusal.found && refusal.fence_seen != refusal.fence_sent) return Verdict::again;
  if (others == Others::none) return Verdict::refused;
  // It was there before; else ours may have been made, and changed or removed since.
  return refusal.found && refusal.found->create_revision <= begun_at ? Verdict::refused : Verdict::unknown;
}

}  // namespace rusternetes::storage::etcd
