#pragma once
// The user's kubeconfig: a cluster's entries are merged in and taken out as kubectl itself would, under the
// lock file that client-go takes, and everything else in the file is kept.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::launcher {

// The first file of $KUBECONFIG, or ~/.kube/config.
std::filesystem::path user_kubeconfig_path(
    const std::function<std::optional<std::string>(const char*)>& variable);

// Puts the clusters, users and contexts of `addition` into `text` (which may be empty), replacing those of
// the same name, and takes over its current-context. Pure. KubeconfigBroken when either is not a kubeconfig.
Result<std::string> merge_kubeconfig(std::string_view text, std::string_view addition);
// Takes the context `name`, its cluster and its user out, and the current-context if it was this one. Pure;
// what is not there is no error. Empty when nothing but the empty lists would be left.
Result<std::string> remove_from_kubeconfig(std::string_view text, std::string_view name);

// The same on files, under FILE.lock. Mode and owner of an existing file are kept, a new one has 0600;
// symbolic links are followed; folders are made. A file that would be left empty is removed. KubeconfigLocked
// when the lock is not given up for five seconds; a lock of ours whose process is gone is taken over.
Result<> merge_kubeconfig_file(const std::filesystem::path& path, const std::filesystem::path& addition);
Result<> remove_from_kubeconfig_file(const std::filesystem::path& path, const std::string& name);

}  // namespace rusternetes::launcher
