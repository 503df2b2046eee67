#pragma once
// Volume sources that name a storage system.

#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

// `source` is the field of Volume that is set; `path` is the volume's.
void validate_storage_source(const core::Volume& volume, int source, const FieldPath& path, FieldErrorList& errors);
// An iSCSI qualified name, EUI-64 or NAA identifier; `bad_start` is what is said when it is none of them.
void validate_iscsi_name(std::string_view name, std::string_view bad_start, const FieldPath& path,
                         FieldErrorList& errors);

}  // namespace rusternetes::api_server
