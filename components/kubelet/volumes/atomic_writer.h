#pragma once
// Writes a volume's files so that a reader sees all of one version: they stand in a folder of their own, `..data` is a link
// to it, and each visible name a link through `..data`. An update makes a new folder and replaces `..data` by one rename.

#include <string>

#include "base/status.h"
#include "kubelet/volumes/payload.h"

namespace rusternetes::kubelet {

// Makes `folder` (which exists) show exactly `payload`; nothing is touched when it does already. Returns whether it changed.
// Blocking. `group` owns what is written, unless negative.
Result<bool> write_atomically(const std::string& folder, const Payload& payload, std::int64_t group = -1);

}  // namespace rusternetes::kubelet
