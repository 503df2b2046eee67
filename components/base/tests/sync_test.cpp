// Whether the disk has it cannot be seen from here; that the right file and folder are asked for can.
#include "base/sync.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "support/folder.h"

using namespace rusternetes;

TEST_CASE("a file and the folder it is in are synced, and who cannot be is named") {
  const testing::Folder folder("sync");
  std::ofstream(folder.path / "file") << "content";
  CHECK(sync_file(folder.path / "file"));
  CHECK(sync_folder_of(folder.path / "file"));
  CHECK(sync_folder_of(folder.path / "removed"));
  CHECK(sync_folder_of("a-name-alone"));  // in the current folder

  const auto missing = folder.path / "missing";
  CHECK(sync_file(missing).error().message.find("cannot write " + missing.string() + ":") == 0);
  CHECK(sync_folder_of(missing / "file")
            .error()
            .message.find("cannot write the folder " + missing.string() + ":") == 0);
  CHECK(sync_folder_of(folder.path / "file" / "below").has_error());  // a file is no folder
}
