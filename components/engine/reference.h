#pragma once
// Image references after the rules of the distribution project: docker.io and library/ are what a short name
// means.

#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::engine {

struct ImageReference {
  std::string domain;  // "docker.io"
  std::string path;    // "library/busybox"
  std::string tag;     // empty only with a digest
  std::string digest;  // "sha256:..." or empty

  std::string repository() const { return domain + "/" + path; }
  // Fully qualified: both engines take it, and Podman does not guess.
  std::string str() const;
};

// Status InvalidImageName with the engines' wording "invalid reference format".
Result<ImageReference> parse_reference(std::string_view text);
// The fully qualified form; ids (see is_image_id) and what does not parse stay as they are.
std::string normalize_reference(std::string_view text);
// "sha256:" with 64 hex digits, or the digits alone.
bool is_image_id(std::string_view text);

}  // namespace rusternetes::engine
