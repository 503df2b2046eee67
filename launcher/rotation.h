#pragma once
// Replacing a cluster's authorities and the key of its service account tokens (certs/rotation.h), in two
// halves: the new ones sign and the old ones are trusted on; and, when whoever has something of the old ones
// has something newer, they are dropped. What is under way the files of the cluster's folder say, and the
// journal nothing.

#include <boost/json/fwd.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "certs/rotation.h"
#include "launcher/command.h"

namespace rusternetes::launcher {

struct RotatedSubject {
  std::string name;  // "ca", "etcd/ca", "front-proxy-ca"; "sa": the key of service account tokens
  certs::RotationPhase phase = certs::RotationPhase::none;
};

// Every subject that the folder has, "ca" first.
Result<std::vector<RotatedSubject>> rotation_of(const std::filesystem::path& pki);
std::vector<std::string> names_in(const std::vector<RotatedSubject>& all, certs::RotationPhase phase);

// What is under way, and what to do next, in sentences; empty when nothing is.
std::string rotation_text(const std::string& cluster, const std::vector<RotatedSubject>& all);
boost::json::object rotation_json(const std::vector<RotatedSubject>& all);

// `certs rotate` of these (commands/rotate_authorities.cpp).
bool asks_for_authorities(const Invocation& invocation);
Result<> run_rotate_authorities(Invocation& invocation);

}  // namespace rusternetes::launcher
