#pragma once
// What this build is.

#include <string>
#include <string_view>

namespace rusternetes {

// Of the build: -DRUSTERNETES_VERSION=MAJOR.MINOR.PATCH, or the project's own.
std::string_view release_version();

// The release of Kubernetes whose API this is.
inline constexpr std::string_view kubernetes_release = "v1.35.4";

// What `PROGRAM --version` prints, as Kubernetes' programs do: "Kubernetes v1.35.4 (kubelet of rusternetes 0.1.0)".
std::string version_line(std::string_view program);

}  // namespace rusternetes
