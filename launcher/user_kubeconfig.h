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

// KubeconfigBroken when the text is not a kubeconfig that could be merged into. Pure; empty text is one.
Result<> check_kubeconfig(std::string_view text);
// Whether a user in it has a private key, a token or a password. Pure; false for what is no kubeconfig.
bool has_secrets(std::string_view text);

// Puts the clusters, users and contexts of `addition` into `text` (which may be empty), replacing those of
// the same name, and takes over its current-context. Pure. KubeconfigBroken when either is not a kubeconfig.
Result<std::string> merge_kubeconfig(std::string_view text, std::string_view addition);
// Replaces those clusters, users and contexts of `text` that `addition` has, too, by their names, and adds none;
// the current context stays. Pure. The text itself when nothing differs.
Result<std::string> renew_kubeconfig(std::string_view text, std::string_view addition);
// Takes the context `name`, its cluster and its user out, and the current-context if it was this one. Pure;
// what is not there is no error. Empty when nothing but the empty lists would be left.
Result<std::string> remove_from_kubeconfig(std::string_view text, std::string_view name);

// The same on files, under FILE.lock. Owner and mode of an existing file are kept, but a merge takes the
// rights of group and others away from one that then holds secrets; a new file has 0600. Symbolic links are
// followed; folders are made. A file that would be left empty is removed. KubeconfigLocked when the lock is
// not given up for five seconds; a lock of ours whose process is gone is taken over.
//
// A merge returns what the user is to be told, one sentence, or nothing.
Result<std::string> merge_kubeconfig_file(const std::filesystem::path& path,
                                          const std::filesystem::path& addition);
// A file that is not there is no error.
Result<> renew_kubeconfig_file(const std::filesystem::path& path, const std::filesystem::path& addition);
// KubeconfigBroken when the file is there and cannot be merged into; it is not changed.
Result<> check_kubeconfig_file(const std::filesystem::path& path);
Result<> remove_from_kubeconfig_file(const std::filesystem::path& path, const std::string& name);

}  // namespace rusternetes::launcher
