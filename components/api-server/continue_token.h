#pragma once
// limit, continue, resourceVersion and resourceVersionMatch of a list, and the token that a page ends with (the form of
// k8s.io/apiserver/pkg/storage continue tokens).

#include <optional>
#include <string>

#include "api-server/call.h"
#include "storage/store.h"

namespace rusternetes::api_server {

struct PageRequest {
  std::int64_t limit = 0;
  bool is_continuation = false;
  std::string start_key;  // relative to the prefix; the first key that may come
  std::optional<storage::Revision> exact_revision;
  std::optional<storage::Revision> at_least;  // 0: whatever is at hand

  static Result<PageRequest> from(const Call& call);
};

// `last_key` is relative to the prefix; the next page starts right behind it.
std::string encode_continue(storage::Revision revision, std::string_view last_key);
// A list's or watch's resourceVersion; an error for what is no number.
Result<storage::Revision> parse_resource_version(std::string_view text);

}  // namespace rusternetes::api_server
