#include "rhino/errors.h"

#include <map>
#include <string_view>

#include "storage/store.h"

namespace rusternetes::rhino {

grpc::Status to_grpc(const Status& status) {
  static const std::map<std::string_view, grpc::Status (*)()> known = {
      {storage::reason_compacted, errors::compacted},
      {storage::reason_future_revision, errors::future_revision},
      {storage::reason_no_space, errors::no_space},
      {"LeaseNotFound", errors::lease_not_found},
      {"LeaseExists", errors::lease_exists},
      {"KeyNotFound", errors::key_not_found},
      {"EmptyKey", errors::empty_key},
      {"TooManyRequests", errors::too_many_requests},
      {"Closed", errors::stopped},
  };
  if (auto it = known.find(status.reason); it != known.end()) return it->second();
  return {grpc::StatusCode::UNAVAILABLE, "etcdserver: " + status.message};
}

}  // namespace rusternetes::rhino
