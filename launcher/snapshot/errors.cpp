#include "launcher/snapshot/errors.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace rusternetes::launcher::snapshot {

Status failed(std::string_view wanted_reason, std::string message) {
  return Status(500, std::string(wanted_reason), std::move(message));
}

Status foreign(const Path& snapshot) {
  return failed(
      reason::foreign,
      fmt::format("{} is not a snapshot of a cluster: name one that `snapshot` made", snapshot.string()));
}

Status cut_short(const Path& snapshot) {
  return failed(
      reason::cut_short,
      fmt::format("{} is cut short, it does not end as it was written: copy it again from where it was made",
                  snapshot.string()));
}

Status damaged(const Path& snapshot, std::string_view where) {
  return failed(reason::damaged, fmt::format("{} is damaged ({}): copy it again, or use another snapshot",
                                             snapshot.string(), where));
}

Status newer(const Path& snapshot, int format) {
  return failed(reason::newer,
                fmt::format("{} has format {}, made by a newer release: update rusternetes-ctl to read it",
                            snapshot.string(), format));
}

Status passphrase_needed(const Path& snapshot) {
  return failed(reason::passphrase_needed,
                fmt::format("{} is encrypted: name the file of its passphrase by --passphrase-file",
                            snapshot.string()));
}

Status passphrase_wrong(const Path& snapshot) {
  return failed(reason::passphrase_wrong,
                fmt::format("the passphrase is not the one that {} was encrypted with: name the file of the "
                            "right one by --passphrase-file",
                            snapshot.string()));
}

Status in_the_way(const Path& path) {
  return failed(reason::in_the_way,
                fmt::format("{} is there already: move it away, or choose another place", path.string()));
}

Status file_error(std::string_view what, const Path& path, int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT)
    return failed(reason::no_space,
                  fmt::format("there is no space left to {} {}: free some, or choose another place", what,
                              path.string()));
  if (error_number == EEXIST) return in_the_way(path);
  if (error_number == ENOENT)
    return failed(reason::not_found,
                  fmt::format("cannot {} {}: there is no such file or folder", what, path.string()));
  return errno_error(fmt::format("cannot {} {}", what, path.string()), error_number);
}

}  // namespace rusternetes::launcher::snapshot
