#pragma once
#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

void validate_windows_options(const core::WindowsSecurityContextOptions& options, const FieldPath& path,
                              FieldErrorList& errors);

}  // namespace rusternetes::api_server
