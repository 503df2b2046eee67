#pragma once
// What can be wrong with a snapshot, each with a reason of its own. A message is one sentence: what is wrong,
// and what to do.

#include <filesystem>
#include <string_view>

#include "base/status.h"

namespace rusternetes::launcher::snapshot {

namespace reason {
inline constexpr std::string_view foreign = "SnapshotForeign";  // no snapshot at all
inline constexpr std::string_view cut_short = "SnapshotCut";    // its end is missing
inline constexpr std::string_view damaged = "SnapshotDamaged";  // not what was written
inline constexpr std::string_view newer = "SnapshotNewer";      // a format that this release does not know
inline constexpr std::string_view passphrase_needed = "PassphraseNeeded";
inline constexpr std::string_view passphrase_wrong = "PassphraseWrong";
inline constexpr std::string_view no_space = "NoSpace";
inline constexpr std::string_view in_the_way = "FileInTheWay";  // something has the name already
inline constexpr std::string_view conflict = "Conflict";        // somebody else is writing the same snapshot
inline constexpr std::string_view not_found = "NotFound";       // no such file, no such member
inline constexpr std::string_view bad_request = "BadRequest";   // a name or a file that no snapshot can hold
}  // namespace reason

using Path = std::filesystem::path;

Status foreign(const Path& snapshot);
Status cut_short(const Path& snapshot);
// `where`: the member, or the part of the file.
Status damaged(const Path& snapshot, std::string_view where);
Status newer(const Path& snapshot, int format);
Status passphrase_needed(const Path& snapshot);
Status passphrase_wrong(const Path& snapshot);
Status in_the_way(const Path& path);
Status failed(std::string_view wanted_reason, std::string message);
// NoSpace, NotFound, or an internal error by errno; `what` is a verb.
Status file_error(std::string_view what, const Path& path, int error_number);

}  // namespace rusternetes::launcher::snapshot
