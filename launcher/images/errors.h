#pragma once
// What can be wrong with the components' images; the launcher's table has advice for each reason.

#include <string>

#include "base/status.h"

namespace rusternetes::launcher::images {

inline Status binary_missing(std::string message) { return {500, "BinaryMissing", std::move(message)}; }
inline Status etcd_missing(std::string message) { return {500, "EtcdMissing", std::move(message)}; }
inline Status bad_request(std::string message) { return {400, "BadRequest", std::move(message)}; }

}  // namespace rusternetes::launcher::images
