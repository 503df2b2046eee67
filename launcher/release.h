#pragma once
// Which release a cluster runs, and what follows where that is not this one. A cluster runs what it was made with
// until `upgrade`: what another release made of it, its manifest or its process's command, is kept as it is.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

bool is_of_this_release(const StepContext& context);
// NotSupported for a change that needs a manifest of this release. `what`: "node add".
Result<> check_this_release(const StepContext& context, std::string_view what);

// What the cluster's containers are made of: rendered, or as another release wrote it.
Result<std::string> manifest_text(const StepContext& context);
// Program and arguments of the cluster's process; the same.
std::vector<std::string> process_words(const StepContext& context);
// Either, as ClusterSettings::manifest keeps it.
Result<std::string> kept_manifest(const StepContext& context);

// Below 0 where `a` is the older one. Of what is no MAJOR.MINOR.PATCH, only equality is told.
int compare_releases(std::string_view a, std::string_view b);
// 35 of "v1.35" and "v1.35.4".
std::optional<int> kubernetes_minor(std::string_view version);

// Where a cluster keeps its copy of a program; the name tells release and content. BinaryMissing.
Result<std::filesystem::path> kept_program(const std::filesystem::path& program, const ClusterPaths& paths,
                                           std::string_view release);

}  // namespace rusternetes::launcher
